"""One module a group of routes."""

from __future__ import annotations
