"""The life of a release on the real registry: gates, promotion, canary, rollback, audit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import tiny_model
from airflow.sdk.exceptions import AirflowSkipException
from ytempire_airflow import candidates

from ml.exceptions import CorruptArtifactError, FatalError, ServiceUnavailableError
from ml.registry import (
    aliases,
    audit,
    health,
    probes,
    promotion,
    recording,
    releases,
    rollouts,
    training,
)
from ml.registry.audit import Cause
from ml.registry.listing import known_heads, listed
from ml.registry.releases import Candidate, Release
from ml.registry.tracking import client
from ml.registry.validation import validate
from ml.runtime import embedded
from ml.runtime.state import State
from ml.runtime.supervisor import Supervisor
from ml.serving import champions as serving
from ml.serving.records import Record, Recorder, as_json
from ml.settings import Settings, default_state_dir
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect

# A served model's name, so that the real API code serves it.
NAME = "trend_video"
BY_TEST = Cause("test", "because the test says so")


@pytest.fixture(scope="module")
def settings(own_database: Settings, tmp_path_factory) -> Iterator[Settings]:
    """A registry that is empty of the model, and left so; rollouts that need no patience."""

    def empty() -> None:
        if releases.versions(NAME, own_database):
            client(own_database).delete_registered_model(NAME)

    empty()
    quick = {"rollout_window_s": 0.0, "rollout_min_answers": 20, "rollout_longest_s": 600.0}
    quick |= {"rollout_score_shift": 0.2}
    folder = tmp_path_factory.mktemp("cache")
    yield own_database.model_copy(update={**quick, "model_cache_dir": folder})
    empty()


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(probes._PROBES, NAME, "tiny_model")
    monkeypatch.setitem(serving._LOADERS, NAME, "tiny_model")
    monkeypatch.setattr(serving, "SERVED", (NAME,))


def register(settings: Settings, folder: Path, auc: float, *, slope=2.0, shift=0.0, **tags: str):
    """A version whose training says that it reached `auc`; nothing is decided yet."""
    (folder / "tiny").mkdir(exist_ok=True)
    weights = {"slope": slope, "shift": shift}
    (folder / "tiny" / "weights.json").write_text(json.dumps(weights))
    serves, example = releases.champion(NAME, settings), tiny_model.frame(5)
    figures = {"model": {"auc": auc}, "always_up": {"auc": 0.5}}
    if serves:
        figures["champion"] = json.loads(serves.tags["metrics"])["model"]
    return recording.record(
        Candidate(
            name=NAME, model_type="tiny", fingerprint=f"{auc} {weights} {tags}",
            folder=folder / "tiny", loader_module="tiny_model", gate_metric="auc",
            metrics=figures, params=weights, card="", dataset=example, dataset_source="test",
            tags={"data_digest": str(auc), "params": json.dumps(weights), **tags}, target="x",
            example=example, prediction=tiny_model.TinyModel(slope, shift).predict(example),
            pip_requirements=[], incumbent=serves.mlflow_version if serves else None,
        ),
        settings,
    )  # fmt: skip


def settled(settings: Settings, folder: Path, auc: float, **options):
    release = register(settings, folder, auc, **options)
    return promotion.settle(NAME, release.version, settings=settings)


def aliases_now(settings: Settings) -> dict[str, str]:
    return {alias: row["version"] for row in listed(NAME, settings) for alias in row["aliases"]}


@contextmanager
def service_paused(name: str) -> Iterator[None]:
    """An embedded service that takes connections and answers none of them."""
    signal_service(name, signal.SIGSTOP)
    try:
        yield
    finally:
        resume(name)


@contextmanager
def service_stopped(name: str) -> Iterator[None]:
    """An embedded service that is not there."""
    supervisor = Supervisor(State(default_state_dir()))
    supervisor.stop(name)
    _until(lambda: supervisor.processes()[name]["statename"] == "STOPPED")
    try:
        yield
    finally:
        supervisor.start(name)
        _until(lambda: any(row.name == name and row.healthy for row in embedded.status()))


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def resume(name: str) -> None:
    signal_service(name, signal.SIGCONT)


def signal_service(name: str, number: signal.Signals) -> None:
    pid = Supervisor(State(default_state_dir())).processes()[name]["pid"]
    os.kill(pid, number)


def _never(job: training.Job):
    raise AssertionError(f"{job.id} trains again")


def test_the_gates_make_champions_refuse_and_tell_every_failure(settings, tmp_path):
    first = settled(settings, tmp_path, 0.80)
    assert (first.version, first.is_champion) == ("1.0.0", True), first.reason
    contents = client(settings).download_artifacts(first.run_id, "release.json", str(tmp_path))
    assert json.loads(Path(contents).read_text())["checksum"] == first.tags["checksum"]
    better = settled(settings, tmp_path, 0.82)
    assert (better.version, better.is_champion) == ("1.1.0", True), better.reason

    upside_down = settled(settings, tmp_path, 0.90, slope=-2.0)
    assert upside_down.decision == "refused"
    for told in ("comparison_tolerance: weak", "comparison_tolerance: champion", "AUC"):
        assert told in upside_down.reason
    report = validate(NAME, upside_down.version, settings)
    assert not report.passed
    met = {finding.criterion: finding.passed for finding in report.findings}
    assert met["contract"]
    assert met["latency_p95_ms"]
    assert met["consistency"]
    with pytest.raises(FatalError, match=r"1\.2\.0 is refused: .*weak"):
        promotion.promote(NAME, "1.2.0", BY_TEST, settings=settings)
    now = aliases_now(settings)
    assert now == {"champion": "1.1.0", "previous-1": "1.0.0", "challenger": "1.2.0"}


def test_a_model_without_a_probe_is_refused(settings, tmp_path, monkeypatch):
    monkeypatch.delitem(probes._PROBES, NAME)
    assert "has no probe" in settled(settings, tmp_path, 0.83).reason


def test_a_major_version_waits_for_a_person_and_a_frozen_champion_for_none(settings, tmp_path):
    promotion.freeze(NAME, Cause("test", "holiday"), settings)
    assert "frozen: holiday" in settled(settings, tmp_path, 0.84).reason
    with pytest.raises(FatalError, match="holiday"):
        promotion.promote(NAME, "1.1.0", BY_TEST, settings=settings)
    promotion.unfreeze(NAME, BY_TEST, settings)
    major = settled(settings, tmp_path, 0.85, change="major")
    assert (major.version, major.aliases) == ("2.0.0", ("staging",))
    assert major.decision == "needs_approval"
    with pytest.raises(FatalError, match="--approve"):
        promotion.promote(NAME, "2.0.0", BY_TEST, settings=settings)
    before = datetime.now(UTC)
    assert promotion.promote(NAME, "2.0.0", BY_TEST, approved=True, settings=settings).is_champion
    assert audit.live_at(NAME, before, settings)["version"] == "1.1.0"
    assert audit.live_at(NAME, datetime.now(UTC), settings)["version"] == "2.0.0"


def test_two_promotions_at_once_leave_one_champion_and_no_lost_one(settings, tmp_path):
    versions = [register(settings, tmp_path, auc, shift=auc / 100).version for auc in (0.86, 0.87)]
    threads = [
        threading.Thread(target=promotion.promote, args=(NAME, version, BY_TEST),
                         kwargs={"settings": settings})
        for version in versions
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = aliases_now(settings)
    assert {now["champion"], now["previous-1"]} == set(versions)
    assert now["previous-2"] == "2.0.0"
    returned = promotion.rollback(NAME, BY_TEST, settings)
    assert returned.version == now["previous-1"]
    assert aliases_now(settings)["previous-1"] == "2.0.0"


def answer(settings: Settings, callers: int, champions: serving.Champions) -> list[str]:
    """Ask the API's own choice of a version for each caller, and record what it says."""
    recorder, answered = Recorder(settings), []
    inputs = tiny_model.frame(callers)
    for number in range(callers):
        served = champions.get(NAME, f"caller {number}")
        score = float(served.run.predict(inputs.iloc[[number]])["probability"].iloc[0])
        answered.append(served.release.version)
        recorder.add(
            Record(
                str(uuid4()), served.row_id, "predict/video",
                f"v{number}", "{}", as_json({"rising": score > 0.5}), round(score, 4), 5,
                (datetime.now(UTC) + timedelta(seconds=1)).isoformat(), "{}",
            )
        )  # fmt: skip
    recorder._write(list(recorder._waiting))
    return answered


