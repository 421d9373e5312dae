"""What generation writes into the database: keyed upserts, so writing twice is writing once."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from ml.exceptions import GenerationError
from ml.generation.artifacts import ArtifactStore, S3Store
from ml.generation.brief import VideoBrief
from ml.generation.pipeline import run_stage
from ml.generation.stage import StageResult
from ml.settings import Settings, get_settings
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect

log = logging.getLogger(__name__)

# What passed is out once it is released (`ml.publishing.release`).
_STATUS = {"pass": "approved", "held": "held", "rejected": "rejected"}


def content_store(settings: Settings | None = None) -> S3Store:
    """The store of the content bucket."""
    settings = settings or get_settings()
    return S3Store(ObjectStore(settings), settings.bucket("content"))


def run_scheduled_stage(
    video_id: str, stage: str, *, settings: Settings | None = None
) -> dict[str, Any]:
    """Run one stage of a scheduled video and record it. This is the whole task of a DAG.

    Killed anywhere it can be run again: files are content-addressed and rows are keyed.

    Returns:
        A summary for people: stage, provider, seconds, whether it was reused, and the verdict
        once there is one.

    Raises:
        GenerationError: if there is no such video, or the stage can produce nothing usable.
    """
    settings = settings or get_settings()
    store = content_store(settings)
    with connect(settings.require("database_url")) as conn:
        brief = scheduled_brief(conn, video_id)
        mark(conn, video_id, "generating")
    result = run_stage(stage, brief, store=store, settings=settings)
    with connect(settings.require("database_url")) as conn:
        record_stage(conn, brief, result)
        if stage == "script":
            record_embedding(conn, brief, result, store)
        if stage == "publish":
            record_video(conn, brief, result, store)
    return {
        "stage": stage,
        "provider": result.provider,
        "seconds": result.seconds,
        "reused": result.reused,
        "verdict": result.metrics.get("verdict"),
    }


def scheduled_brief(conn: psycopg.Connection, video_id: str) -> VideoBrief:
    """The brief of a scheduled video.

    Raises:
        GenerationError: if it is not in the schedule.
    """
    row = conn.execute(
        "select brief from content.video_schedule where video_id = %s", (video_id,)
    ).fetchone()
    if row is None:
        raise GenerationError(f"video {video_id} is not in content.video_schedule; plan it first")
    return VideoBrief.model_validate(row[0])


def mark(conn: psycopg.Connection, video_id: str, status: str) -> None:
    """Set the status of a scheduled video. One that is finished does not start again."""
    conn.execute(
        "update content.video_schedule set status = %s where video_id = %s"
        " and (%s <> 'generating' or status in ('scheduled', 'failed'))",
        (status, video_id, status),
    )


def record_stage(conn: psycopg.Connection, brief: VideoBrief, result: StageResult) -> None:
    """Write a stage's result and what it cost."""
    conn.execute(
        "insert into content.stage_results (video_id, stage, input_hash, provider, outputs,"
        " metrics, seconds, cost_usd) values (%s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (video_id, stage) do update set input_hash = excluded.input_hash,"
        " provider = excluded.provider, outputs = excluded.outputs, metrics = excluded.metrics,"
        " seconds = excluded.seconds, cost_usd = excluded.cost_usd, finished_at = now()"
        " where stage_results.input_hash <> excluded.input_hash",
        (
            brief.video_id, result.stage, result.input_hash, result.provider,
            Jsonb(result.outputs), Jsonb(result.metrics), result.seconds, result.cost_usd,
        ),
    )  # fmt: skip
    usage = {"seconds": result.seconds}
    usage |= {
        unit: float(result.metrics[unit])
        for unit in ("prompt_tokens", "completion_tokens")
        if unit in result.metrics
    }
    for unit, quantity in usage.items():
        key = f"{brief.video_id}/{result.stage}/{result.input_hash}/{unit}"
        # The dollars of a stage stand in one of its rows, so that a sum counts them once; what its
        # calls have booked themselves is not booked again.
        unbooked = result.cost_usd - result.metrics.get("booked_usd", 0.0)
        cost = max(0.0, round(unbooked, 9)) if unit == "seconds" else 0
        conn.execute(
            "insert into ops.cost_ledger (cost_id, video_id, stage, provider, unit, quantity,"
            " cost_usd) values (%s, %s, %s, %s, %s, %s, %s) on conflict (cost_id) do nothing",
            (
                hashlib.sha256(key.encode()).hexdigest()[:32], brief.video_id, result.stage,
                result.provider, unit, quantity, cost,
            ),
        )  # fmt: skip


