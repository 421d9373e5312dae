"""Cursors of sources that are asked interval by interval."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ml.sources.base import Interval

_KEY = "interval_end"


def latest_end(interval: Interval, cursor: Mapping[str, Any] | None) -> dict[str, str]:
    """The end of the latest interval loaded so far; a backfill does not move it back."""
    ends = [interval.end]
    if cursor and _KEY in cursor:
        ends.append(datetime.fromisoformat(cursor[_KEY]))
    return {_KEY: max(ends).astimezone(UTC).isoformat()}
