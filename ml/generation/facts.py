"""Sentences that the data support, with their numbers worked out here and by no model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ml.generation.brief import Fact, SeriesPoint
from ml.generation.text import clean, count

_TITLE_CHARS = 70


def video_fact(
    *,
    title: str,
    channel_title: str | None,
    views: float | None,
    source: str,
    video_id: str | None = None,
    views_gained: float | None = None,
    regions_listed: int | None = None,
) -> Fact:
    """A fact about one listed video: who made it, how often it was watched, how widely listed.

    Args:
        title: shortened to what comes before its first bar.
        channel_title: who made it.
        views: up to now.
        source: which source the item came from.
        video_id: for the link.
        views_gained: since the day before.
        regions_listed: on how many countries' charts it is.
    """
    name = short_title(clean(title))
    subject = f'"{name}"' + (f" by {clean(channel_title)}" if channel_title else "")
    claims = []
    if views:
        new = views_gained if views_gained and views_gained > 0 else None
        gained = f", {count(new)} of them new in a day" if new else ""
        claims.append(f"has {count(views)} views{gained}")
    if regions_listed and regions_listed > 1:
        claims.append(f"is on the charts of {regions_listed} countries")
    url = f"https://www.youtube.com/watch?v={video_id}" if video_id else None
    return Fact(
        text=f"{subject} {' and '.join(claims) or 'is on the chart'}.", source=source, url=url
    )


def series_sentence(topic: str, series: Sequence[SeriesPoint], label: str) -> str:
    """Say how far the curve went, from its first point to its last.

    Raises:
        ValueError: if there are fewer than two points.
    """
    if len(series) < 2:
        raise ValueError("a trend needs at least two points")
    first, last = series[0], series[-1]
    before, after = count(first.value), count(last.value)
    if before == after:
        return f"For {topic}, the number of {label} has stayed at {after} {_span(first, last)}."
    verb = "risen" if last.value > first.value else "fallen"
    change = f"{verb} from {before} to {after} {_span(first, last)}"
    return f"For {topic}, the number of {label} has {change}."


def _span(first: SeriesPoint, last: SeriesPoint) -> str:
    hours = (last.at - first.at).total_seconds() / 3600
    if hours < 36:
        whole = max(1, round(hours))
        return "within one hour" if whole == 1 else f"within {whole} hours"
    return f"within {round(hours / 24)} days"


def shorten_title(text: str) -> str:
    """Shorten the quoted title that a fact begins with; another text stays as it is."""
    found = re.match(r'"(.+?)"(?= (?:by|has|is) )', text)
    return f'"{short_title(found[1].strip())}"{text[found.end() :]}' if found else text


def short_title(title: str) -> str:
    """Titles carry hash tags and slogans after a bar; what comes first names the video."""
    title = title.replace('"', "'")
    for mark in (" | ", " || ", " \u29f8 "):
        head = title.split(mark)[0].strip()
        if len(head) >= 12:
            title = head
    if len(title) <= _TITLE_CHARS:
        return title
    return title[:_TITLE_CHARS].rsplit(" ", 1)[0].rstrip(" ,;:-")