def test_a_bad_canary_is_caught_and_the_other_callers_never_see_it(settings, tmp_path):
    champions = serving.Champions(settings, {NAME: lambda model, folder, release: model})
    champions.refresh()
    serves = champions.get(NAME).release.version
    # A wrong shift orders as well as the right one, so no comparison of the order finds it.
    bad = register(settings, tmp_path, 0.88, slope=2.0, shift=1.6)
    aliases.move(NAME, [("staging", bad.mlflow_version)], BY_TEST, settings)
    begun = rollouts.start(NAME, "staging", "canary", BY_TEST, settings=settings)
    assert (begun.percent, begun.version) == (10, bad.version)
    with pytest.raises(FatalError, match="is being rolled out"):
        rollouts.start(NAME, "2.0.0", "canary", BY_TEST, settings=settings)
    champions.refresh()
    answered = answer(settings, 600, champions)
    assert 0.05 < answered.count(bad.version) / 600 < 0.15
    assert set(answered) == {bad.version, serves}
    ended = rollouts.check(NAME, settings)
    assert ended.status == "rolled_back"
    assert "scores differ from the champion's" in ended.reason
    champions.refresh()
    assert set(answer(settings, 100, champions)) == {serves}
    now = aliases_now(settings)
    assert (now["champion"], now.get("canary")) == (serves, None)


