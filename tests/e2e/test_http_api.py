"""The HTTP API in processes of its own, on the champions and features of the main job."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as open_socket

from ml.serving.app import create_app
from ml.serving.client import Client, RefusedError
from ml.serving.security.keys import create_key, revoke_key
from ml.settings import Settings
from ml.storage.postgres import connect

NOWHERE = "127.0.0.1:1"
# A valid request starts a run of Airflow: one of each is enough, see below.
STARTS_RUNS = ("/generate/", "/synthesize/", "/assess/")
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_headers_conformance, response_schema_conformance,
]  # fmt: skip
# Models that a young platform may lack.
NEEDS = {
    "POST /ml/v1/score/quality": "quality_policy",
    "POST /ml/v1/recommend": "audience_preference",
}
LABELS = sorted(
    f"{method.upper()} {path}"
    for path, methods in create_app(
        Settings(
            database_url="postgresql://nobody@127.0.0.1:1/none", redis_url="redis://127.0.0.1:1/0",
            app_env="production",
        )
    ).openapi()["paths"].items()
    for method in methods
    # A training is too much for a request that may turn out to be valid.
    if not path.endswith("/train/{model_type}")
)  # fmt: skip


@pytest.fixture(scope="module")
def api(platform, finished):
    with _serving(platform) as client:
        yield client


@contextmanager
def _serving(platform, **environment):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "ml.cli", "serve", "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(command, env=dict(os.environ) | environment)
    key = {"X-API-Key": platform.api_key.get_secret_value()}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=key, timeout=60) as client:
            client.process = process
            _await_ready(client, process)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=30)


def _await_ready(client, process):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, "the API ended"
        try:
            if client.get("/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise AssertionError("the API is not ready")


@pytest.fixture(scope="module")
def scored(platform, finished):
    """A video of the last batch that belongs to a topic, its probability, and the topic."""
    with connect(platform.require("database_url")) as conn:
        return conn.execute(
            "select p.entity_id, (p.prediction ->> 'probability')::float8, a.topic_id"
            " from ml.model_predictions as p"
            " inner join ml.topic_assignments as a on a.content_id = p.entity_id"
            " inner join ml.topics as t on t.topic_id = a.topic_id and t.status = 'active'"
            " where p.prediction_type = 'trend_video' and a.source = 'youtube'"
            " order by p.as_of desc, p.entity_id limit 1"
        ).fetchone()


def _records(platform, kind):
    with connect(platform.require("database_url")) as conn:
        return conn.execute(
            "select id::text, entity_id, confidence::float8 from ml.model_predictions"
            " where prediction_type = %s",
            (kind,),
        ).fetchall()


def test_a_scored_video_gets_the_same_answer_online(api, scored):
    """The online store and the batch scores agree: no training-serving skew."""
    video_id, probability, _ = scored
    answer = api.post("/ml/v1/predict/video", json={"video_id": video_id})
    assert answer.status_code == 200, answer.text
    assert answer.json()["source"] == "online"
    assert answer.json()["probability"] == pytest.approx(probability, abs=1e-4)


def test_a_topic_is_forecast_and_the_same_question_is_computed_once(api, scored):
    request = {"topic": scored[2], "timeframe": "48h", "niche": "gaming"}
    first = api.post("/ml/v1/predict/trend", json=request).json()
    assert 0 <= first["trend_score"] <= 1
    assert first["supporting_signals"]
    assert first["predicted_peak"] is None
    assert first["metadata"]["reasons"]["predicted_peak"]
    again = api.post("/ml/v1/predict/trend", json=request).json()
    assert again["metadata"]["cached"]
    assert again["prediction_id"] == first["prediction_id"]
    fresh = api.post("/ml/v1/predict/trend", json=request, headers={"Cache-Control": "no-cache"})
    assert fresh.json()["prediction_id"] != first["prediction_id"]
    assert fresh.json()["trend_score"] == first["trend_score"]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("predict/video", {"video_id": "never-seen"}, "never-seen"),
        ("predict/trend", {"topic": "never seen"}, "never seen"),
        ("features", {"features": ["none_v1"], "entities": ["x"]}, "none_v1"),
    ],
)
def test_what_is_not_known_is_a_clear_422(api, path, body, named):
    answer = api.post(f"/ml/v1/{path}", json=body)
    assert answer.status_code == 422
    assert named in answer.json()["detail"]


def test_features_are_what_feast_reads(api, platform, scored):
    from ml.features import open_store

    store = open_store(platform)
    service = store.get_feature_service("trend_video_v2")
    with connect(platform.require("database_url")) as conn:
        query = "select distinct video_id from features.video_momentum order by 1 limit 40"
        videos = [scored[0], "never-seen", *(row[0] for row in conn.execute(query))]
    theirs = store.get_online_features(
        features=service, entity_rows=[{"video_id": each} for each in videos]
    ).to_dict()
    request = {"features": ["trend_video_v2"], "entities": videos}
    ours = api.post("/ml/v1/features", json=request).json()
    assert len(ours["names"]) > 100
    columns = dict(zip(ours["names"], zip(*ours["values"], strict=True), strict=True))
    for name, values in columns.items():
        assert list(values) == theirs[name], name


def _no_champion(api, model):
    """What the registry has, once the API has looked there: it answers `/ready` before."""
    deadline = time.monotonic() + 60
    while (found := api.get("/ready").json()["problems"].get(model, "")) == "not looked up yet":
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return "no champion" in found


def test_a_model_that_a_young_platform_has_no_texts_for_is_said_to_be_missing(api):
    """What it answers once it has a champion is seen in the tests of that model."""
    assert _no_champion(api, "quality_policy")
    answer = api.post("/ml/v1/score/quality", json={"texts": ["How the heart pumps blood"]})
    assert answer.status_code == 503


def test_a_segment_is_recommended_to_by_the_champion_alone(api):
    """Whether one beats the plain methods on so few rows is a matter of chance."""
    expected = 503 if _no_champion(api, "audience_preference") else 200
    answer = api.post("/ml/v1/recommend", json={"segments": ["XX/nobody/zz"], "k": 3})
    assert answer.status_code == expected


def test_the_champion_is_listed_measured_and_reloaded_from_the_registry_alone(api):
    listed = api.get("/ml/v1/models").json()
    (active,) = [m for m in listed["models"] if m["serving"] and m["model_id"].startswith("trend")]
    assert active["status"] == "active"
    found = api.get(f"/ml/v1/models/{active['model_id']}/metrics").json()
    assert found["metrics"]["operational"]["errors"] is None
    assert found["reasons"]["operational.errors"]
    reload = f"/ml/v1/models/{active['model_id']}/reload"
    version = {"version": active["version"]}
    foreign = api.post(reload, json=version | {"source": "s3://elsewhere/model"})
    assert foreign.status_code == 422
    assert foreign.json()["error"] == "foreign_source"
    assert api.post(reload, json={"version": "99.0.0"}).status_code == 404
    answer = api.post(reload, json=version)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model_id"] == active["model_id"]
    assert not answer.json()["canary_enabled"]


def test_figures_are_there_for_prometheus(api, scored):
    api.post("/ml/v1/predict/trend", json={"topic": scored[2]})
    text = api.get("/metrics").text
    assert 'ytempire_requests_total{route="/ml/v1/predict/trend",status="200"}' in text
    assert "ytempire_request_seconds_bucket" in text
    assert "memory_used" in text


def test_without_the_key_nothing_is_answered(api):
    for path in ("/metrics", "/ml/v1/models"):
        assert api.get(path, headers={"X-API-Key": "wrong"}).status_code == 401
    for path in ("/health", "/ready"):
        assert api.get(path, headers={"X-API-Key": ""}).status_code == 200


def test_without_online_store_and_registry_the_last_batch_answers_and_says_so(
    api, platform, scored
):
    """The model is the last good one on disk; nothing is made up and nothing is a 5xx."""
    away = {"REDIS_URL": f"redis://{NOWHERE}/0", "MLFLOW_TRACKING_URI": f"http://{NOWHERE}"}
    with _serving(platform, **away) as alone:
        answer = alone.post("/ml/v1/predict/video", json={"video_id": scored[0]})
        assert answer.status_code == 200, answer.text
        assert answer.json()["source"] == "batch"
        assert answer.json()["probability"] == pytest.approx(scored[1], abs=1e-6)
        topic = alone.post("/ml/v1/predict/trend", json={"topic": scored[2]}).json()
        assert topic["metadata"]["source"] == "batch"
        assert topic["engagement_forecast"]["views"] is None
        features = {"features": ["video_momentum:views"], "entities": [scored[0]]}
        assert alone.post("/ml/v1/features", json=features).status_code == 503
        assert "trend_video" in alone.get("/ready").json()["problems"]


def _caller(api):
    return Client(str(api.base_url), api.headers["X-API-Key"])


def test_work_is_done_by_runs_of_airflow_and_fetched_by_its_caller_alone(api, platform, scored):
    """Every route of long work, with its files, its refusals, and its state while it goes on."""
    with _caller(api) as caller:
        accepted = api.post(
            "/ml/v1/synthesize/voice",
            json={"text": "Robots dived eight kilometres.", "format": "ogg"},
            headers={"Prefer": "respond-async", "Idempotency-Key": "the-same"},
        )
        assert accepted.status_code == 202, accepted.text
        again = api.post(
            "/ml/v1/synthesize/voice",
            json={"text": "Robots dived eight kilometres.", "format": "ogg"},
            headers={"Prefer": "respond-async", "Idempotency-Key": "the-same"},
        )
        assert again.json()["job_id"] == accepted.json()["job_id"]
        other = api.post(
            "/ml/v1/synthesize/voice",
            json={"text": "Something else."},
            headers={"Prefer": "respond-async", "Idempotency-Key": "the-same"},
        )
        assert (other.status_code, other.json()["error"]) == (422, "idempotency_key_reused")
        states = _events(api, accepted.json()["events_url"])
        assert states[-1]["status"] == "completed"
        assert [state["progress"] for state in states] == sorted(s["progress"] for s in states)
        speech = states[-1]["result"]
        assert caller.download(speech["audio_url"])[:4] == b"OggS"

        pictures = caller.generate_thumbnail("Deep sea robots", variations=2)
        assert len(pictures.thumbnails) == 2
        assert caller.download(pictures.thumbnails[0].image_url)[:3] == b"\xff\xd8\xff"

        heard = caller.assess_quality("audio", {"audio_url": speech["audio_url"]})
        assert heard.details.quality.technical is not None
        assert heard.details.policy.score is None
        read = caller.assess_quality("script", {"script": "One thing is said once, and well."})
        assert read.overall_score is not None

        script = caller.generate_script(scored[2], within_s=400)
        assert script.script.segments
        assert script.estimated_performance.ctr is None
        assert script.reasons["estimated_performance"]

        for problem, body in (
            ("not set up", {"text": "Hello.", "provider": "azure"}),
            ("Latin letters", {"text": "日本"}),
        ):
            with pytest.raises(RefusedError, match=problem):
                caller._work("synthesize/voice", body, type(pictures), 120)
        with pytest.raises(RefusedError, match="this platform alone"):
            caller.assess_quality("video", {"video_url": "http://169.254.169.254/latest"})

    key, secret = create_key(platform, "another", ["creator"])
    with Client(str(api.base_url), secret) as other:
        with pytest.raises(RefusedError, match="no such job"):
            other.download(speech["audio_url"])
        with pytest.raises(RefusedError, match="no such job"):
            other.assess_quality("audio", {"audio_url": speech["audio_url"]})
    revoke_key(platform, key.key_id)


def _events(api, path):
    """Every state of a job that its WebSocket tells."""
    url = str(api.base_url).replace("http", "ws") + path
    with open_socket(url, additional_headers={"X-API-Key": api.headers["X-API-Key"]}) as socket:
        return [json.loads(text) for text in socket]


def test_without_a_key_a_socket_is_refused(api):
    url = f"{str(api.base_url).replace('http', 'ws')}/ml/v1/jobs/{uuid.uuid4()}/events"
    with pytest.raises(InvalidStatus) as refused, open_socket(url):
        pass
    assert refused.value.response.status_code in (401, 403)


def test_a_training_is_started_and_followed_to_its_end(api):
    with _caller(api) as caller:
        started = caller.train("audience_preference", hyperparameters={"learning_rate": 0.1})
        assert started.reasons["hyperparameters"]
        ended = caller.wait_for_training(started.job_id, within_s=300)
    assert (ended.status, ended.error) == ("completed", None)
    assert ended.current_epoch is None
    assert ended.artifacts.model_path.startswith("models:/audience_preference/")
    assert ended.metrics.test["hr_at_10"] > 0


def test_a_training_that_has_too_little_to_learn_from_says_so(api):
    with _caller(api) as caller:
        started = caller.train("trend_topic")
        ended = caller.wait_for_training(started.job_id, within_s=300)
    assert ended.status == "failed"
    assert "too little to learn from" in ended.error


@pytest.fixture(scope="module")
def operations(api):
    """The operations of the OpenAPI document, by label, for generated requests."""
    document = api.get("/openapi.json").json()
    found = schemathesis.openapi.from_dict(document).get_all_operations()
    return {each.ok().label: each.ok() for each in found}


@pytest.mark.parametrize("label", LABELS)
def test_generated_requests_get_no_server_error_and_what_the_document_says(api, operations, label):
    """Valid and invalid requests of every route, by schemathesis; the answer fits its schema."""
    operation = operations[label]
    checks = list(CHECKS)
    if _no_champion(api, NEEDS.get(label, "")):
        checks.remove(not_a_server_error)  # 503, as the document says
    has_input = "parameters" in operation.definition.raw or operation.body
    modes = [GenerationMode.NEGATIVE] if has_input else []
    if not any(part in label for part in STARTS_RUNS):
        modes.append(GenerationMode.POSITIVE)
    for mode in modes:
        _ask_generated(api, operation, mode, checks)


def _ask_generated(api, operation, mode, checks):
    @hypothesis_settings(
        max_examples=8, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        case.call_and_validate(
            base_url=str(api.base_url),
            # Should one be valid after all, nobody waits for it.
            headers={"X-API-Key": api.headers["X-API-Key"], "Prefer": "respond-async"},
            checks=checks,
        )

    ask()


def test_what_was_asked_is_answered_and_recorded_before_the_process_ends(platform, scored):
    """SIGTERM in the middle of a burst: every answer given is a row in Postgres afterwards."""

    async def burst(url, headers, process):
        """80 questions on 16 connections; the process is told to end at the first answer."""
        limits = httpx.Limits(max_connections=16)
        async with httpx.AsyncClient(
            base_url=url, headers=headers, timeout=30, limits=limits
        ) as client:
            told = []

            async def ask():
                answer = await client.post("/ml/v1/predict/trend", json={"topic": scored[2]})
                if not told:
                    told.append(process.send_signal(signal.SIGTERM))
                return answer

            return await asyncio.gather(*(ask() for _ in range(80)), return_exceptions=True)

    with _serving(platform) as ending:
        headers = dict(ending.headers) | {"Cache-Control": "no-cache"}
        answers = asyncio.run(burst(str(ending.base_url), headers, ending.process))
        ending.process.wait(timeout=30)
    given = [a for a in answers if isinstance(a, httpx.Response)]
    assert given
    assert {answer.status_code for answer in given} == {200}
    recorded = {row[0] for row in _records(platform, "predict/trend")}
    assert {answer.json()["prediction_id"] for answer in given} <= recorded
