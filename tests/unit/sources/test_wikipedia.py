from __future__ import annotations

import gzip
import json
import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import ProviderError, SourceUnavailableError
from ml.sources import wikipedia_dumps
from ml.sources.base import Interval, Page, Record, Rejected
from ml.sources.http import MAX_BYTES
from ml.sources.wikipedia import ENTRANTS, HISTORY_DAYS, WikipediaSource
from ml.sources.wikipedia_titles import is_meta

from .conftest import LiveWorld, fetch, serve, world_settings
from .test_youtube import ANY_JSON

SOURCE = WikipediaSource(world_settings("http://127.0.0.1:1"))
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Shapes of https://wikitech.wikimedia.org/wiki/Analytics/AQS/Pageview_API (2026-11).
ARTICLE: dict[str, Any] = {"article": "Albert_Einstein", "views": 18793, "rank": 7}
VIEWS: dict[str, Any] = {
    "project": "de.wikipedia", "article": "Johann_Wolfgang_von_Goethe", "granularity": "daily",
    "timestamp": "2015101300", "access": "all-access", "agent": "user", "views": 5,
}  # fmt: skip


def top(*articles: Any, **changes: Any) -> Page:
    listed = {
        "project": "en.wikipedia", "access": "all-access", "year": "2015", "month": "10",
        "day": "10", "articles": list(articles), **changes,
    }  # fmt: skip
    body = json.dumps({"items": [listed]}).encode()
    return Page("top", "ZZ", 0, body, "GET http://x#top/en.wikipedia/2015-10-10", NOON)


def dump(*lines: bytes, key: str = "hours/all/2026-01-11T09:00") -> Page:
    body = gzip.compress(b"".join(line + b"\n" for line in lines))
    return Page("hours", "ZZ", 0, body, f"GET http://x.gz#{key}", NOON)


def records(source: WikipediaSource, pages: list[Page], kind: str) -> list[dict[str, Any]]:
    rows = [row for page in pages for row in source.parse(page)]
    assert not [row for row in rows if isinstance(row, Rejected)]
    return [dict(r.values) for r in rows if isinstance(r, Record) and r.values["kind"] == kind]


def test_documented_list_parses() -> None:
    (row,) = SOURCE.parse(top(ARTICLE))
    assert isinstance(row, Record)
    assert row.values["record_id"] == "en.wikipedia/Albert_Einstein"
    assert row.values["event_at"] == datetime(2015, 10, 10, tzinfo=UTC)
    assert row.values["available_at"] == NOON
    assert row.values["payload"] == {
        "title": "Albert Einstein", "url": "https://en.wikipedia.org/wiki/Albert_Einstein",
        "project": "en.wikipedia", "language": "en", "rank": 7, "views": 18793,
    }  # fmt: skip


def test_documented_views_of_an_article_parse() -> None:
    body = json.dumps({"items": [VIEWS]}).encode()
    (row,) = SOURCE.parse(Page("views", "ZZ", 0, body, "GET http://x", NOON))
    assert isinstance(row, Record)
    assert row.values["kind"] == "views"
    assert row.values["record_id"] == "de.wikipedia/Johann_Wolfgang_von_Goethe"
    assert row.values["event_at"] == datetime(2015, 10, 13, tzinfo=UTC)
    assert row.values["payload"]["views"] == 5
    assert row.values["payload"]["language"] == "de"


def test_a_daily_interval_lands_the_list_of_the_day_before_its_own(
    world: LiveWorld, day: Interval
) -> None:
    source = WikipediaSource(world.settings)
    pages = fetch(source, day)
    assert [page.number for page in pages] == list(range(len(pages)))
    listed = records(source, pages[:1], "top")
    assert {row["event_at"] for row in listed} == {day.start - timedelta(days=1)}
    assert 900 < len(listed) < 1000  # of 1000 places some are no articles
    ranks = [row["payload"]["rank"] for row in listed]
    assert ranks == sorted(ranks)
    assert all(row["available_at"] == day.end for row in listed)


def test_new_articles_of_a_list_come_with_their_history(world: LiveWorld, day: Interval) -> None:
    source = WikipediaSource(world.settings)
    earlier = Interval(day.start - timedelta(days=1), day.start)
    before = {r["record_id"] for r in records(source, fetch(source, earlier), "top")}
    pages = fetch(source, day)
    now = {r["record_id"]: r["payload"]["views"] for r in records(source, pages, "top")}
    history = records(source, pages, "views")
    assert len(pages) == 1 + ENTRANTS
    assert {row["record_id"] for row in history} <= set(now) - before
    last = [row for row in history if row["event_at"] == day.start - timedelta(days=1)]
    assert {row["record_id"]: row["payload"]["views"] for row in last} == {
        name: now[name] for name in {row["record_id"] for row in history}
    }
    assert len(history) == ENTRANTS * HISTORY_DAYS


