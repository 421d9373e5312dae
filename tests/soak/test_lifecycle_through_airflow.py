"""The life of a champion through the real scheduler, on data of the simulated world.

`pytest tests/soak/test_lifecycle_through_airflow.py -s` prints its time line. Nothing is called
behind Airflow's back: the world is ingested, every run follows from the asset events of another,
and callers of the HTTP API are the traffic of the canaries.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from lifecycle import Story, record_badly_scaled, record_views_count_otherwise

from ml.airflow_client import FINISHED, AirflowClient
from ml.exceptions import RetriableError
from ml.registry import audit, releases
from ml.registry.releases import Release
from ml.runtime.state import State
from ml.serving.security.keys import create_key
from ml.settings import PROJECT_ROOT, Settings
from ml.storage.postgres import connect
from ml.trend.video.dataset import build_dataset, load_params
from ml.trend.video.train import NAME
from ml.world.parameters import WORLD_START

ENVIRONMENT = {
    "YTEMPIRE_TRAIN_ON": "drift",
    "YOUTUBE_REGIONS": '["IN", "AU", "PH"]',  # whose charts keep videos long enough for outcomes
    "YOUTUBE_SEARCH_QUERIES": "[]",
    "YTEMPIRE_ROLLOUT_CHECK_S": "5",
    "YTEMPIRE_ROLLOUT_WINDOW_S": "20",
    # Time enough for the answers below, and not for ever if they do not come.
    "YTEMPIRE_ROLLOUT_LONGEST_S": "600",
    "YTEMPIRE_ROLLOUT_MIN_ANSWERS": "60",
    "YTEMPIRE_API_RATE_LIMITS": '{"predict": "6000/60"}',
}
CRITERIA = PROJECT_ROOT / "ml" / "registry" / "validation" / "criteria.yaml"
SLOWEST_MS = 10_000
# What has no part in the story stays paused.
CAST = (
    "ingest_youtube", "build_marts", "build_features", "train_trend_video", "watch_drift",
    "roll_out_model",
)  # fmt: skip
DAY = timedelta(days=1)
TRAINED, SHIFTED, LATER, BROKEN = (WORLD_START + days * DAY for days in (28, 35, 56, 63))
SHIFT = f"at={TRAINED:%Y-%m-%d};niches=cooking+education+science;views=4;growth=1.6"
BREAK = f"break;at={LATER:%Y-%m-%d};factor=3;field=viewCount;path=youtube/v3/videos"
CALLERS = 120
# A tenth is meant; of so many callers hardly ever a fifth is drawn.
MOST_OF_CANARY = 0.2
RECENT_VIDEOS = """
    select video_id from features.video_standing
    where event_at > %(as_of)s - interval '1 day' and event_at <= %(as_of)s
        and standing_day between 1 and 3
    order by md5(video_id) limit 400