def test_where_there_is_traffic_a_better_version_goes_through_a_canary(settings, tmp_path):
    assert health.has_traffic(NAME, settings)
    release = settled(settings, tmp_path, 0.89)
    assert (release.decision, release.aliases) == ("needs_rollout", ("staging",))
    champions = serving.Champions(settings, {NAME: lambda model, folder, release: model})
    steps = settings.model_copy(update={"rollout_steps": (50, 100)})
    rollouts.start(NAME, release.version, "blue_green", BY_TEST, settings=steps)
    seen = []
    for _ in range(2):
        champions.refresh()
        answer(settings, 100 + len(seen), champions)
        rollout = rollouts.check(NAME, settings)
        seen.append((rollout.status, rollout.percent))
    assert seen == [("running", 100), ("promoted", 0)]
    champions.refresh()
    assert champions.get(NAME).release.version == release.version


def test_a_rollout_that_ends_at_once_in_two_ways_ends_in_one(settings, tmp_path, monkeypatch):
    serves = releases.champion(NAME, settings).version
    release = settled(settings, tmp_path, 0.895)
    begun = rollouts.start(NAME, release.version, "canary", BY_TEST, settings=settings)
    # A kill between the crowning and the row: the version serves, and turns out to be ill.
    found = releases.find(NAME, release.version, settings)
    current = releases.aliases_of(NAME, settings)
    promotion.crown(found, current, BY_TEST, settings)
    undone = rollouts.undo(NAME, BY_TEST, settings)
    assert (undone.status, releases.champion(NAME, settings).version) == ("rolled_back", serves)
    # A check that looked before that, and wants to crown after it, changes nothing.
    assert rollouts._go_on(begun, {}, settings).status == "rolled_back"
    assert releases.champion(NAME, settings).version == serves

    frozen = settled(settings, tmp_path, 0.896)
    begun = rollouts.start(NAME, frozen.version, "canary", BY_TEST, settings=settings)
    promotion.freeze(NAME, Cause("test", "holiday"), settings)
    kept = rollouts._go_on(begun, {}, settings)
    promotion.unfreeze(NAME, BY_TEST, settings)
    assert kept.status == "rolled_back"
    assert "frozen meanwhile: holiday" in kept.reason
    assert releases.champion(NAME, settings).version == serves


