"""One story of a champion on real services: drift, retraining, canary, bad release, broken field.

`pytest tests/integration/test_lifecycle_story.py -s` prints its time line.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from lifecycle import Story, record_badly_scaled, record_views_count_otherwise

from ml import features, warehouse
from ml.monitoring.drift import DriftReport, run_drift_report
from ml.monitoring.retraining import ask_retraining
from ml.registry import aliases, audit, health, promotion, releases, rollouts
from ml.registry.audit import Cause
from ml.registry.releases import Release
from ml.registry.tracking import client
from ml.serving import champions as serving
from ml.serving.records import Record, Recorder, as_json
from ml.settings import Settings
from ml.storage.postgres import connect, copy_rows
from ml.trend.video.dataset import build_dataset, load_params
from ml.trend.video.matrix import model_input
from ml.trend.video.train import NAME, train_video

START = datetime(2021, 1, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
TRAINED, QUIET, SHIFTED, LATER, BROKEN = (START + days * DAY for days in (50, 57, 64, 92, 99))
# From here on the source counts every view three times.
BROKE_ON = LATER + DAY
LIFE = 6
LASTING = {20, 24}
PARAMS = {**load_params(), "test_share": 0.15, "window_days": 50}
BY_HAND = Cause("test", "pushed by hand")
COLUMNS = (
    "source", "region", "video_id", "observed_at", "available_at", "chart_rank", "title",
    "channel_id", "channel_title", "category_id", "published_at", "language", "duration_s",
    "views", "likes", "comments", "regions_listed", "made_for_kids", "bronze_key", "is_synthetic",
)  # fmt: skip


def videos(
    start: datetime, days: int, a_day: int, categories: tuple[int, ...], scale: float
) -> Iterator[tuple]:
    """Daily observations; the views of some categories go on growing, those of others stop.

    Args:
        start: when the first is published.
        days: in which others follow, `a_day` each.
        a_day: videos.
        categories: one of them each.
        scale: of the views, against the usual 22,000 on the first day.
    """
    random = np.random.default_rng(start.toordinal())
    for number in range(days * a_day):
        first = start + DAY * (number / a_day)
        category = int(random.choice(categories))
        growth, views = float(random.exponential(0.5)), scale * float(random.lognormal(10, 1))
        duration = float(random.uniform(60, 560))
        for day in range(LIFE):
            at = first + day * DAY
            yield (
                "youtube-panel", "ZZ", f"s{start:%m%d}{number:06d}", at, at, 1 + number % 50,
                f"I made a chess opening part {number}", f"channel{number % 60}",
                f"Channel {number % 60}", category,
                first - timedelta(hours=float(random.uniform(5, 90))), "en", duration,
                int(views * (3 if at >= BROKE_ON else 1)), int(views / 20) + 1,
                int(views / 200) + 1, 2, False, "raw/test", False,
            )  # fmt: skip
            views *= math.exp(max(0.0, growth + random.normal(0, 0.05)))
            growth *= 0.85 if category in LASTING else 0.35


def newcomers() -> Iterator[tuple]:
    """Ten times as many videos of categories that no model has seen, with more views."""
    return videos(QUIET, 42, 200, (23, 24, 24, 25), scale=4)


@pytest.fixture(scope="module")
def story() -> Story:
    return Story()


@pytest.fixture(scope="module")
def settings(own_database: Settings, tmp_path_factory) -> Iterator[Settings]:
    """A platform without a version of the model, whose rollouts need no patience."""
    if releases.versions(NAME, own_database):
        client(own_database).delete_registered_model(NAME)
    yield own_database.model_copy(update={
        "data_dir": tmp_path_factory.mktemp("archives"),  # real rows count
        "model_cache_dir": tmp_path_factory.mktemp("cache"),
        "rollout_window_s": 0.0,
        "rollout_min_answers": 30,
    })  # fmt: skip
    client(own_database).delete_registered_model(NAME)


@pytest.fixture(autouse=True)
def only_one_is_served(monkeypatch):
    monkeypatch.setattr(serving, "SERVED", (NAME,))


def land(settings: Settings, after: datetime, as_of: datetime, rows: Iterable[tuple]) -> None:
    """Load what is observed between two moments and build the features that are known then."""
    seen = (row for row in rows if after <= row[3] < as_of)
    with connect(settings.database_url) as conn:
        copy_rows(conn, "raw.youtube_videos", COLUMNS, seen)
        conn.execute("analyze raw.youtube_videos")
    select = ["run", "--select", "+path:models/features", "path:models/staging"]
    warehouse.run_dbt(select, as_of=as_of, settings=settings)


def watch(settings: Settings, as_of: datetime, story: Story) -> DriftReport:
    report = run_drift_report(as_of, settings)
    story.tell(
        f"drift report of {report.model_version} as of {as_of:%m-%d}: {report.verdict},"
        f" {report.columns_drifted} of {report.columns_checked} columns"
    )
    return report


def served(settings: Settings) -> serving.Champions:
    return serving.Champions(settings, {NAME: lambda model, folder, release: model})


def ask(champions: serving.Champions, settings: Settings, asked: Any) -> dict[str, str]:
    """Ask for each video as another caller, record it as the API does; which version answered whom.

    Args:
        asked: rows of the feature service.
    """
    champions.refresh()
    recorder, answered = Recorder(settings), {}
    callers = [f"caller {number}" for number in range(len(asked))]
    chosen = {caller: champions.get(NAME, caller) for caller in callers}
    for version in {each.release.version: each for each in chosen.values()}.values():
        mine = [chosen[caller] is version for caller in callers]
        rows = asked[mine]
        inputs = model_input(rows, version.run.specification.columns)
        scores = version.run.predict(inputs)["probability"]
        answered |= {c: version.release.version for c in callers if chosen[c] is version}
        for video, score in zip(rows["video_id"], scores, strict=True):
            recorder.add(
                Record(
                    str(uuid4()), version.row_id, "predict/video", video, "{}",
                    as_json({"rising": bool(score > 0.5)}), round(float(score), 4), 5,
                    (datetime.now(UTC) + timedelta(seconds=1)).isoformat(), "{}",
                )
            )  # fmt: skip
    recorder._write(list(recorder._waiting))
    return answered


@pytest.fixture(scope="module")
def champion(settings: Settings, story: Story) -> Release:
    land(settings, START, TRAINED, videos(START, 57, 20, (10, 20, 20, 22), scale=1))
    features.apply(settings)
    release = train_video(TRAINED, settings, PARAMS)
    assert release.is_champion, release.reason
    story.tell(f"{release.version} is trained as of {TRAINED:%m-%d} and serves: {release.reason}")
    return release


@pytest.fixture(scope="module")
def asked(settings: Settings, champion: Release) -> Any:
    """First rows of the last 600 videos, after the newcomers have come."""
    land(settings, QUIET, SHIFTED, newcomers())
    frame = build_dataset(SHIFTED, PARAMS, settings).frame
    return frame[frame["entity_day"] == 1].tail(600)


def test_a_quiet_week_raises_no_alarm(settings, story, champion):
    land(settings, TRAINED, QUIET, videos(START, 57, 20, (10, 20, 20, 22), scale=1))
    quiet = watch(settings, QUIET, story)
    assert quiet.verdict == "stable"
    assert ask_retraining(quiet, f"{quiet.current[1]:%m-%d}", settings) is None


def test_a_shift_is_called_within_a_cycle_and_its_challenger_becomes_champion(
    settings, story, champion, asked
):
    report = watch(settings, SHIFTED, story)
    assert report.verdict == "drift"
    request = ask_retraining(report, f"{report.current[1]:%m-%d}", settings)
    assert request.is_granted
    story.tell(f"a retraining is granted: {request.reason}")

    champions = served(settings)
    assert set(ask(champions, settings, asked).values()) == {champion.version}
    challenger = train_video(SHIFTED, settings, PARAMS)
    story.tell(f"{challenger.version}: {challenger.decision}: {challenger.reason}")
    # There is traffic: who wins goes through a canary first.
    assert (challenger.decision, challenger.aliases) == ("needs_rollout", ("staging",))
    figures = json.loads(challenger.tags["metrics"])
    assert figures["model"]["auc"] > figures["champion"]["auc"]
    rollouts.start(NAME, "staging", "canary", BY_HAND, settings=settings)
    answered = list(ask(champions, settings, asked).values())
    share = answered.count(challenger.version) / len(answered)
    assert 0.05 < share < 0.15
    ended = rollouts.check(NAME, settings)
    story.tell(f"canary of {challenger.version} at {share:.0%} of callers: {ended.status}")
    assert ended.status == "promoted", ended.reason
    assert set(ask(champions, settings, asked).values()) == {challenger.version}


def test_a_badly_scaled_release_is_caught_by_the_canary(settings, story, asked, tmp_path):
    serves = releases.champion(NAME, settings)
    assert serves is not None
    release = record_badly_scaled(asked, PARAMS, tmp_path, settings)
    aliases.move(NAME, [("staging", release.mlflow_version)], BY_HAND, settings)
    rollouts.start(NAME, "staging", "canary", BY_HAND, settings=settings)
    champions = served(settings)
    before = time.monotonic()
    answered = ask(champions, settings, asked)
    ended = rollouts.check(NAME, settings)
    took = time.monotonic() - before
    assert ended.status == "rolled_back"
    story.tell(f"{release.version} goes back {took:.1f} s after its first answer: {ended.reason}")
    # Nobody beyond a tenth of the callers had an answer of it, and now nobody has.
    assert set(answered.values()) == {release.version, serves.version}
    assert 0.05 < list(answered.values()).count(release.version) / len(answered) < 0.15
    assert set(ask(champions, settings, asked).values()) == {serves.version}
    assert releases.champion(NAME, settings).version == serves.version


def test_a_definition_that_breaks_starts_no_retraining(settings, story, champion):
    land(settings, SHIFTED, LATER, newcomers())
    trained = train_video(LATER, settings, PARAMS)
    if not trained.is_champion:
        trained = promotion.promote(NAME, trained.version, BY_HAND, settings=settings)
    story.tell(f"{trained.version} is trained as of {LATER:%m-%d} and serves")
    land(settings, LATER, BROKEN, newcomers())
    record_views_count_otherwise(BROKE_ON.date(), "Each view counts three times.", settings)
    report = watch(settings, BROKEN, story)
    assert report.verdict == "definition_break"
    assert ask_retraining(report, f"{report.current[1]:%m-%d}", settings) is None
    story.tell("no retraining is asked for")


def test_every_step_is_in_the_audit(settings, story, champion):
    told = [row["action"] for row in audit.show(settings, NAME, limit=200)]
    assert {"rollout_started", "rollout_ended"} <= set(told)
    assert audit.verify(settings).broken is None
    assert health.has_traffic(NAME, settings)
    print("\n" + "\n".join(story.lines))
