"""Bringing finished videos out, taking them down, and seeing how they do."""

from __future__ import annotations