def test_a_corrupt_artifact_is_found_and_the_last_good_version_serves_on(settings, tmp_path):
    champions = serving.Champions(settings, {NAME: lambda model, folder, release: model})
    champions.refresh()
    good = champions.get(NAME).release.version
    release = register(settings, tmp_path, 0.91, slope=3.0)
    store, bucket = ObjectStore(settings), settings.bucket("mlflow")
    model_id = client(settings).get_model_version(NAME, str(release.mlflow_version)).source
    [key] = [
        key for key in store.list_keys(bucket, "")
        if key.endswith("weights.json") and model_id.rpartition("/")[2] in key
    ]  # fmt: skip
    store.put_bytes(bucket, key, b'{"slope": -3.0, "shift": 0.0}')
    with pytest.raises(CorruptArtifactError, match="not those that were registered"):
        releases.load(release, settings)
    with pytest.raises(FatalError, match="not those that were registered"):
        promotion.promote(NAME, release.version, BY_TEST, settings=settings)
    # A person who goes past the registry cannot make it serve either, and the audit tells.
    client(settings).set_registered_model_alias(NAME, "champion", str(release.mlflow_version))
    champions.refresh()
    assert champions.get(NAME).release.version == good
    assert "not those that were registered" in champions.problems[NAME]
    promotion.rollback(NAME, BY_TEST, settings)
    assert "unknown" in {row["actor"] for row in audit.show(settings, NAME)}


def test_without_mlflow_nothing_moves(settings):
    away = settings.model_copy(update={"mlflow_tracking_uri": "http://127.0.0.1:9"})
    before = audit.verify(settings).rows
    with pytest.raises(ServiceUnavailableError, match="MLflow does not answer"):
        promotion.rollback(NAME, BY_TEST, away)
    client(settings)
    assert audit.verify(settings).rows == before


def test_a_slow_object_store_holds_up_no_rollback(settings, tmp_path):
    before, serves = len(listed(NAME, settings)), releases.champion(NAME, settings)
    with service_paused("objects"), ThreadPoolExecutor(2) as pool:
        recording = pool.submit(register, settings, tmp_path, 0.92)
        time.sleep(3)
        rolled_back = pool.submit(promotion.rollback, NAME, BY_TEST, settings)
        done, _ = wait([rolled_back], timeout=10)
        still_uploads = not recording.done()
        resume("objects")
    assert still_uploads
    assert done, "the rollback waited for the upload"
    assert rolled_back.result().mlflow_version != serves.mlflow_version
    assert recording.result().mlflow_version == before + 1


def test_recordings_at_once_take_versions_of_their_own(settings, tmp_path):
    aucs = (0.93, 0.93, 0.94, 0.95)  # two of them are the same training
    folders = [tmp_path / str(place) for place in range(len(aucs))]
    for folder in folders:
        folder.mkdir()
    rows = audit.verify(settings).rows
    with ThreadPoolExecutor(len(aucs)) as pool:
        found = list(
            pool.map(lambda each: register(settings, *each), zip(folders, aucs, strict=True))
        )
    same, again, *others = found
    assert same.version == again.version
    assert len({release.version for release in found}) == 3
    for release in (same, *others):
        path = client(settings).download_artifacts(release.run_id, "release.json", str(tmp_path))
        assert json.loads(Path(path).read_text())["version"] == release.version
        assert client(settings).get_run(release.run_id).data.tags["version"] == release.version
    verdict = audit.verify(settings)
    assert (verdict.broken, verdict.rows) == (None, rows + 3)


def test_one_dataset_is_logged_by_many_at_once(settings):
    """MLflow looks for it and then adds it, and tells those who come between that it is there."""
    import mlflow

    client(settings)
    mlflow.set_experiment(settings.mlflow_experiment)
    count, tries = 8, 5
    together = threading.Barrier(count, timeout=60)

    def log(dataset) -> int:
        with mlflow.start_run() as run:
            together.wait()
            recording._log_dataset(dataset)
        return len(client(settings).get_run(run.info.run_id).inputs.dataset_inputs)

    with ThreadPoolExecutor(count) as pool:
        for _ in range(tries):
            dataset = mlflow.data.from_pandas(tiny_model.frame(5), digest=uuid4().hex)
            assert list(pool.map(log, [dataset] * count)) == [1] * count


