"""Postgres and object storage."""

from __future__ import annotations
