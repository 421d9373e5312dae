"""Data intervals: split a span, read one back from text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from ml.exceptions import ConfigurationError
from ml.sources.base import Interval


def split(
    start: datetime | str | None, end: datetime | str | None, step: timedelta
) -> list[Interval]:
    """Cut `[start, end)` into intervals of length `step`; the last may be shorter.

    Raises:
        ConfigurationError: if an end is missing or not after the start.
    """
    first, last = _time("start", start), _time("end", end)
    if last <= first:
        raise ConfigurationError(
            f"end ({last.isoformat()}) must lie after start ({first.isoformat()})"
        )
    parts = []
    while first < last:
        parts.append(Interval(first, min(first + step, last)))
        first += step
    return parts


def parse(value: Mapping[str, str]) -> Interval:
    """Read an interval from `{"start": ..., "end": ...}` in ISO format."""
    return Interval(_time("start", value["start"]), _time("end", value["end"]))


def _time(name: str, value: datetime | str | None) -> datetime:
    if value is None:
        raise ConfigurationError(f"the run has no data interval: give the parameter `{name}`")
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
