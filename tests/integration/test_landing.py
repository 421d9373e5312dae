from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import make_url

from ml.exceptions import FatalError, ProviderError, QuotaExceededError
from ml.runtime.services import postgres_programs
from ml.runtime.state import State
from ml.settings import get_settings
from ml.sources.access import Access
from ml.sources.base import Availability, Interval, Page, Record, Rejected, Source, SourceSpec
from ml.sources.quota import Level, Quota
from ml.storage import postgres
from ml.storage.landing import close_day, covered, land, land_missing
from ml.storage.objects import ObjectStore
from ml.storage.quotas import LedgerMeter
from ml.storage.replay import replay_bronze, replay_dead_letters
from ml.storage.source_checks import check_sources, verified_sources

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = Interval(START, START + timedelta(days=1))
NEXT_DAY = Interval(DAY.end, DAY.end + timedelta(days=1))


@dataclass
class Feed(Source):
    """A source of two pages: records, a video, and an item that does not parse."""

    name: str
    text: str = "first"
    fetched_at: datetime = START + timedelta(hours=1)
    request: str = "GET https://feed.example/list"
    fail_at: int | None = None
    unavailable: str = ""
    parses: bool = True
    replayable_itself: bool = True
    own_settings: Any = None
    fetches: int = 0
    cursors: list[Any] = field(default_factory=list)
    skipped: list[Any] = field(default_factory=list)
    quotas: tuple[Quota, ...] = ()

    def __post_init__(self) -> None:
        super().__init__(self.own_settings or get_settings())
        self.spec = SourceSpec(
            id=self.name, family="feed", title="A feed", docs=(), kinds=("item",),
            base_url="https://feed.example", replayable=self.replayable_itself,
            quotas=self.quotas,
        )  # fmt: skip

    def availability(self) -> Availability:
        return Availability(not self.unavailable, self.unavailable)

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        self.fetches += 1
        self.cursors.append(cursor)
        self.skipped.append(access.skipped_since)
        for number in range(2):
            if number == self.fail_at:
                raise ProviderError("the feed answered 503")
            body = json.dumps([f"{self.text} {number}", None]).encode()
            yield Page("list", "US", number, body, self.request, self.fetched_at)

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        if not self.parses:
            yield Rejected("page", "the parser has a bug", "", 0)
            return
        good, bad = json.loads(page.body)
        record = {
            "kind": "item", "record_id": str(page.number), "region": "ZZ", "event_at": START,
            "available_at": page.fetched_at, "payload": {"title": good},
        }  # fmt: skip
        yield Record("raw.records", record)
        yield Rejected("item", "has no title", json.dumps(bad), 1)
        video = {
            "region": page.region, "video_id": f"V{page.number:010d}", "observed_at": START,
            "available_at": page.fetched_at, "title": good, "views": 5, "tags": ["a", 'b"c'],
        }  # fmt: skip
        yield Record("raw.youtube_videos", video)

    def next_cursor(
        self, interval: Interval, cursor: Mapping[str, Any] | None, pages: Sequence[Page]
    ) -> Mapping[str, Any]:
        return {"through": interval.end.isoformat(), "before": (cursor or {}).get("through")}


def titles(source: str) -> list[str]:
    with postgres.connect() as conn:
        rows = conn.execute(
            "select payload ->> 'title' from raw.records where source = %s order by record_id",
            (source,),
        ).fetchall()
    return [row[0] for row in rows]


def one(query: str, *values: object) -> Any:
    with postgres.connect() as conn:
        row = conn.execute(query, values).fetchone()
    return row[0] if row else None


def many(query: str) -> list[Any]:
    with postgres.connect() as conn:
        return conn.execute(query).fetchall()


def execute(statement: str, *values: object) -> None:
    with postgres.connect() as conn:
        conn.execute(statement, values)


def letters(source: str) -> int:
    return one("select count(*) from ops.dead_letters where source = %s", source)