def hour(time: datetime) -> Interval:
    return Interval(time, time + HOUR)


def keys(pages: list[Page]) -> list[str]:
    return [page.request.rpartition("#")[2] for page in pages if page.stream != "views"]


def test_hourly_intervals_ask_once_for_each_day_and_nothing_is_lost(
    world: LiveWorld, day: Interval
) -> None:
    source = WikipediaSource(world.settings)
    found: list[str] = []
    cursor = None
    for number in range(24 * 3):
        interval = hour(day.start + number * HOUR)
        pages = fetch(source, interval, cursor)
        found += keys(pages)
        cursor = source.next_cursor(interval, cursor, pages)
    assert found == [f"top/en.wikipedia/2026-01-{n:02d}" for n in (9, 10, 11)]
    assert cursor is not None
    assert cursor["missing"] == []


def test_what_is_not_there_yet_is_asked_for_by_later_intervals(
    world: LiveWorld, day: Interval
) -> None:
    late = WikipediaSource(world.settings)
    asked = hour(day.start + 12 * HOUR)
    world.set_faults("late;hours=20")  # the provider knows only the evening of the day before
    pages = fetch(late, asked)
    assert pages == []
    cursor = late.next_cursor(asked, None, pages)
    assert cursor["missing"] == ["top/en.wikipedia/2026-01-09"]
    world.set_faults("")
    later = hour(asked.end)
    pages = fetch(late, later, cursor)
    assert keys(pages) == ["top/en.wikipedia/2026-01-09"]
    assert late.next_cursor(later, cursor, pages)["missing"] == []


def test_a_backfill_leaves_what_is_missing_to_the_latest_interval(day: Interval) -> None:
    cursor = {
        "interval_end": "2026-01-11T00:00:00+00:00",
        "missing": ["top/en.wikipedia/2026-01-09"],
    }
    earlier = Interval(day.start - timedelta(days=9), day.start - timedelta(days=8))
    assert SOURCE._wanted(earlier, cursor) == ["top/en.wikipedia/2025-12-31"]
    kept = SOURCE.next_cursor(earlier, cursor, [])
    assert kept == cursor  # a day of so long ago is not asked for again


def test_a_day_is_given_up_after_a_week(day: Interval) -> None:
    cursor: Any = None
    for number in range(12):
        interval = Interval(day.start + timedelta(days=number), day.end + timedelta(days=number))
        cursor = SOURCE.next_cursor(interval, cursor, [])
    assert len(cursor["missing"]) == 6


def test_unknown_project_is_no_error_and_named_in_the_log(
    world: LiveWorld, day: Interval, caplog: pytest.LogCaptureFixture
) -> None:
    settings = world.settings.model_copy(update={"wikipedia_projects": ("xx.wikipedia",)})
    assert fetch(WikipediaSource(settings), day) == []
    assert "xx.wikipedia" in caplog.text
    assert "WIKIPEDIA_PROJECTS" in caplog.text


def test_other_refusals_are_errors(world: LiveWorld, day: Interval) -> None:
    world.set_faults("403")
    with pytest.raises(SourceUnavailableError):
        fetch(WikipediaSource(world.settings), day)


def test_failures_on_the_way_change_nothing(world: LiveWorld, day: Interval) -> None:
    settings = world.settings.model_copy(update={"wikipedia_hourly": True})
    source = WikipediaSource(settings)
    interval = hour(day.start + 12 * HOUR)
    clean = fetch(source, interval)
    assert {page.stream for page in clean} == {"top", "views", "hours"}
    world.set_faults("429;times=1;retry_after=0;p=0.3, cut;times=2;p=0.2")
    assert fetch(source, interval) == clean


def test_malformed_and_repeated_rows_lose_nothing_else(world: LiveWorld, day: Interval) -> None:
    source = WikipediaSource(world.settings)
    clean = fetch(source, day)[0]
    good = {str(row) for row in source.parse(clean)}
    world.set_faults("malformed;rows=9;path=/top/, duplicate;rows=4;path=/top/")
    found = list(source.parse(fetch(source, day)[0]))
    rejected = [row for row in found if isinstance(row, Rejected)]
    assert 6 <= len(rejected) <= 9  # a broken page that is no article may still parse
    kept = {str(row) for row in found if isinstance(row, Record)}
    assert kept <= good
    assert len(good - kept) <= 9


