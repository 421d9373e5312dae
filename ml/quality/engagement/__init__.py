"""`quality_engagement`: how a title will engage, relative to what is usual for its channel."""

from __future__ import annotations
