"""Alembic migrations of the ytempire database."""

from __future__ import annotations
