"""The client tries again where that helps, waits for long work, and says what is wrong."""

from __future__ import annotations

import httpx
import pytest

from ml.exceptions import ServiceUnavailableError
from ml.serving import client as module
from ml.serving.client import BusyError, Client, RefusedError
from ml.serving.routes.work_examples import JOB, VOICE

RUNNING = JOB | {"status": "running", "result": None, "finished_at": None, "progress": 0.1}
VIDEO = {
    "prediction_id": "p", "video_id": "v", "probability": 0.8, "rising": True,
    "growth_threshold": 0.3, "model": "trend_video", "model_version": "1.0.0", "source": "online",
    "as_of": None,
}  # fmt: skip


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses that the client made, without their time."""
    made = []
    monkeypatch.setattr(module.time, "sleep", made.append)
    return made


def client(*answers):
    """A client of an API that gives these answers in order, and the requests that it got."""
    given, asked = iter(answers), []

    def answer(request):
        asked.append(request)
        found = next(given)
        if isinstance(found, Exception):
            raise found
        return found

    return Client("http://api", "key", transport=httpx.MockTransport(answer)), asked


def test_an_answer_is_typed_and_the_key_is_sent():
    api, asked = client(httpx.Response(200, json=VIDEO))
    assert api.predict_video("v").probability == 0.8
    assert asked[0].headers["X-API-Key"] == "key"
    assert asked[0].url.path == "/ml/v1/predict/video"


def test_busy_and_broken_answers_are_asked_for_again_and_the_servers_pause_is_kept(pauses):
    busy = httpx.Response(429, headers={"Retry-After": "3"}, json={})
    api, asked = client(busy, httpx.ConnectError("away"), httpx.Response(200, json=VIDEO))
    assert api.predict_video("v").video_id == "v"
    assert len(asked) == 3
    assert pauses[0] == 3


def test_what_stays_away_is_said_to_be_away():
    api, _ = client(*[httpx.ConnectError("away")] * 4)
    with pytest.raises(ServiceUnavailableError):
        api.predict_video("v")
    api, _ = client(*[httpx.Response(503, json={})] * 4)
    with pytest.raises(BusyError):
        api.predict_video("v")


def test_a_refusal_is_not_asked_for_again_and_keeps_its_code():
    said = {"error": "missing_feature", "detail": "no such topic", "request_id": "r"}
    api, asked = client(httpx.Response(422, json=said))
    with pytest.raises(RefusedError, match="no such topic") as refused:
        api.predict_trend("nothing")
    assert (refused.value.status, refused.value.code) == (422, "missing_feature")
    assert len(asked) == 1


def test_long_work_is_waited_for_and_a_second_try_is_the_same_job():
    api, asked = client(
        httpx.ConnectError("lost"),
        httpx.Response(202, json=RUNNING),
        httpx.Response(200, json=RUNNING),
        httpx.Response(200, json=JOB),
    )
    assert api.synthesize_voice("Hello there.").audio_url == VOICE["audio_url"]
    first, second, *_, last = asked
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert last.url.path == f"/ml/v1/jobs/{JOB['job_id']}"


def test_work_that_fails_says_why():
    failed = RUNNING | {"status": "failed", "error": "nothing to say"}
    api, _ = client(httpx.Response(202, json=RUNNING), httpx.Response(200, json=failed))
    with pytest.raises(RefusedError, match="nothing to say"):
        api.synthesize_voice("...")