def test_what_a_frozen_champion_refused_is_decided_again_once_it_thaws(settings, tmp_path):
    promotion.freeze(NAME, Cause("test", "holiday"), settings)
    refused = settled(settings, tmp_path, 0.96)
    assert (refused.decision, refused.awaits) == ("refused", "thaw")
    assert settled(settings, tmp_path, 0.96).decision == "refused"  # and again while it is frozen
    promotion.unfreeze(NAME, BY_TEST, settings)
    trained = training.train_once(
        NAME, refused.tags["fingerprint"], _never, method="tiny", data_digest="", params={},
        settings=settings,
    )  # fmt: skip
    assert (trained.version, trained.reused) == (refused.version, True)
    # The API answered in the other tests, so there is traffic for a canary.
    assert trained.decision == "needs_rollout"
    told = [r["action"] for r in audit.show(settings, NAME) if r["version"] == refused.version]
    # Newest first; refused once only, though it was asked about twice.
    assert "reopened" in told[: told.index("refused")]
    # What is refused for its figures stays refused.
    worse = settled(settings, tmp_path, 0.40)
    assert (worse.decision, worse.awaits) == ("refused", "")
    assert settled(settings, tmp_path, 0.40).reason == worse.reason


def test_what_was_not_measured_is_measured_anew_or_decided_when_its_rival_is_back(
    settings, tmp_path
):
    waits = register(settings, tmp_path, 0.97)
    other = register(settings, tmp_path, 0.965)
    promotion.promote(NAME, other.version, BY_TEST, settings=settings)
    refused = promotion.settle(NAME, waits.version, settings=settings)
    assert refused.awaits == "measurement"
    assert "not measured against the champion" in refused.reason
    assert promotion.settle(NAME, waits.version, settings=settings).decision == "refused"
    # The same training again is a version of its own, measured beside what serves now.
    anew = register(settings, tmp_path, 0.97)
    assert anew.mlflow_version > waits.mlflow_version
    assert anew.incumbent == other.mlflow_version
    assert promotion.settle(NAME, anew.version, settings=settings).decision == "needs_rollout"
    promotion.rollback(NAME, BY_TEST, settings)
    again = promotion.settle(NAME, waits.version, settings=settings)
    assert again.decision == "needs_rollout", again.reason