def record_embedding(
    conn: psycopg.Connection, brief: VideoBrief, result: StageResult, store: ArtifactStore
) -> None:
    """Write the script's embedding, for finding videos that said the same."""
    from ml.generation.embedding import MODEL, embed
    from ml.generation.gate_content import spoken
    from ml.generation.script import Script

    script = Script.model_validate_json(store.get_text(result.outputs["script.json"]["key"]))
    vector = embed([spoken(script)])[0]
    conn.execute(
        "insert into ml.content_embeddings (content_id, content_type, embedding, model_version,"
        " metadata) values (%s, 'video_script', %s::vector, %s, %s)"
        " on conflict (content_id, content_type, model_version)"
        " do update set embedding = excluded.embedding, metadata = excluded.metadata",
        (
            brief.video_id, "[" + ",".join(f"{value:.7f}" for value in vector) + "]", MODEL,
            Jsonb({"topic": brief.topic, "input_hash": result.input_hash}),
        ),
    )  # fmt: skip


def record_video(
    conn: psycopg.Connection, brief: VideoBrief, result: StageResult, store: ArtifactStore
) -> None:
    """Write the finished video, and close its schedule row unless it is to be released."""
    document: dict[str, Any] = json.loads(store.get_text(result.outputs["manifest.json"]["key"]))
    stages = conn.execute(
        "select coalesce(sum(cost_usd), 0),"
        " max((metrics ->> 'duration_s')::float8) filter (where stage = 'video')"
        " from content.stage_results where video_id = %s",
        (brief.video_id,),
    ).fetchone()
    cost, duration = stages if stages else (0, None)
    if duration is None:
        raise GenerationError(f"the video stage of {brief.video_id} is not recorded; run it first")
    prefix = result.metrics["prefix"]
    files = {
        name: {"key": f"{prefix}/{name}", **entry} for name, entry in document["files"].items()
    }
    own = result.outputs["manifest.json"]
    files["manifest.json"] = own | {"key": f"{prefix}/manifest.json"}
    recorded = conn.execute(
        "insert into content.videos (video_id, channel_id, topic_id, topic, title, verdict, scores,"
        " duration_s, files, local_path, cost_usd) values (%s, %s,"
        " coalesce((select topic_id from content.video_schedule where video_id = %s), %s),"
        " %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (video_id) do update set title = excluded.title,"
        # A task that runs again does not undo what happened to the video since.
        " verdict = case when videos.verdict = 'unpublished'"
        " or (videos.files = excluded.files and excluded.verdict = 'approved')"
        " then videos.verdict else excluded.verdict end,"
        " scores = excluded.scores, duration_s = excluded.duration_s, files = excluded.files,"
        " local_path = excluded.local_path, cost_usd = excluded.cost_usd, finished_at = now()"
        " returning verdict",
        (
            brief.video_id, brief.channel.channel_id, brief.video_id,
            brief.topic_id or brief.topic, brief.topic, document["title"],
            _STATUS[document["verdict"]],
            Jsonb(document["scores"]), duration, Jsonb(files), result.metrics["folder"], cost,
        ),
    ).fetchone()  # fmt: skip
    if recorded and recorded[0] == "approved":
        # Also one that was held before, so that a release that fails leaves a dead letter.
        conn.execute(
            "update content.video_schedule set status = 'generating' where video_id = %s",
            (brief.video_id,),
        )
    elif recorded and recorded[0] in ("held", "rejected"):
        mark(conn, brief.video_id, recorded[0])
