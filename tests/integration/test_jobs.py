"""Work of the API's callers: done once, with its files; and what the API's login may do."""

from __future__ import annotations

import asyncio
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest

from ml.exceptions import FatalError
from ml.jobs.run import run_job
from ml.serving.job_store import OUR_FAULT, Job, JobStore, Kind
from ml.serving.jobs import Jobs
from ml.serving.records import Record, Recorder
from ml.serving.work_schemas import Assessment, ThumbnailAnswer, VoiceAnswer
from ml.settings import Settings
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect


def done(settings: Settings, kind: Kind, request: dict[str, object]) -> Job:
    """The job of a request, after its run."""
    store, job_id = JobStore(settings.require("database_url")), str(uuid.uuid4())
    job, is_new = store.add(job_id, kind, "a-key", request, kind)
    assert is_new
    assert job.status == "submitted"
    try:
        run_job(kind, job_id, settings=settings)
    except FatalError:
        assert not store.add(job_id, kind, "a-key", request, kind)[1]
    return store.read([job_id])[job_id]


def stored(settings: Settings, job: Job, name: str) -> bytes:
    key = job.files[name]["key"]
    return ObjectStore(settings).get_bytes(settings.bucket("content"), key)


def test_a_job_is_done_once_and_its_files_lie_under_its_id(stack: Settings) -> None:
    request: dict[str, object] = {"video_title": "Deep sea robots", "variations": 2}
    job = done(stack, "generate_thumbnail", request)
    answer = ThumbnailAnswer.model_validate(job.result)
    assert [each.variant_id for each in answer.thumbnails] == ["variant_1", "variant_2"]
    assert stored(stack, job, "thumbnail-1.jpg")[:3] == b"\xff\xd8\xff"
    run_job("generate_thumbnail", job.job_id, settings=stack)
    store = JobStore(stack.require("database_url"))
    store.fail(job.job_id, "too late", "platform")
    assert store.read([job.job_id])[job.job_id] == job


def test_speech_is_made_and_measured_and_what_cannot_be_said_is_refused(stack: Settings) -> None:
    request: dict[str, object] = {"text": "Robots dived deep.", "format": "ogg"}
    job = done(stack, "synthesize_voice", request)
    speech = VoiceAnswer.model_validate(job.result)
    assert speech.duration_seconds > 0.5
    assert stored(stack, job, "voice.ogg")[:4] == b"OggS"
    heard = done(
        stack,
        "assess_quality",
        {"content_type": "audio", "content_data": {"audio_url": speech.audio_url}},
    )
    measured = Assessment.model_validate(heard.result)
    assert {check.name for check in measured.checks} >= {"integrated_lufs", "true_peak_dbtp"}
    refused = done(stack, "synthesize_voice", {"text": "日本"})
    assert (refused.status, refused.fault) == ("failed", "request")
    assert "Latin letters" in (refused.error or "")
    strange = done(stack, "synthesize_voice", {"text": "Hello.", "provider": "azure"})
    assert (strange.status, strange.fault) == ("failed", "request")
    assert strange.error == "the provider azure is not set up here; ask for local"


def test_a_fault_of_the_platform_is_not_the_requests_and_does_not_say_how_it_is_set_up(
    stack: Settings,
) -> None:
    host = "eastus.tts.speech.microsoft.com"
    simulated = {"provider_urls": {host: f"{stack.require('world_url')}/{host}"}}
    spoken: dict[str, object] = {"text": "Robots dived deep.", "provider": "azure"}
    poor = stack.changed(simulated | {"voice_daily_budget_usd": 0.0})
    job = done(poor, "synthesize_voice", spoken)
    assert (job.status, job.fault, job.error) == ("failed", "platform", OUR_FAULT)
    paid = done(stack.changed(simulated), "synthesize_voice", spoken)
    # Another format of what was paid for is a file of the same sound.
    again = done(stack.changed(simulated), "synthesize_voice", spoken | {"format": "wav"})
    assert VoiceAnswer.model_validate(paid.result).cost > 0
    assert VoiceAnswer.model_validate(again.result).cost == 0
    assert stored(stack, again, "voice.wav")[:4] == b"RIFF"
    with connect(stack.require("database_url")) as conn:
        booked = conn.execute(
            "select unit, quantity::int from ops.cost_ledger where video_id = any(%s)",
            ([f"job-{job.job_id}" for job in (paid, again)],),
        ).fetchall()
    assert (paid.status, booked) == ("completed", [("characters", len("Robots dived deep."))])