def test_hourly_dump_is_kept_as_it_came_and_read_by_site(world: LiveWorld, day: Interval) -> None:
    settings = world.settings.model_copy(
        update={"wikipedia_hourly": True, "wikipedia_projects": ("hi.wikipedia",)}
    )
    source = WikipediaSource(settings)
    interval = hour(day.start + 20 * HOUR)
    (page,) = fetch(source, interval)
    name = "/dumps.wikimedia.org/other/pageviews/2026/2026-01/pageviews-20260110-180000.gz"
    now = {"X-World-Now": interval.end.isoformat()}
    assert page.body == httpx.get(world.url + name, headers=now, trust_env=False).content
    lines = [line.split() for line in gzip.decompress(page.body).decode().splitlines()]
    wanted = {
        (code, title): int(views)
        for code, title, views, _ in lines
        if code in ("hi", "hi.m") and int(views) >= wikipedia_dumps.MIN_VIEWS and not is_meta(title)
    }
    rows = records(source, [page], "hourly_views")
    sites = {"desktop": "hi", "mobile-web": "hi.m"}
    assert wanted
    assert wanted == {
        (sites[r["payload"]["access"]], r["payload"]["title"].replace(" ", "_")):
        r["payload"]["views"] for r in rows
    }  # fmt: skip
    assert {row["event_at"] for row in rows} == {datetime(2026, 1, 10, 17, tzinfo=UTC)}


def test_a_dump_that_stays_cut_off_stops_the_fetch(world: LiveWorld, day: Interval) -> None:
    settings = world.settings.model_copy(update={"wikipedia_hourly": True})
    world.set_faults("cut;path=/dumps.wikimedia.org/")
    with pytest.raises(ProviderError, match="no complete gzip file"):
        fetch(WikipediaSource(settings), hour(day.start))


def test_a_dump_may_be_larger_than_other_answers(day: Interval) -> None:
    body = gzip.compress(random.Random(0).randbytes(MAX_BYTES + 1), compresslevel=1)
    app = FastAPI()

    @app.get("/{path:path}")
    async def say(path: str) -> Response:
        return Response(body, 200 if path.endswith(".gz") else 404)

    with serve(app) as url:
        source = WikipediaSource(world_settings(url, wikipedia_hourly=True))
        (page,) = fetch(source, hour(day.start))
    assert page.body == body