def test_a_loaded_model_leaves_one_copy_on_disk_and_none_elsewhere(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    release = releases.champion(NAME, settings)
    releases._loaded.cache_clear()
    shutil.rmtree(settings.model_cache_dir, ignore_errors=True)
    releases.load(release, settings)
    [kept] = (settings.model_cache_dir / "serving" / NAME).iterdir()
    assert list(tmp_path.iterdir()) == []
    # A copy that was spoilt is fetched anew; one that is whole is not fetched at all.
    (kept / "data" / "tiny" / "weights.json").write_text("{}")
    for _ in range(2):
        releases._loaded.cache_clear()
        assert len(releases.load(release, settings).predict(tiny_model.frame(3))) == 3


def test_a_shadow_is_asked_beside_the_champion_and_answers_nobody(settings, tmp_path):
    release, serves = register(settings, tmp_path, 0.975), releases.champion(NAME, settings)
    begun = rollouts.start(NAME, release.version, "shadow", BY_TEST, settings=settings)
    assert (begun.strategy, begun.status) == ("shadow", "running")
    champions = serving.Champions(settings, {NAME: lambda model, folder, release: model})
    champions.refresh()
    assert set(answer(settings, 60, champions)) == {serves.version}
    beside = champions.shadow(NAME, "caller 1")
    assert beside.release.version == release.version
    # As the API records what it asked beside an answer.
    recorder, inputs = Recorder(settings), tiny_model.frame(60)
    for number, score in enumerate(beside.run.predict(inputs)["probability"]):
        recorder.add(
            Record(
                str(uuid4()), beside.row_id, "predict/video", f"v{number}", "{}",
                as_json({"rising": score > 0.5}), round(float(score), 4), 5,
                (datetime.now(UTC) + timedelta(seconds=1)).isoformat(), as_json({"shadow": True}),
            )
        )  # fmt: skip
    recorder._write(list(recorder._waiting))
    ended = rollouts.check(NAME, settings)
    assert ended.status == "shadowed", ended.reason
    assert ended.health["canary"]["answers"] == 60
    champions.refresh()
    assert champions.shadow(NAME, "caller 1") is None
    now = aliases_now(settings)
    assert (now["champion"], now["challenger"]) == (serves.version, release.version)


def test_without_the_object_store_the_champion_serves_and_a_training_is_tried_again(
    settings, tmp_path
):
    load = {NAME: lambda model, folder, release: model}
    serving.Champions(settings, load).refresh()
    serves, waits = releases.champion(NAME, settings), register(settings, tmp_path, 0.98)
    known, now = listed(NAME, settings), aliases_now(settings)
    with service_stopped("objects"):
        # A process that starts now, and a task, have the files of the champion from this machine.
        alone = serving.Champions(settings, load)
        alone.refresh()
        assert alone.problems == {}
        assert answer(settings, 20, alone) == [serves.version] * 20
        releases._loaded.cache_clear()
        model, release = releases.load_champion(NAME, settings)
        assert (len(model.predict(tiny_model.frame(3))), release.version) == (3, serves.version)
        # What needs the store says so in one line, is worth another try, and has changed nothing.
        for attempt in (
            lambda: register(settings, tmp_path, 0.985),
            lambda: promotion.settle(NAME, waits.version, settings=settings),
        ):
            with pytest.raises(ServiceUnavailableError, match="object store") as told:
                attempt()
            assert "\n" not in str(told.value)
        assert (listed(NAME, settings), aliases_now(settings)) == (known, now)
    audited = audit.verify(settings)
    assert audited.broken is None
    assert register(settings, tmp_path, 0.985).mlflow_version == waits.mlflow_version + 1
    assert promotion.settle(NAME, waits.version, settings=settings).decision == "needs_rollout"


def test_what_a_person_answers_in_airflow_decides_on_a_major_version(settings, tmp_path):
    """The task that takes the answer; `tests/e2e/test_approval.py` asks Airflow itself."""
    first, second = (
        settled(settings, tmp_path, auc, change="major", slope=slope)
        for auc, slope in ((0.991, 2.1), (0.992, 2.2))
    )
    assert {first.decision, second.decision} == {"needs_approval"}

    def answered(release: Release, option: str) -> dict[str, Any]:
        facts = {
            "model": NAME, "version": release.version, "strategy": "canary", "report": "",
            "actor": "roll_out_model manual", "needs_approval": True, "waiting": [],
        }  # fmt: skip
        said = {"chosen_options": [option], "responded_by_user": {"name": "ana"}}
        return candidates.cleared(facts, said)

    with pytest.raises(AirflowSkipException, match="rejected by ana"):
        answered(first, "Reject")
    rejected = releases.find(NAME, first.version, settings)
    assert (rejected.decision, rejected.awaits) == ("refused", "")
    allowed = answered(second, "Approve")
    assert (allowed["approved"], allowed["actor"]) == (True, "ana")
    with pytest.raises(FatalError, match="--approve"):
        rollouts.start(NAME, second.version, "canary", BY_TEST, settings=settings)
    cause = Cause(allowed["actor"], "rolled out as canary")
    begun = rollouts.start(
        NAME, second.version, "canary", cause, approved=allowed["approved"], settings=settings
    )
    assert begun.version == second.version
    assert rollouts.undo(NAME, BY_TEST, settings).status == "rolled_back"
    told = {(row["version"], row["action"], row["actor"]) for row in audit.show(settings, NAME)}
    assert {
        (first.version, "rejected", "ana"), (second.version, "approved", "ana"),
        (second.version, "rollout_started", "ana"),
    } <= told  # fmt: skip


def test_the_audit_finds_what_was_changed_or_cut_off(settings):
    # The registry may hold models of other tests, whose audit is in other databases.
    heads = {NAME: known_heads(settings)[NAME]}
    whole = audit.verify(settings, heads)
    assert whole.broken is None
    assert whole.rows > 30
    with connect(settings.database_url) as conn, pytest.raises(Exception, match="append-only"):
        conn.execute("update ml.release_audit set actor = 'nobody' where audit_id = 3")
    with connect(settings.database_url) as conn:
        conn.execute("alter table ml.release_audit disable trigger append_only")
        conn.execute("delete from ml.release_audit where audit_id = %s", (whole.rows,))
    assert "rows after" in str(audit.verify(settings, {"m": whole.head}).broken)
    with connect(settings.database_url) as conn:
        conn.execute("update ml.release_audit set reason = 'harmless' where audit_id = 3")
    assert str(audit.verify(settings).broken).startswith("row 3 (")
