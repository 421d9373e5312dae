"""The embedded services: start, stop, health. One machine, no Docker, no root needed."""

from __future__ import annotations
