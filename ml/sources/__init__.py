"""Trend sources: one module a source, one interface."""

from __future__ import annotations
