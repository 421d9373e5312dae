"""From a brief to a finished, checked and published video."""

from __future__ import annotations
