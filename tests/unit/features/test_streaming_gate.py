"""What the row-level gate of streams lets through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ml.streaming.gate import CHECKS, Row, failed

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def row(kind: str = "snapshot", before: int | None = None, **changes: object) -> Row:
    columns = {"kind": kind, "record_id": "7", "region": "ZZ", "event_at": NOW}
    payload = {"title": "A title", "upvotes": 50, "comments": 3, "rank": None}
    for name, value in changes.items():
        (columns if name in columns else payload)[name] = value
    return Row(columns, payload, NOW, before)


@pytest.mark.parametrize(
    "good",
    [
        row(),
        row(upvotes=None),
        row(comments=None, rank=1),
        row("item"),
        row("item", event_at=NOW - timedelta(days=3000)),
        row(event_at=NOW + timedelta(minutes=4)),  # within what clocks may differ
        row(before=52),
        row(before=120),  # a voting ring was taken out: half of them and a few more
        row(before=10_000, upvotes=None),
        row(before=15, upvotes=1),
        row("post", title=None, likes=0, reposts=None, views=12),
    ],
)
def test_row_that_may_be_passes(good):
    assert failed(good) is None


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        (row(record_id=""), "has_keys"),
        (row(event_at=None), "has_keys"),
        (row(event_at=NOW + timedelta(minutes=6)), "not_ahead"),
        (row("item", event_at=NOW + timedelta(days=1)), "not_ahead"),
        (row(upvotes=-1), "counts"),
        (row(comments=-5), "counts"),
        (row("post", likes=-1), "counts"),
        (row("post", event_at=NOW + timedelta(minutes=6)), "not_ahead"),
        (row("item", title="  "), "titled"),
        (row("item", title=None), "titled"),
        (row(before=121), "keeps_upvotes"),
        (row(before=30, upvotes=0), "keeps_upvotes"),
    ],
)
def test_row_that_cannot_be_is_named(bad, name):
    check = failed(bad)
    assert check is not None
    assert check.name == name


def test_checks_have_names_of_their_own_and_reasons():
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all(check.why for check in CHECKS)