"""


@dataclass(frozen=True)
class Run:
    """A run of a DAG."""

    dag_id: str
    run_id: str


@dataclass(frozen=True)
class Told:
    """One answer of the API: to whom, of which version, or what was wrong."""

    caller: int
    status: int
    version: str
    error: str


class Scheduler:
    """Follows runs, and the asset events that lead from one to the next."""

    def __init__(self, settings: Settings) -> None:
        self.client = AirflowClient(settings)

    def only(self, dag_ids: tuple[str, ...]) -> None:
        """Pause every other DAG, once all of these are known."""
        until(lambda: set(dag_ids) <= self.client.known_dags(), 180)
        for dag_id in self.client.known_dags() - set(dag_ids):
            self.client.pause(dag_id)

    def start(self, dag_id: str, **conf: str) -> Run:
        """Start a run by hand."""
        return Run(dag_id, self.client.trigger(dag_id, conf))

    def follower(self, dag_id: str, source: Run) -> Run:
        """The run of a DAG that an asset event of another run has created, once there is one."""
        return until(lambda: next(iter(self.followers(dag_id, source)), None), 900)

    def followers(self, dag_id: str, source: Run) -> list[Run]:
        """The runs of a DAG that asset events of another run have created, by both their ends."""
        created = {
            run["run_id"]
            for event in self.client.asset_events(source.dag_id, source.run_id)
            for run in event["created_dagruns"]
            if run["dag_id"] == dag_id
        }
        for run_id in created:
            assert (source.dag_id, source.run_id) in self.client.asset_sources(dag_id, run_id)
        return [Run(dag_id, run_id) for run_id in sorted(created)]

    def end(self, run: Run, timeout_s: float = 1800) -> str:
        """Wait for the end of a run, and say how it was."""

        def ended() -> str | None:
            found = self.client.run(run.dag_id, run.run_id)
            return found["state"] if found and found["state"] in FINISHED else None

        return until(ended, timeout_s)

    def succeed(self, run: Run) -> Run:
        """The run, after its success."""
        assert self.end(run) == "success", self.errors(run)
        return run

    def result(self, run: Run, task_id: str) -> Any:
        """What a task has returned."""
        return self.client.result(run.dag_id, run.run_id, task_id)

    def states(self, run: Run) -> dict[str, str]:
        """How each task ended."""
        tasks = self.client.tasks(run.dag_id, run.run_id)
        return {task["task_id"]: task["state"] for task in tasks}

    def errors(self, run: Run) -> dict[str, str | None]:
        """What the tasks that failed say."""
        return {
            task["task_id"]: self.client.task_error(run.dag_id, run.run_id, task)
            for task in self.client.tasks(run.dag_id, run.run_id)
            if task["state"] == "failed"
        }


class Callers:
    """Callers with keys of their own, who ask the API about recent videos without a pause.

    Attributes:
        videos: that they ask about.
        told: every answer, oldest first.
    """

    def __init__(self, settings: Settings) -> None:
        port = State(settings.state_dir).ports["api"]
        self.url = f"http://127.0.0.1:{port}"
        self.keys = [
            create_key(settings, f"caller {number}", ["caller"])[1] for number in range(CALLERS)
        ]
        self.videos: list[str] = []
        self.told: list[Told] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def start(self, version: str) -> None:
        """Begin to ask, once the API answers with a version."""
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as http:
            until(lambda: self._ask_once(http, 0, self.videos[0]).version == version, 180)
        self._thread.start()

    def stop(self) -> None:
        """Stop asking."""
        self._is_over.set()
        self._thread.join(30)

    def _ask(self) -> None:
        turns, draw = itertools.count(), random.Random(7)
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as http:
            while not self._is_over.wait(0.05):
                turn = next(turns)
                caller = turn % CALLERS
                self.told.append(self._ask_once(http, caller, draw.choice(self.videos)))

    def _ask_once(self, http: httpx.Client, caller: int, video: str) -> Told:
        headers = {"X-API-Key": self.keys[caller]}
        answer = http.post("/ml/v1/predict/video", json={"video_id": video}, headers=headers)
        told = answer.json()
        return Told(
            caller, answer.status_code, told.get("model_version", ""), told.get("error", "")
        )

    def until_all_hear(self, version: str) -> None:
        """Wait until every caller's last answer is of a version."""

        def heard() -> bool:
            last = self.told[-CALLERS:]
            return {each.version for each in last} == {version} and len(last) == CALLERS

        until(heard, 180)

    def hear(self, since: int) -> dict[str, set[int]]:
        """Who heard each version, from an answer on."""
        heard: dict[str, set[int]] = {}
        for each in self.told[since:]:
            heard.setdefault(each.version, set()).add(each.caller)
        return heard


