"""The source that the README shows does what the README says."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Response
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import NotFoundError
from ml.sources import base, fields
from ml.sources.base import Interval, Page, Record, Rejected, Source

from .conftest import fetch, serve, world_settings

README = Path(__file__).parents[3] / "README.md"
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
# Shape of https://lobste.rs/hottest.json (2026-11), shortened.
STORY: dict[str, Any] = {
    "short_id": "ab12cd",
    "short_id_url": "https://lobste.rs/s/ab12cd",
    "created_at": "2026-01-11T04:12:45.000-06:00",
    "title": "A queue in one file",
    "url": "https://example.org/queue",
    "score": 57,
    "flags": 1,
    "comment_count": 12,
    "description": "",
    "description_plain": "",
    "submitter_user": "someone",
    "user_is_author": False,
    "tags": ["databases", "practices"],
    "comments_url": "https://lobste.rs/s/ab12cd/queue_one_file",
}


def shown_source() -> type[Source]:
    """The class of the README, given what its code names."""
    blocks = re.findall(r"^ *```python\n(.*?)^ *```$", README.read_text(), re.DOTALL | re.MULTILINE)
    (block,) = (textwrap.dedent(each) for each in blocks if "class LobstersSource(Source):" in each)
    names: dict[str, Any] = {**vars(base), "fields": fields}
    exec(compile(block, str(README), "exec"), names)  # noqa: S102 - it is our own README
    found = names["LobstersSource"]
    assert issubclass(found, Source)
    return found


SOURCE = shown_source()(world_settings("http://127.0.0.1:1"))


def page(body: bytes) -> Page:
    return Page("hottest", "ZZ", 0, body, "GET https://lobste.rs/hottest.json", NOON)


def parsed(*stories: Any) -> list[Record | Rejected]:
    return list(SOURCE.parse(page(json.dumps(stories).encode())))


def test_the_shown_source_parses_a_recorded_answer() -> None:
    first, second = parsed(STORY, {**STORY, "short_id": "zz99", "score": 3})
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert first.values == {
        "kind": "snapshot", "record_id": "ab12cd", "region": "ZZ", "event_at": NOON,
        "available_at": NOON,
        "payload": {"title": "A queue in one file", "rank": 1, "upvotes": 57, "comments": 12},
    }  # fmt: skip
    assert (second.values["record_id"], second.values["payload"]["rank"]) == ("zz99", 2)
    assert SOURCE.spec.kinds == ("snapshot",)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({**STORY, "short_id": None}, "short_id is not a text"),
        ({**STORY, "title": " "}, "title is not a text"),
        ({**STORY, "score": "many"}, "score is not a count"),
        ({**STORY, "comment_count": 1.5}, "comment_count is not a count"),
        ("a text", "story is not an object"),
        (None, "story is not an object"),
    ],
)
def test_a_broken_story_is_a_dead_letter_and_the_next_one_a_row(broken: Any, reason: str) -> None:
    rejected, kept = parsed(broken, STORY)
    assert isinstance(rejected, Rejected)
    assert reason in rejected.reason
    assert (rejected.kind, rejected.position) == ("snapshot", 0)
    assert json.loads(rejected.payload) == broken
    assert isinstance(kept, Record)


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b'{"error": "gone"}', b"\xff\x00"])
def test_what_is_no_list_is_one_dead_letter(body: bytes) -> None:
    (row,) = SOURCE.parse(page(body))
    assert isinstance(row, Rejected)


@given(st.binary())
def test_no_body_makes_the_shown_source_raise(body: bytes) -> None:
    assert all(isinstance(row, Rejected) for row in SOURCE.parse(page(body)))


ANY = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers(), max_size=2)


@given(st.lists(ANY | st.dictionaries(st.sampled_from(sorted(STORY)), ANY), max_size=5))
def test_every_story_becomes_a_row_or_a_dead_letter(changes: list[Any]) -> None:
    stories = [{**STORY, **each} if isinstance(each, dict) else each for each in changes]
    assert len(parsed(*stories)) == len(stories)


@pytest.fixture
def lobsters() -> Iterator[tuple[str, list[int]]]:
    """A provider, its URL and the status codes that it still has to answer before the list."""
    app, failures = FastAPI(), [503]

    @app.get("/lobste.rs/hottest.json")
    def hottest() -> Response:
        status = failures.pop() if failures else 200
        return Response(json.dumps([STORY]), status, media_type="application/json")

    with serve(app) as url:
        yield url, failures


def test_the_shown_source_fetches(lobsters: tuple[str, list[int]], day: Interval) -> None:
    url, failures = lobsters
    source = shown_source()(world_settings(url))
    (found,) = fetch(source, day)
    assert failures == []  # the refusal was met, and the request made again
    assert (found.stream, found.region, json.loads(found.body)) == ("hottest", "ZZ", [STORY])
    (row,) = source.parse(found)
    assert isinstance(row, Record)
    assert row.values["event_at"] == found.fetched_at == day.end


def test_a_list_that_is_not_there_stops_the_fetch(
    lobsters: tuple[str, list[int]], day: Interval
) -> None:
    url, failures = lobsters
    failures[:] = [404]
    with pytest.raises(NotFoundError):
        fetch(shown_source()(world_settings(url)), day)