def test_an_interval_lands_in_bronze_and_both_tables(stack):
    feed = Feed("feed-a")
    result = land(feed, DAY, run_id="scheduled__2026-03-01T00:00:00+00:00")
    assert (result.rows, result.rows_new, result.rejected, result.pages) == (4, 4, 2, 2)
    assert result.bronze_keys[0] == (
        "raw/source=feed-a/date=2026-03-01/interval=20260301T000000Z_20260302T000000Z"
        "/run=scheduled__2026-03-01T00-00-00-00-00/page-00000.json.gz"
    )
    assert titles("feed-a") == ["first 0", "first 1"]
    assert letters("feed-a") == 2
    with postgres.connect() as conn:
        rows = conn.execute(
            "select tags, is_synthetic, bronze_key from raw.youtube_videos where source = 'feed-a'"
            " order by video_id"
        ).fetchall()
    assert rows == [(["a", 'b"c'], False, key) for key in result.bronze_keys]
    assert one("select cursor ->> 'through' from ops.cursors where source = 'feed-a'") == (
        "2026-03-02T00:00:00+00:00"
    )


def test_a_complete_run_is_not_fetched_again_and_adds_nothing(stack):
    feed = Feed("feed-b")
    first = land(feed, DAY, run_id="r")
    again = land(feed, DAY, run_id="r")
    assert feed.fetches == 1
    assert (again.rows, again.rows_new, again.rejected) == (4, 0, 2)
    assert again.bronze_keys == first.bronze_keys
    other = land(feed, DAY, run_id="another")
    assert feed.fetches == 2
    assert feed.cursors[1] == {"through": "2026-03-02T00:00:00+00:00",
                               "before": "2026-03-02T00:00:00+00:00"}  # fmt: skip
    assert other.rows_new == 0
    assert titles("feed-b") == ["first 0", "first 1"]


def test_only_a_later_observation_replaces_a_row(stack):
    land(Feed("feed-c", "noon", START + timedelta(hours=12)), DAY, run_id="1")
    land(Feed("feed-c", "morning", START + timedelta(hours=6)), DAY, run_id="2")
    assert titles("feed-c") == ["noon 0", "noon 1"]
    land(Feed("feed-c", "evening", START + timedelta(hours=18)), DAY, run_id="3")
    assert titles("feed-c") == ["evening 0", "evening 1"]


def test_a_record_is_known_since_its_first_sight_in_whatever_order_it_comes(stack):
    hours = {"a": (6, 12, 18), "b": (18, 6, 12), "c": (12, 18, 6)}
    for name, order in hours.items():
        for hour in order:
            seen = Feed(f"feed-first-{name}", f"at {hour}", START + timedelta(hours=hour))
            land(seen, DAY, run_id=str(hour))
        assert titles(seen.id) == ["at 18 0", "at 18 1"]
        assert known(seen.id) == [(START + timedelta(hours=18), START + timedelta(hours=6))]


def test_a_replay_of_the_last_day_keeps_the_first_sights_of_the_day_before(stack):
    land(Feed("feed-days", "first"), DAY, run_id="r")
    later = Feed("feed-days", "second", START + timedelta(hours=30))
    land(later, NEXT_DAY, run_id="r")
    assert replay_bronze(later, NEXT_DAY.start, NEXT_DAY.end).pages == 2
    assert titles("feed-days") == ["second 0", "second 1"]
    assert known("feed-days") == [(START + timedelta(hours=30), START + timedelta(hours=1))]


def known(source):
    return many(
        "select distinct available_at, first_available_at from raw.records"
        f" where source = '{source}'"
    )


def test_a_provider_that_fails_half_way_leaves_no_row_and_is_fetched_anew(stack):
    feed = Feed("feed-d", fail_at=1)
    with pytest.raises(ProviderError):
        land(feed, DAY, run_id="r")
    assert titles("feed-d") == []
    assert one("select count(*) from ops.cursors where source = 'feed-d'") == 0
    feed.fail_at, feed.text = None, "second"
    assert land(feed, DAY, run_id="r").rows_new == 4
    assert titles("feed-d") == ["second 0", "second 1"]


def test_bronze_without_its_rows_is_loaded_without_a_fetch(stack):
    land(Feed("feed-e"), DAY, run_id="r")
    with postgres.connect() as conn:
        for table in ("raw.records", "raw.youtube_videos", "ops.dead_letters", "ops.cursors"):
            conn.execute(f"delete from {table} where source = 'feed-e'")
    feed = Feed("feed-e")
    assert land(feed, DAY, run_id="r").rows_new == 4
    assert feed.fetches == 0
    assert letters("feed-e") == 2


