"""Changes to any JSON, whoever answers it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.world import reshape
from ml.world.answers import encode

scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "title", "viewCount", "created_at", "x"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("rename", {"view_count": "7"}),
        ("missing", {}),
        ("retype", {"viewCount": 7}),
    ],
)
def test_drift_of_a_chosen_field(how: str, expected: dict[str, Any]) -> None:
    document = {"items": [{"id": "a", "statistics": {"viewCount": "7"}}]}
    changed = reshape.drifted(document, 7, how, "viewCount")
    assert changed == {"items": [{"id": "a", "statistics": expected}]}


@given(documents, st.integers(0, 9))
def test_a_broken_row_is_another_one_and_still_json(item: Any, variant: int) -> None:
    damaged = reshape.broken(item, variant)
    assert damaged != item
    assert json.loads(encode(damaged)) == damaged


@given(documents, st.sampled_from(["", *reshape.HOWS]))
def test_drift_of_any_document_is_repeatable(document: Any, how: str) -> None:
    changed = reshape.drifted(document, 7, how)
    assert changed == reshape.drifted(document, 7, how)
    assert json.loads(encode(changed)) == changed


@given(documents)
def test_what_has_no_time_and_no_such_field_is_left_alone(document: Any) -> None:
    assert reshape.redefined(document, "upvotes", 3) == document
    assert reshape.skewed(document, 0) == document


@pytest.mark.parametrize(
    ("name", "value", "moved"),
    [
        ("publishedAt", "2026-01-12T00:00:00Z", "2026-01-12T01:00:00Z"),
        ("created_at", "2026-01-12T23:30:00.250+00:00", "2026-01-13T00:30:00.250+00:00"),
        ("seendate", "20260112T001500Z", "20260112T011500Z"),
        ("created_utc", 1768176000.0, 1768179600.0),
        ("time", 1768176000, 1768179600),
        ("timestamp_ms", 1768176000000, 1768179600000),
        ("score", 1768176000, 1768176000),
        ("title", "2026-01-12", "2026-01-12"),
    ],
)
def test_moments_are_recognised(name: str, value: Any, moved: Any) -> None:
    assert reshape.shifted(name, value, 3600) == moved


def test_the_rows_drift_and_their_frame_stays() -> None:
    rows = [{"article": f"a{n}", "views": n, "days": [{"day": 1}]} for n in range(3)]
    page = {"items": [{"project": "en", "articles": rows}], "next": "x"}
    changed = reshape.drifted(page, 7)
    assert set(changed) == {"items", "next"}
    assert set(changed["items"][0]) == {"project", "articles"}
    assert changed["items"][0]["project"] == "en"
    for row in changed["items"][0]["articles"]:
        assert row["contentSignals"]
        assert not {"article", "views", "day"} <= leaves(row)


def test_what_is_no_object_does_not_drift() -> None:
    for page in ([3, 1, 2], {"rows": [[1, 2], [3, 4], [5, 6]], "columns": [{"name": "a"}]}, 7):
        assert reshape.drifted(page, 7) == page


def leaves(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*(leaves(item) for item in value))
    if isinstance(value, dict):
        return set(value).union(*(leaves(item) for item in value.values()))
    return set()
