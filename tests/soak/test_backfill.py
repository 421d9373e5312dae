"""A week by Airflow's own backfill: through to the marts, twice, and beside live ingestion."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from ml.airflow_client import AirflowClient
from ml.sources.catalog import family
from ml.storage.postgres import connect

_FAMILIES = ("youtube", "hackernews")
_DAYS = 7
_START = datetime(2026, 3, 1, tzinfo=UTC)
_END = _START + timedelta(days=_DAYS)
# What a second landing of the same observations must leave as it is.
_ROWS = {
    "raw.youtube_videos": "observed_at",
    "raw.records": "available_at",
}


@pytest.fixture(scope="module")
def week(platform):
    """Digests of a week's rows and marts after its first backfill."""
    client = AirflowClient(platform)
    client.pause("build_features")  # what follows the marts is not looked at here
    try:
        _backfill(client)
        yield _digests(platform)
    finally:
        client.pause("build_features", is_paused=False)


def test_every_day_lands_is_announced_and_reaches_the_marts(platform, week):
    days = [f"{_START + timedelta(days=number):%Y-%m-%d}" for number in range(_DAYS)]
    with connect(platform.require("database_url")) as conn:
        landed = conn.execute(
            "select family, array_agg(distinct to_char(interval_start at time zone 'UTC',"
            " 'YYYY-MM-DD')) from ops.landings where family = any(%s) and status = 'landed'"
            " and run_id like 'backfill%%' group by 1 order by 1",
            (list(_FAMILIES),),
        ).fetchall()
        built = conn.execute(
            "select distinct observed_date::text from marts.fct_video_daily order by 1"
        ).fetchall()
        stories = conn.execute("select sum(stories) from marts.dim_topic").fetchone()
    assert landed == [(name, days) for name in sorted(_FAMILIES)]
    # A day's observation is made at its end.
    assert {day for (day,) in built} >= set(days[1:])
    assert stories[0] > 0
    client = AirflowClient(platform)
    for name in _FAMILIES:
        events = client.asset_events(f"ingest_{name}")
        assert set(days) <= {event["partition_key"] for event in events}


def test_a_second_backfill_changes_nothing(platform, week):
    _backfill(AirflowClient(platform))
    assert _digests(platform) == week


def test_a_backfill_beside_live_ingestion_changes_nothing(platform, week):
    client = AirflowClient(platform)
    live = {"start": _END.isoformat(), "end": (_END + timedelta(days=2)).isoformat()}
    runs = {name: client.trigger(f"ingest_{name}", live) for name in _FAMILIES}
    _backfill(client)
    _until(
        lambda: all(
            client.run(f"ingest_{name}", run)["state"] == "success" for name, run in runs.items()
        )
    )
    beside = _digests(platform)
    # Whatever came first, the rows are those of the two one after the other.
    for name in _FAMILIES:
        client.trigger(f"ingest_{name}", live)
    _backfill(client)
    assert _digests(platform) == beside
    # What live ingestion sees again counts as seen later, and is known since its first sight.
    table = "raw.youtube_videos"
    assert beside[table] == week[table]
    assert _first_sights(platform) == week["raw.records"][0]
    with connect(platform.require("database_url")) as conn:
        newest = conn.execute("select max(observed_at) from raw.youtube_videos").fetchone()[0]
    assert newest > _END


def _first_sights(settings):
    """How many records of the week are known since the week."""
    sources = [source.id for name in _FAMILIES for source in family(name, settings)]
    with connect(settings.require("database_url")) as conn:
        return conn.execute(
            "select count(*) from raw.records where source = any(%s)"
            " and least(first_available_at, available_at) > %s"
            " and least(first_available_at, available_at) <= %s",
            (sources, _START, _END),
        ).fetchone()[0]


def _backfill(client):
    last = _END - timedelta(days=1)
    ids = [client.backfill(f"ingest_{name}", _START, last) for name in _FAMILIES]
    _until(lambda: all(client.backfill_is_done(number) for number in ids))
    # The builds that its events start, too.
    for _ in range(2):
        _until(lambda: not client.active_runs())
        time.sleep(5)
    runs = [run for name in _FAMILIES for run in client.latest_runs(f"ingest_{name}")]
    assert {run["state"] for run in [*runs, *client.latest_runs("build_marts")]} == {"success"}


def _until(holds, timeout_s=1200):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"nothing within {timeout_s} s"
        time.sleep(2)


def _digests(settings):
    sources = [source.id for name in _FAMILIES for source in family(name, settings)]
    with connect(settings.require("database_url")) as conn:
        found = {
            table: conn.execute(
                "select count(*), md5(string_agg(t::text, '|' order by t::text)) from ("
                f" select (to_jsonb(r) - 'bronze_key' - 'ingested_at')::text from {table} as r"
                f" where source = any(%s) and {moment} > %s and {moment} <= %s) as t",
                (sources, _START, _END),
            ).fetchone()
            for table, moment in _ROWS.items()
        }
        found["marts.fct_video_daily"] = conn.execute(
            "select count(*), md5(string_agg(t::text, '|' order by t::text))"
            " from marts.fct_video_daily as t"
        ).fetchone()
    return found
