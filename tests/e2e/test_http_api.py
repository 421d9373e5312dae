"""The HTTP API in a process of its own, on the champion and features of the main job."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import httpx
import pytest

from ml.storage.postgres import connect


@pytest.fixture(scope="module")
def api(platform, finished):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "ml.cli", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=dict(os.environ))
    key = {"X-API-Key": platform.api_key.get_secret_value()}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=key, timeout=30) as client:
            _await_ready(client, process)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=20)


def _await_ready(client, process):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, "the API ended"
        try:
            if client.get("/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.3)
    raise AssertionError("the API is not ready")


def test_a_scored_video_gets_the_same_answer_online(api, platform):
    """The online store and the batch scores agree: no training-serving skew."""
    with connect(platform.require("database_url")) as conn:
        video_id, probability = conn.execute(
            "select entity_id, (prediction ->> 'probability')::float8 from ml.model_predictions"
            " where prediction_type = 'trend_video' order by as_of desc, entity_id limit 1"
        ).fetchone()
    answer = api.post("/ml/v1/predict/video", json={"video_id": video_id})
    assert answer.status_code == 200, answer.text
    assert answer.json()["probability"] == pytest.approx(probability, abs=1e-4)


def test_a_video_without_features_is_a_clear_422(api):
    answer = api.post("/ml/v1/predict/video", json={"video_id": "never-seen"})
    assert answer.status_code == 422
    assert "never-seen" in answer.json()["detail"]


def test_the_champion_is_listed(api):
    models = api.get("/ml/v1/models").json()["models"]
    assert [model["status"] for model in models if model["model_id"].startswith("trend_video")]


def test_without_the_key_nothing_is_answered(api):
    for path in ("/ready", "/ml/v1/models"):
        assert api.get(path, headers={"X-API-Key": "wrong"}).status_code == 401
    assert api.get("/health", headers={"X-API-Key": ""}).status_code == 200
