from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import ProviderError, RateLimitedError, SourceUnavailableError
from ml.sources.base import Interval, Page, Record, Rejected
from ml.sources.gdelt import MOST_RECORDS, GdeltSource

from .conftest import LiveWorld, fetch, serve, world_settings
from .test_youtube import ANY_JSON

SOURCE = GdeltSource(world_settings("http://127.0.0.1:1"))
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
REQUEST = "GET https://api.gdeltproject.org/api/v2/doc/doc?query=gold+price&mode=timelinevolraw"
# Shapes of https://blog.gdeltproject.org/gdelt-doc-2-0-api-debuts/ (2026-11).
ARTICLE: dict[str, Any] = {
    "url": "https://paper.example/a", "url_mobile": "", "title": "A title",
    "seendate": "20260111T011500Z", "socialimage": "", "domain": "paper.example",
    "language": "English", "sourcecountry": "United States",
}  # fmt: skip
POINT: dict[str, Any] = {"date": "20260111T014500Z", "value": 18, "norm": 2478}


def listing(*articles: Any) -> Page:
    body = json.dumps({"articles": list(articles)}).encode()
    return Page("article", "ZZ", 0, body, REQUEST, NOON)


def timeline(*points: Any, request: str = REQUEST) -> Page:
    series = {"series": "Article Count", "data": list(points)}
    document = {"query_details": {"title": "x", "date_resolution": "15m"}, "timeline": [series]}
    return Page("volume", "ZZ", 0, json.dumps(document).encode(), request, NOON)


def rows(pages: list[Page], stream: str) -> list[dict[str, Any]]:
    found = [row for page in pages if page.stream == stream for row in SOURCE.parse(page)]
    assert not [row for row in found if isinstance(row, Rejected)]
    return [dict(row.values) for row in found if isinstance(row, Record)]


def test_documented_article_parses() -> None:
    (row,) = SOURCE.parse(listing(ARTICLE))
    assert isinstance(row, Record)
    assert re.fullmatch(r"[0-9a-f]{32}", row.values["record_id"])
    assert row.values["event_at"] == datetime(2026, 1, 11, 1, 15, tzinfo=UTC)
    assert row.values["payload"] == {
        "title": "A title", "url": "https://paper.example/a", "domain": "paper.example",
        "language": "en", "language_name": "English", "country": "United States",
    }  # fmt: skip


def test_documented_volume_parses() -> None:
    (row,) = SOURCE.parse(timeline(POINT))
    assert isinstance(row, Record)
    assert (row.values["kind"], row.values["record_id"]) == ("volume", "gold price")
    assert row.values["event_at"] == datetime(2026, 1, 11, 1, 45, tzinfo=UTC)
    assert row.values["payload"] == {"query": "gold price", "value": 18, "norm": 2478}


@pytest.mark.parametrize("stream", ["article", "volume"])
def test_an_empty_answer_has_no_rows(stream: str) -> None:
    assert list(SOURCE.parse(Page(stream, "ZZ", 0, b"{}", REQUEST, NOON))) == []


def test_what_json_forbids_in_titles_is_mended() -> None:
    title = rb"Gold \ silver \"and\" C:\new" + b"\x0b" + rb"\u00e9 \uZZ"
    body = json.dumps({"articles": [ARTICLE]}).encode().replace(b"A title", title)
    (row,) = SOURCE.parse(Page("article", "ZZ", 0, body, REQUEST, NOON))
    assert isinstance(row, Record)
    assert row.values["payload"]["title"] == 'Gold \\ silver "and" C:\new\x0bé \\uZZ'


def test_a_day_is_covered_without_gap_or_overlap(world: LiveWorld, day: Interval) -> None:
    pages = fetch(GdeltSource(world.settings), day)
    assert [page.number for page in pages] == list(range(len(pages)))
    assert [page.stream for page in pages] == ["volume", *["article"] * 4] * 3
    volume = [row for row in rows(pages, "volume") if row["record_id"] == "technology"]
    times = [row["event_at"] for row in volume]
    start = day.start - timedelta(minutes=30)
    assert times == [start + n * timedelta(minutes=15) for n in range(96)]
    articles = rows(pages, "article")
    assert all(start <= row["event_at"] < start + timedelta(days=1) for row in articles)
    assert all(row["available_at"] == day.end for row in articles)


def test_volume_counts_the_articles_where_they_are_not_too_many(
    world: LiveWorld, day: Interval
) -> None:
    settings = world.settings.model_copy(update={"gdelt_queries": ("technology",)})
    pages = fetch(GdeltSource(settings), day)
    assert all(len(json.loads(page.body)["articles"]) < MOST_RECORDS for page in pages[1:])
    found = {row["record_id"] for row in rows(pages, "article")}
    assert len(found) == sum(row["payload"]["value"] for row in rows(pages, "volume"))


def test_hours_add_up_to_their_day(world: LiveWorld, day: Interval) -> None:
    settings = world.settings.model_copy(update={"gdelt_queries": ("sports",)})
    source = GdeltSource(settings)
    hours = [Interval(day.start + n * HOUR, day.start + (n + 1) * HOUR) for n in range(24)]
    by_hour = [row for hour in hours for row in rows(fetch(source, hour), "volume")]
    whole = rows(fetch(source, day), "volume")
    assert [(r["event_at"], r["payload"]) for r in by_hour] == [
        (r["event_at"], r["payload"]) for r in whole
    ]