def test_changed_bronze_is_refused(stack):
    result = land(Feed("feed-f"), DAY, run_id="r")
    ObjectStore(stack).put_bytes(stack.bucket("bronze"), result.bronze_keys[0], b"changed")
    with pytest.raises(FatalError, match="is not what its manifest says"):
        land(Feed("feed-f"), DAY, run_id="r")


def test_an_unavailable_source_says_why(stack):
    feed = Feed("feed-g", unavailable="set FEED_KEY")
    result = land(feed, DAY, run_id="r")
    assert (result.status, result.reason, result.rows) == ("empty", "set FEED_KEY", 0)
    assert feed.fetches == 0


def test_what_the_simulated_world_sends_is_labelled(stack):
    land(Feed("feed-h", request=f"GET {stack.world_url}/feed"), DAY, run_id="r")
    assert one("select bool_and(is_synthetic) from raw.records where source = 'feed-h'") is True


def test_every_interval_is_recorded_with_what_landed(stack):
    land(Feed("feed-i"), DAY, run_id="r")
    land(Feed("feed-i", unavailable="set FEED_KEY"), NEXT_DAY, run_id="r")
    rows = many(
        "select status, reason, pages, rows, rejected from ops.landings where source = 'feed-i'"
        " order by interval_start"
    )
    assert rows == [("landed", "", 2, 4, 2), ("empty", "set FEED_KEY", 0, 0, 0)]


def test_a_source_that_knows_the_present_only_is_not_asked_about_the_past(stack):
    settings = stack.changed({"sources_from": "providers"})
    feed = Feed("feed-j", replayable_itself=False, own_settings=settings)
    result = land(feed, DAY, run_id="r")
    assert result.status == "empty"
    assert "present" in result.reason
    assert feed.fetches == 0


def test_an_interval_after_skipped_ones_is_told_since_when(stack):
    """From what was recorded and not from the cursor: parts of a backfill land in any order."""
    quota = Quota("feed-skips", per_day=12)

    class HourlyFeed(Feed):
        def levels(self):
            return (Level("full", {"default": 1}),)

    feed = HourlyFeed("feed-skips", quotas=(quota,))
    day = START - timedelta(days=30)
    hours = [Interval(day + timedelta(hours=h), day + timedelta(hours=h + 1)) for h in range(5)]
    states = [land(feed, hours[hour], run_id="r1").status for hour in (4, 0, 1, 2, 3)]
    assert states == ["landed", "landed", "empty", "landed", "empty"]
    assert feed.skipped == [None, None, hours[1].start]
    land(feed, hours[4], run_id="r2")
    assert feed.skipped[-1] == hours[3].start


def test_a_quota_is_booked_before_the_call_and_shared_by_all(stack):
    quota = Quota("feed-quota", per_day=3, zone="America/Los_Angeles")
    noon = START + timedelta(hours=12)
    with LedgerMeter(stack) as one_worker, LedgerMeter(stack) as another:
        one_worker.spend(quota, 2, noon)
        with pytest.raises(QuotaExceededError, match="1 of 3 are left") as caught:
            another.spend(quota, 2, noon)
        another.spend(quota, 1, noon)
        assert one_worker.left(quota, noon) == 0
        another.spend(quota, 3, noon + timedelta(days=1))
    assert caught.value.resets_at == datetime(2026, 3, 2, 8, tzinfo=UTC)
    with pytest.raises(QuotaExceededError), LedgerMeter(stack) as meter:
        meter.spend(Quota("feed-none", per_day=0), 1, noon)


def test_a_parser_bug_loses_nothing(stack):
    broken = Feed("feed-k", parses=False)
    assert land(broken, DAY, run_id="r").rejected == 2
    assert many("select 1 from raw.records where source = 'feed-k'") == []
    mended = Feed("feed-k")
    done = replay_dead_letters(mended)
    # Each page yields one item that nobody can parse; the two that hid the pages are mended.
    assert (done.pages, done.rows, done.rejected, done.mended) == (2, 4, 2, 2)
    assert mended.fetches == 0
    again = replay_dead_letters(mended)
    assert (again.rows, again.mended) == (4, 0)
    statuses = many(
        "select status, count(*) from ops.dead_letters where source = 'feed-k'"
        " group by 1 order by 1"
    )
    assert statuses == [("open", 2), ("replayed", 2)]