@pytest.mark.parametrize(
    "statement",
    [
        "delete from ml.model_predictions",
        "insert into ml.topics (topic_id) values ('x')",
        "update ops.api_keys set revoked_at = null",
        "select * from ops.api_audit",
        "select payload from raw.records",
        "select brief from content.video_schedule",
        "create table ml.mine (x int)",
    ],
)
def test_the_apis_login_may_not(stack: Settings, statement: str) -> None:
    with (
        connect(stack.require("api_database_url")) as conn,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        conn.execute(statement.encode())


def test_the_apis_login_writes_predictions_and_what_a_version_could_not_answer(
    stack: Settings,
) -> None:
    with connect(stack.require("database_url")) as conn:
        (model_id,) = conn.execute(
            "insert into ml.ml_models (model_name, model_type, version, model_path)"
            " values (%s, 'test', '1', 'models:/none') returning id::text",
            (f"test-{uuid.uuid4()}",),
        ).fetchone() or ("",)
    api = stack.model_copy(update={"database_url": stack.require("api_database_url")})
    recorder = Recorder(api)
    recorder.failed(model_id, "predict/trend", ValueError("what the input was stays out"))
    ids = [str(uuid.uuid4()) for _ in range(4)]
    for number, each in enumerate(ids):
        # JSON has a character that Postgres does not: the others are not held up.
        said = '{"text": "\\u0000"}' if number == 1 else "{}"
        recorder.add(
            Record(each, model_id, "t", None, said, "{}", None, 1, "2030-01-01T00:00:00Z", "{}")
        )

    async def run() -> None:
        running = asyncio.create_task(recorder.run())
        await asyncio.sleep(1.0)
        running.cancel()

    asyncio.run(run())
    with connect(stack.require("database_url")) as conn:
        kept = conn.execute(
            "delete from ml.model_predictions where id = any(%s::uuid[]) returning id::text", (ids,)
        ).fetchall()
        found = conn.execute(
            "delete from ml.serving_errors where model_id = %s returning prediction_type, error",
            (model_id,),
        ).fetchall()
        conn.execute("delete from ml.ml_models where id = %s", (model_id,))
    assert found == [("predict/trend", "ValueError")]
    assert {each for (each,) in kept} == {ids[0], ids[2], ids[3]}
    assert recorder.shed == 1


def test_the_apis_login_adds_and_follows_jobs(stack: Settings) -> None:
    store, job_id = JobStore(stack.require("api_database_url")), str(uuid.uuid4())
    store.add(job_id, "train", "a-key", {}, "train_trend_video")
    store.step(job_id, "train_and_register", 0.5)
    assert store.read([job_id])[job_id].progress == 0.5


class Refusing(BaseHTTPRequestHandler):
    """An Airflow that lets nobody in."""

    def do_POST(self) -> None:
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Nothing."""


def test_a_job_is_followed_to_its_end_though_airflow_refuses(stack: Settings) -> None:
    store, job_id = JobStore(stack.require("database_url")), str(uuid.uuid4())
    job, _ = store.add(job_id, "assess_quality", "a-key", {}, "assess_quality")
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as airflow:
        threading.Thread(target=airflow.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{airflow.server_port}"
        jobs = Jobs(stack.model_copy(update={"airflow_url": url}))

        async def follow() -> Job:
            asked = asyncio.create_task(jobs.wait(job, 20))
            while not jobs.problem:
                await asyncio.sleep(0.05)
            store.complete(job_id, {"said": True})
            latest = await asked
            await jobs.close()
            return latest

        assert asyncio.run(follow()).result == {"said": True}
        airflow.shutdown()
    assert "refuses" in jobs.problem
