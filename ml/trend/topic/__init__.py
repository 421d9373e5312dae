"""`trend_topic`: how much a topic is shown in the next 48 hours and 7 days, and whether it rises."""

from __future__ import annotations
