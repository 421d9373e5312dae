"""`trend_topic`: volumes of topics in the next 48 hours and 7 days, and which topics rise."""

from __future__ import annotations