def test_failures_on_the_way_change_nothing(world: LiveWorld, day: Interval) -> None:
    source = GdeltSource(world.settings)
    clean = fetch(source, day)
    world.set_faults("429;times=1;retry_after=0;p=0.3, cut;times=2;p=0.4")
    assert fetch(source, day) == clean


def test_malformed_and_repeated_rows_lose_nothing_else(world: LiveWorld, day: Interval) -> None:
    source = GdeltSource(world.settings)
    clean = fetch(source, day)[:2]
    world.set_faults("malformed;rows=5, duplicate;rows=3")
    for before, after in zip(clean, fetch(source, day)[:2], strict=True):
        good = {str(row) for row in source.parse(before)}
        found = list(source.parse(after))
        assert sum(isinstance(row, Rejected) for row in found) == 5
        kept = {str(row) for row in found if isinstance(row, Record)}
        assert kept <= good
        assert len(good - kept) == 5


def test_a_query_that_gdelt_refuses_names_the_variable(world: LiveWorld, day: Interval) -> None:
    settings = world.settings.model_copy(update={"gdelt_queries": ("sports", "x")})
    with pytest.raises(SourceUnavailableError, match=r"too short or too long.*GDELT_QUERIES"):
        fetch(GdeltSource(settings), day)


def provider(*bodies: bytes) -> FastAPI:
    """A server that answers with these bodies in turn, the last one again and again."""
    app = FastAPI()
    left: Iterator[bytes] = iter(bodies)

    @app.get("/{path:path}")
    async def say() -> Response:
        return Response(next(left, bodies[-1]), media_type="text/html")

    return app


def ask(*bodies: bytes) -> list[Page]:
    with serve(provider(*bodies)) as url:
        source = GdeltSource(world_settings(url, gdelt_queries=("technology",)))
        return fetch(source, Interval(NOON - HOUR, NOON))


BUSY = b"Please limit requests to one every 5 seconds or contact us for larger queries."


def test_busy_service_is_asked_again_before_the_query_is_blamed() -> None:
    shed = b"Your query was too short or too long.\n"
    volume, articles = ask(shed, BUSY, timeline(POINT).body, shed, b"{}")
    assert len(list(SOURCE.parse(volume))) == 1
    assert list(SOURCE.parse(articles)) == []


@pytest.mark.parametrize(
    ("body", "error"),
    [(BUSY, RateLimitedError), (b"<html>Bad gateway</html>", ProviderError), (b"", ProviderError)],
)
def test_text_with_status_200_is_not_taken_for_data(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        ask(body)


def test_json_beyond_mending_is_kept_and_a_dead_letter() -> None:
    for page in ask(b'{"articles": [{"title": "a "b" c"}]}'):
        (row,) = SOURCE.parse(page)
        assert isinstance(row, Rejected)


def test_requests_are_those_of_the_documentation(world: LiveWorld) -> None:
    page = fetch(GdeltSource(world.settings), Interval(NOON - HOUR, NOON))[1]
    url = httpx.URL(page.request.removeprefix("GET "))
    assert dict(url.params) == {
        "query": "technology", "mode": "artlist", "format": "json", "maxrecords": "250",
        "sort": "datedesc", "startdatetime": "20260111103000", "enddatetime": "20260111112959",
    }  # fmt: skip


def test_without_a_query_it_is_unavailable_and_names_the_variable() -> None:
    state = GdeltSource(world_settings("http://127.0.0.1:1", gdelt_queries=())).availability()
    assert not state.available
    assert "GDELT_QUERIES" in state.reason


def test_volume_without_its_query_is_a_dead_letter() -> None:
    (row,) = SOURCE.parse(timeline(POINT, request="GET http://x"))
    assert isinstance(row, Rejected)
    assert "query" in row.reason


def items_like(item: dict[str, Any]) -> st.SearchStrategy[Any]:
    json_values = ANY_JSON.filter(lambda value: not re.search("NaN|Infinity", json.dumps(value)))
    changed = st.dictionaries(st.sampled_from(sorted(item)), json_values, max_size=3)
    return changed.map(lambda changes: {**item, **changes}) | json_values


@given(st.lists(items_like(ARTICLE), max_size=5))
def test_parser_accounts_for_every_article(items: list[Any]) -> None:
    assert len(list(SOURCE.parse(listing(*items)))) == len(items)


@given(st.lists(items_like(POINT), max_size=5))
def test_parser_accounts_for_every_point(items: list[Any]) -> None:
    assert len(list(SOURCE.parse(timeline(*items)))) == len(items)


@given(
    st.sampled_from(["article", "volume"]),
    st.binary() | ANY_JSON.map(lambda v: json.dumps(v).encode()),
    st.text(max_size=20),
)
def test_parser_never_raises_on_any_body(stream: str, body: bytes, request: str) -> None:
    for row in SOURCE.parse(Page(stream, "ZZ", 0, body, request, NOON)):
        assert isinstance(row, Rejected)
