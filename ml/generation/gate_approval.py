"""A person decides about a video that the gate holds: what is shown, and what follows.

The answer becomes a file of the gate's stage, so that publishing, which depends on the stage, is
done again with the verdict that the person gave.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from psycopg.types.json import Jsonb

from ml.exceptions import GenerationError
from ml.generation import pipeline
from ml.generation.artifacts import ArtifactStore
from ml.generation.brief import VideoBrief
from ml.generation.records import content_store, scheduled_brief
from ml.generation.stage import StageResult
from ml.settings import Settings, get_settings
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect

Decision = Literal["approve", "reject", "hold"]

_VERDICTS: dict[Decision, str] = {"approve": "pass", "reject": "rejected", "hold": "held"}


@dataclass(frozen=True)
class Request:
    """What a person is shown; the body is Markdown."""

    subject: str
    body: str


def request(video_id: str, settings: Settings | None = None) -> Request | None:
    """What to ask about a scheduled video; None unless the gate holds it.

    Raises:
        GenerationError: if its gate is not finished.
    """
    settings = settings or get_settings()
    brief, store = _brief(video_id, settings), content_store(settings)
    gate = pipeline.finished("gate", brief, store=store, settings=settings)
    if gate.metrics["verdict"] != "held":
        return None
    thumbnail = pipeline.finished("thumbnail", brief, store=store, settings=settings)
    voice = pipeline.finished("voice", brief, store=store, settings=settings)
    link = ObjectStore(settings).link(
        settings.bucket("content"), thumbnail.outputs["thumbnail.jpg"]["key"],
        int(settings.approval_hours * 3600) or 3600,
    )  # fmt: skip
    report = json.loads(store.get_text(gate.outputs["gate.json"]["key"]))
    script = json.loads(store.get_text(voice.outputs["script.json"]["key"]))
    title = script["seo_metadata"]["title_suggestions"][0]
    return Request(f"Publish “{title}”?", body(brief, report, script, link))


def body(
    brief: VideoBrief, report: Mapping[str, Any], script: Mapping[str, Any], thumbnail: str
) -> str:
    """Thumbnail, scores and script as Markdown; texts from outside are quoted, never rendered."""
    parts = script["script"]
    spoken = [parts["intro"]["text"], *(s["text"] for s in parts["segments"])]
    spoken.append(parts["outro"]["text"])
    rows = [
        f"| {point} | {summary['verdict']} | {summary['scores']['overall']:.2f}"
        f" | {summary['weakest'] or '-'} |"
        for point, summary in report["checkpoints"].items()
    ]
    weak = [
        f"| {check['name']} | {check['kind']} | {_plain(check['value'])} | {check['score']:.2f} |"
        for check in report["checks"]
        if check["part"] != "estimate"  # which counts for nothing
        and check["score"] is not None
        and check["score"] < report["thresholds"]["pass"]
    ]
    return "\n".join(
        [
            f"![thumbnail]({thumbnail})",
            "",
            f"Topic: {_plain(brief.topic)}. Channel: {_plain(brief.channel.name)}.",
            "",
            "| checkpoint | verdict | score | weakest check |",
            "|---|---|---|---|",
            *rows,
            "",
            "| check below the threshold | kind | value | score |",
            "|---|---|---|---|",
            *weak,
            "",
            *(f"> {_plain(text)}\n>" for text in spoken),
        ]
    )


def _plain(value: object) -> str:
    """Without Markdown's own marks, which a source could use to draw a link or a picture."""
    text = " ".join(str(value).split())
    return "".join(" " if mark in "|<>[]()!`*_#\\" else mark for mark in text)


def decide(video_id: str, decision: Decision, by: str, settings: Settings | None = None) -> str:
    """Record a person's decision about a held video; the same one again changes nothing.

    Args:
        video_id: in the schedule.
        decision: `hold` is also what follows when nobody answers in time.
        by: who decided.
        settings: default: those of the environment.

    Returns:
        The verdict that publishing goes by.

    Raises:
        GenerationError: if the gate neither holds the video nor was decided about.
    """
    settings = settings or get_settings()
    brief, store = _brief(video_id, settings), content_store(settings)
    gate = pipeline.finished("gate", brief, store=store, settings=settings)
    if gate.metrics["verdict"] != "held" and "decision.json" not in gate.outputs:
        raise GenerationError(
            f"the gate's verdict on {video_id} is {gate.metrics['verdict']}; only a held video is"
            " decided about"
        )
    amended = settle(gate, brief, decision, by, store)
    with connect(settings.require("database_url")) as conn:
        conn.execute(
            "update content.stage_results set outputs = %s, metrics = %s"
            " where video_id = %s and stage = 'gate'",
            (Jsonb(amended.outputs), Jsonb(amended.metrics), video_id),
        )
    return _VERDICTS[decision]


def settle(
    gate: StageResult, brief: VideoBrief, decision: Decision, by: str, store: ArtifactStore
) -> StageResult:
    """The gate's result with a decision in it."""
    document = {"decision": decision, "by": by, "scores": gate.metrics["scores"]}
    return pipeline.amend(
        gate, brief, store=store,
        texts={"decision.json": json.dumps(document, indent=2, sort_keys=True)},
        metrics={"verdict": _VERDICTS[decision], "decided": decision, "decided_by": by},
    )  # fmt: skip


def _brief(video_id: str, settings: Settings) -> VideoBrief:
    with connect(settings.require("database_url")) as conn:
        return scheduled_brief(conn, video_id)