def test_a_cut_off_dump_in_bronze_gives_its_rows_and_one_dead_letter() -> None:
    noise = [b"en Page_%d %d 0" % (n * 7919 % 10_007, 100 + n) for n in range(5000)]
    whole = dump(*noise)
    found = list(SOURCE.parse(replace(whole, body=whole.body[: len(whole.body) // 2])))
    rows, last = found[:-1], found[-1]
    assert isinstance(last, Rejected)
    assert len(last.payload) < 100
    assert len(rows) < 5000
    assert rows == list(SOURCE.parse(whole))[: len(rows)]


def test_lines_that_do_not_fit_are_dead_letters_and_the_rest_is_left_out() -> None:
    page = dump(
        b"en Rust 120 0",
        b"en Rust",
        b"en.m Go many 0",
        b"en \xff\xfe 200 0",
        b"nonsense",
        b" 5 0",
        b"fr Rust",  # another project: not ours to judge
        b"en Rarely 99 0",
        b"en Main_Page 100000 0",
        b"en.d word 500 0",
    )
    found = list(SOURCE.parse(page))
    assert [r.values["record_id"] for r in found if isinstance(r, Record)] == [
        "en.wikipedia/desktop/Rust"
    ]
    assert [r.position for r in found if isinstance(r, Rejected)] == [1, 2, 3, 4, 5]


def test_dump_without_its_hour_is_one_dead_letter() -> None:
    (row,) = SOURCE.parse(dump(b"en Rust 120 0", key="nonsense"))
    assert isinstance(row, Rejected)


@pytest.mark.parametrize(
    "title",
    [
        "Main_Page", "-", "Special:Search", "Wikipedia:Featured_pictures", "Portal:Current_events",
        "User_talk:Jimbo_Wales", "Spezial:Suche", "Служебная:Поиск",
    ],
)  # fmt: skip
def test_pages_that_are_no_articles_are_known(title: str) -> None:
    assert is_meta(title)
    assert list(SOURCE.parse(top({**ARTICLE, "article": title}))) == []


@pytest.mark.parametrize(
    "title", ["Portal", "Star_Trek:_Picard", "Special:_A_Film", "Re:Zero", "C"]
)
def test_articles_are_not_taken_for_other_pages(title: str) -> None:
    assert not is_meta(title)


def test_unusable_projects_are_said(day: Interval) -> None:
    def reason(**changes: object) -> str:
        state = WikipediaSource(world_settings("http://127.0.0.1:1", **changes)).availability()
        assert not state.available
        return state.reason

    assert "set WIKIPEDIA_PROJECTS" in reason(wikipedia_projects=())
    assert "'english'" in reason(wikipedia_projects=("english",))
    hourly = reason(wikipedia_projects=("commons.wikimedia",), wikipedia_hourly=True)
    assert "WIKIPEDIA_HOURLY" in hourly
    assert SOURCE.availability().available


def test_sister_projects_have_their_own_domain_codes() -> None:
    assert list(wikipedia_dumps.domain_codes("en.wikipedia.org")) == [b"en", b"en.m"]
    assert list(wikipedia_dumps.domain_codes("fr.wiktionary")) == [b"fr.d", b"fr.m.d"]


def is_finite(value: Any) -> bool:
    return not re.search("NaN|Infinity", json.dumps(value))


JSON = ANY_JSON.filter(is_finite)
ITEMS = st.dictionaries(st.sampled_from(sorted(ARTICLE)), JSON, max_size=3).map(
    lambda changes: {**ARTICLE, **changes}
)


@given(st.lists(ITEMS | JSON, max_size=5))
def test_list_parser_accounts_for_every_article(items: list[Any]) -> None:
    found = list(SOURCE.parse(top(*items)))
    left_out = [
        item
        for item in items
        if isinstance(item, dict)
        and isinstance(item.get("article"), str)
        and is_meta(item["article"])
    ]
    assert len(items) - len(left_out) <= len(found) <= len(items)


HISTORIES = st.dictionaries(st.sampled_from(sorted(VIEWS)), JSON, max_size=3).map(
    lambda changes: {**VIEWS, **changes}
)


@given(st.lists(HISTORIES | JSON, max_size=5))
def test_history_parser_accounts_for_every_day(items: list[Any]) -> None:
    body = json.dumps({"items": items}).encode()
    found = list(SOURCE.parse(Page("views", "ZZ", 0, body, "GET http://x", NOON)))
    assert len(found) == len(items)


LINES = st.binary(max_size=30).map(lambda line: line.replace(b"\n", b" ")) | st.builds(
    lambda code, title, views: f"{code} {title} {views} 0".encode(),
    st.sampled_from(["en", "en.m", "fr", "en.d", ""]),
    st.text(alphabet=st.characters(exclude_categories=["Cs", "Zs", "Cc", "Zl", "Zp"]), max_size=8),
    st.integers(-5, 500) | st.sampled_from(["", "many", "1e3"]),
)


def is_left_out(line: bytes) -> bool:
    """Whether a line is one of those that the module says it leaves out."""
    if not line.startswith((b"en ", b"en.m ")):
        return line.find(b" ") > 0
    found = re.fullmatch(rb"en(?:\.m)? ([^ ]+) (\d+) [^ ]*", line)
    if found is None:
        return False
    return int(found[2]) < wikipedia_dumps.MIN_VIEWS or is_meta(found[1].decode())


@given(st.lists(LINES, max_size=8))
def test_dump_parser_accounts_for_every_line(lines: list[bytes]) -> None:
    alone = [list(SOURCE.parse(dump(line))) for line in lines]
    for line, found in zip(lines, alone, strict=True):
        assert len(found) == 1 or (not found and is_left_out(line))
    assert len(list(SOURCE.parse(dump(*lines)))) == sum(map(len, alone))


@given(
    st.sampled_from(["top", "views", "hours"]),
    st.binary() | ANY_JSON.map(lambda v: json.dumps(v).encode()),
    st.sampled_from(["#hours/all/2026-01-11T09:00", "", "#hours/all/never"]),
)
def test_parser_never_raises_on_any_body(stream: str, body: bytes, key: str) -> None:
    for row in SOURCE.parse(Page(stream, "ZZ", 0, body, f"GET http://x{key}", NOON)):
        assert isinstance(row, Rejected)