def until(holds: Callable[[], Any], timeout_s: float) -> Any:
    """What `holds` gives once it is true; Airflow may be too busy for an answer now and then."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with suppress(RetriableError):
            if found := holds():
                return found
        time.sleep(1)
    raise AssertionError(f"nothing within {timeout_s:.0f} s")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """With limits of latency for a machine that everything here shares; all others are usual."""
    criteria = yaml.safe_load(CRITERIA.read_text())
    criteria["defaults"]["latency_p95_ms"] = SLOWEST_MS
    changed = tmp_path_factory.mktemp("criteria") / "criteria.yaml"
    changed.write_text(yaml.safe_dump(criteria))
    return ENVIRONMENT | {
        "YTEMPIRE_RELEASE_CRITERIA": str(changed),
        "YTEMPIRE_ROLLOUT_LATENCY_P95_MS": str(SLOWEST_MS),
    }


@pytest.fixture(scope="module")
def story() -> Story:
    return Story()


@pytest.fixture(scope="module")
def scheduler(own_platform: Settings, story: Story) -> Scheduler:
    story.tell("the platform is up, the world is the one it always was")
    scheduler = Scheduler(own_platform)
    scheduler.only(CAST)
    return scheduler


def advance(
    scheduler: Scheduler, settings: Settings, story: Story, start: datetime, end: datetime
) -> tuple[Run, Run]:
    """Ingest what the world shows in some days, and follow it through marts and features.

    Returns:
        The runs of the training and of the watching that came of it.
    """
    began = time.monotonic()
    ingest = scheduler.start("ingest_youtube", start=start.isoformat(), end=end.isoformat())
    run = scheduler.succeed(ingest)
    chain = [run.dag_id]
    for dag_id in ("build_marts", "build_features", "train_trend_video"):
        run = scheduler.follower(dag_id, run)
        chain.append(run.dag_id)
    decided = scheduler.result(scheduler.succeed(run), "decide")
    assert releases.champion(NAME, settings) is not None, decided["reason"]
    watch = scheduler.succeed(scheduler.follower("watch_drift", run))
    report = scheduler.result(watch, "report")
    story.tell(
        f"{start:%m-%d} to {end:%m-%d}: {' > '.join([*chain, 'watch_drift'])} in"
        f" {time.monotonic() - began:.0f} s: {report['model_version']} {report['verdict']}"
    )
    assert datetime.fromisoformat(report["as_of"]) == end
    return run, watch


def retrained(scheduler: Scheduler, watch: Run, story: Story) -> tuple[Run, dict[str, Any]]:
    """The training that a drift report has started, and what was decided on its version."""
    training = scheduler.succeed(scheduler.follower("train_trend_video", watch))
    decided = scheduler.result(training, "decide")
    story.tell(
        f"  the report's event started {training.run_id}: {decided['version']}"
        f" {decided['decision']}: {decided['reason']}"
    )
    return training, decided


def keeper(settings: Settings, path: str, text: str) -> None:
    """Change the world."""
    key = settings.require("world_key")
    url = f"{settings.require('world_url')}/admin/{path}"
    headers = {"Authorization": f"Bearer {key}"}
    httpx.put(url, content=text, headers=headers, trust_env=False).raise_for_status()


def serving(settings: Settings) -> Release:
    release = releases.champion(NAME, settings)
    assert release is not None
    return release


def recent_videos(settings: Settings, as_of: datetime) -> list[str]:
    with connect(settings.require("database_url")) as conn:
        rows = conn.execute(RECENT_VIDEOS, {"as_of": as_of}).fetchall()
    assert len(rows) > 100
    return [row[0] for row in rows]


@pytest.fixture(scope="module")
def champion(scheduler: Scheduler, own_platform: Settings, story: Story) -> Release:
    training, _ = advance(scheduler, own_platform, story, WORLD_START, TRAINED)
    release = serving(own_platform)
    assert scheduler.result(training, "decide")["version"] == release.version
    story.tell(f"{release.version} serves: {release.reason}")
    return release


@pytest.fixture(scope="module")
def callers(own_platform: Settings, champion: Release, story: Story) -> Iterator[Callers]:
    callers = Callers(own_platform)
    callers.videos = recent_videos(own_platform, TRAINED)
    callers.start(champion.version)
    callers.until_all_hear(champion.version)
    story.tell(f"{CALLERS} callers ask the API, which answers with {champion.version}")
    yield callers
    callers.stop()


@pytest.fixture(scope="module")
def successor(
    scheduler: Scheduler,
    own_platform: Settings,
    story: Story,
    champion: Release,
    callers: Callers,
) -> Release:
    """The champion after the world has shifted."""
    keeper(own_platform, "shift", SHIFT)
    story.tell(f"the world shifts: {SHIFT}")
    training, watch = advance(scheduler, own_platform, story, TRAINED, SHIFTED)
    # New features train nothing: the champion is announced as it is, and watched on what is new.
    kept = scheduler.result(training, "decide")
    assert (kept["version"], kept["reused"]) == (champion.version, True)
    report = scheduler.result(watch, "report")
    assert report["verdict"] == "drift"
    assert report["retraining"]["is_granted"]
    story.tell(f"  drift is called in the first cycle: {report['retraining']['reason']}")

    callers.videos = recent_videos(own_platform, SHIFTED)
    asked = len(callers.told)
    training, decided = retrained(scheduler, watch, story)
    assert decided["decision"] == "needs_rollout"
    canary = scheduler.follower("roll_out_model", training)
    assert scheduler.end(canary) == "success", scheduler.errors(canary)
    ended = scheduler.result(canary, "roll_out")
    assert (ended["status"], ended["version"]) == ("promoted", decided["version"])
    story.tell(f"  its event started {canary.run_id}: {ended['status']}: {ended['reason']}")
    callers.until_all_hear(decided["version"])
    assert set(callers.hear(asked)) == {champion.version, decided["version"]}
    story.tell(f"  all callers hear {decided['version']}")
    # The training's own event looks again at the same days, and that starts nothing.
    again = scheduler.succeed(scheduler.follower("watch_drift", training))
    assert scheduler.states(again)["ask_for_training"] == "skipped"
    assert scheduler.followers("train_trend_video", again) == []
    return serving(own_platform)


def test_drift_retrains_and_the_challenger_becomes_champion(
    champion: Release, successor: Release
) -> None:
    assert successor.version != champion.version
    assert successor.decision == "promoted"


def test_a_badly_scaled_release_is_caught_and_the_others_never_hear_it(
    scheduler: Scheduler,
    own_platform: Settings,
    story: Story,
    callers: Callers,
    successor: Release,
    tmp_path: Path,
) -> None:
    params = load_params()
    rows = build_dataset(SHIFTED, params, own_platform).frame
    release = record_badly_scaled(rows, params, tmp_path, own_platform)
    story.tell(f"a person pushes {release.version}, whose scale is wrong")
    asked, pushed = len(callers.told), time.monotonic()
    run = scheduler.start("roll_out_model", model=NAME, version=release.version)
    assert scheduler.end(run) == "failed"
    took = time.monotonic() - pushed
    assert set(scheduler.errors(run)) == {"roll_out"}
    why = str(scheduler.errors(run)["roll_out"])
    assert "scores differ" in why
    callers.until_all_hear(successor.version)
    heard = callers.hear(asked)
    assert {each.status for each in callers.told[asked:]} == {200}
    assert set(heard) == {release.version, successor.version}
    assert 0 < len(heard[release.version]) < MOST_OF_CANARY * CALLERS
    answers = Counter(each.version for each in callers.told[asked:])
    story.tell(
        f"  {took:.0f} s later it is gone: {why.partition('rolled back: ')[2]};"
        f" {answers[release.version]} of {answers.total()} answers were its own,"
        f" to {len(heard[release.version])} of {CALLERS} callers"
    )
    assert serving(own_platform).version == successor.version


def test_a_definition_that_breaks_starts_no_training(
    scheduler: Scheduler,
    own_platform: Settings,
    story: Story,
    callers: Callers,
    successor: Release,
) -> None:
    _, watch = advance(scheduler, own_platform, story, SHIFTED, LATER)
    callers.videos = recent_videos(own_platform, LATER)
    if scheduler.states(watch)["ask_for_training"] == "success":
        # The one that serves has seen few days of the new behaviour.
        training, decided = retrained(scheduler, watch, story)
        if decided["decision"] == "needs_rollout":
            canary = scheduler.follower("roll_out_model", training)
            scheduler.end(canary)
            story.tell(f"  {canary.run_id}: {scheduler.result(canary, 'roll_out')}")
    story.tell(f"{serving(own_platform).version} serves")

    keeper(own_platform, "faults", BREAK)
    record_views_count_otherwise(LATER.date(), "Each view counts three times.", own_platform)
    story.tell(f"views count otherwise: {BREAK}")
    before = serving(own_platform).version
    trainings = len(scheduler.client.latest_runs("train_trend_video", limit=100))
    training, watch = advance(scheduler, own_platform, story, LATER, BROKEN)
    report = scheduler.result(watch, "report")
    assert report["verdict"] == "definition_break"
    assert report["across_breaks"]
    assert report["retraining"] is None
    assert scheduler.states(watch)["ask_for_training"] == "skipped"
    assert scheduler.followers("train_trend_video", watch) == []
    # The one training run since is that of the features, which has kept the champion.
    assert len(scheduler.client.latest_runs("train_trend_video", limit=100)) == trainings + 1
    assert scheduler.result(training, "decide")["version"] == before
    assert serving(own_platform).version == before
    story.tell(f"  no training: {len(report['across_breaks'])} columns lie across the break")


def test_every_answer_was_one_and_every_step_is_in_the_audit(
    own_platform: Settings, story: Story, callers: Callers, successor: Release
) -> None:
    callers.stop()
    # As weeks go by, what is asked about may have no features that are young enough.
    refused = [each for each in callers.told if each.status != 200]
    assert {(each.status, each.error) for each in refused} <= {(422, "missing_feature")}
    rows = audit.show(own_platform, NAME, limit=200)
    told = {row["action"] for row in rows}
    assert {"registered", "rollout_started", "rollout_ended"} <= told
    assert audit.verify(own_platform).broken is None
    story.tell(
        f"{len(callers.told)} answers; {len(refused)} refused for features that were too old, and"
        " not one error"
    )
    print("\n" + "\n".join(story.lines))
