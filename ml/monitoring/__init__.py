"""Watching features and models."""

from __future__ import annotations
