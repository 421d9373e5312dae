"""Feast definitions: what the offline tables mean and which features a model version uses."""

from __future__ import annotations