def test_raw_rows_are_rebuilt_from_bronze_alone(stack):
    feed = Feed("feed-l")
    land(feed, DAY, run_id="r")
    before = many("select * from raw.records where source = 'feed-l' order by record_id")
    execute("delete from raw.records where source = 'feed-l'")
    execute("update raw.youtube_videos set title = 'wrong' where source = 'feed-l'")
    done = replay_bronze(feed, START, START + timedelta(days=2))
    assert (done.pages, done.rows) == (2, 4)
    after = many("select * from raw.records where source = 'feed-l' order by record_id")
    assert [row[:6] for row in after] == [row[:6] for row in before]
    assert (
        one("select count(*) from raw.youtube_videos where source = 'feed-l' and title = 'wrong'")
        == 0
    )
    assert replay_bronze(feed, START + timedelta(days=1), START + timedelta(days=2)).pages == 0
    assert feed.fetches == 1


def test_a_restored_database_catches_up_from_bronze(stack, tmp_path):
    feed = Feed("feed-r")
    land(feed, DAY, run_id="scheduled__2026-03-02T00:00:00+00:00")
    backup = tmp_path / "yesterday.dump"
    tables = [f"--table={name}" for name in _LANDED]
    _postgres_tool("pg_dump", "--format=custom", "--data-only", *tables, f"--file={backup}")
    land(feed, NEXT_DAY, run_id="scheduled__2026-03-03T00:00:00+00:00")
    queries = [
        f"select {columns} from {table} where source = 'feed-r' order by {columns}"
        for table, columns in _LANDED.items()
    ]
    before = [many(query) for query in queries]

    execute(f"truncate {', '.join(_LANDED)}")
    _postgres_tool("pg_restore", "--data-only", str(backup))
    assert [many(query) for query in queries] != before

    done = land_missing(feed)
    assert [(result.interval, result.rows) for result in done] == [(NEXT_DAY, 4)]
    assert [many(query) for query in queries] == before
    assert land_missing(feed) == []
    assert feed.fetches == 2


_LANDED = {
    "raw.records": "record_id, event_at, available_at, payload, bronze_key",
    "raw.youtube_videos": "video_id, observed_at, title, bronze_key",
    "ops.dead_letters": "kind, reason, bronze_key, position, status",
    "ops.cursors": "stream, cursor",
    "ops.landings": "interval_start, interval_end, status, rows, rows_new, rejected",
}


def _postgres_tool(name: str, *arguments: str) -> None:
    settings = get_settings()
    program = postgres_programs(State(settings.state_dir)) / name
    url = make_url(settings.require("database_url"))
    where = {
        "PGHOST": url.host, "PGPORT": str(url.port), "PGUSER": url.username,
        "PGPASSWORD": str(url.password),
    }  # fmt: skip
    command = [program, f"--dbname={url.database}", *arguments]
    subprocess.run(command, check=True, env={**os.environ, **where})


def test_a_day_is_closed_with_the_latest_landing_of_every_source(stack):
    execute("delete from ops.landings where interval_start = %s", START)
    land(Feed("feed-m"), DAY, run_id="1")
    land(Feed("feed-m"), DAY, run_id="2")
    land(Feed("feed-n", unavailable="set FEED_KEY"), DAY, run_id="1")
    assert close_day("2026-03-01") == {
        "day": "2026-03-01", "families": 1, "sources_landed": 1, "sources_empty": 1, "rows": 4,
        "rejected": 2,
    }  # fmt: skip
    assert covered("feed", "1")["days"]["2026-03-01"] == {
        "rows": 4, "rejected": 2, "landed": 1, "empty": 1,
    }  # fmt: skip


def test_a_source_is_verified_by_its_provider_only(stack):
    (check,) = check_sources([Feed("feed-o")])
    assert check.status == "simulated"
    assert "feed-o" not in verified_sources()
    real = stack.changed({"sources_from": "providers"})
    (check,) = check_sources([Feed("feed-o", own_settings=real)])
    assert (check.status, check.detail) == ("verified", "4 records, 2 rejected")
    assert "feed-o" in verified_sources()
    (check,) = check_sources([Feed("feed-o", own_settings=real, fail_at=0)])
    assert check.status == "failed"
    assert "503" in check.detail
    assert "feed-o" in verified_sources()
