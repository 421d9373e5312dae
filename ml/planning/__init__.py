"""Which topics become videos, for which channel, and why."""

from __future__ import annotations
