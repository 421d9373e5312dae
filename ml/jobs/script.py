"""A script for a caller: the script stage of the generation pipeline on a brief of the request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import psycopg

from ml import clock
from ml.exceptions import ConfigurationError
from ml.generation.brief import ChannelBrief, VideoBrief
from ml.generation.metadata import NULL_REASONS
from ml.generation.pipeline import run_stage
from ml.jobs.run import Task
from ml.planning.channels import read_channels
from ml.planning.planner import topic_material
from ml.serving.work_schemas import ScriptAnswer, ScriptRequest
from ml.storage.postgres import connect

_TOPIC = """
select topic.topic_id, coalesce(dim.is_synthetic, false)
from ml.topics as topic
left join marts.dim_topic as dim using (topic_id)
where
    topic.status = 'active'
    and (topic.topic_id = %(name)s or lower(topic.label) = lower(%(name)s))
order by topic.last_seen_at desc
limit 1
"""
_SHORTEST_S, _LONGEST_S = 24, 52


def write_script(task: Task, request: Mapping[str, Any]) -> ScriptAnswer:
    """Write a script about the topic of a request, from what the platform measured of it."""
    from ml.generation.script import Script

    wanted = ScriptRequest.model_validate(request)
    brief = _brief(task, wanted)
    task.report("writing", 0.1)
    result = run_stage("script", brief, store=task.store, settings=task.settings)
    script = Script.model_validate_json(task.store.get_text(result.outputs["script.json"]["key"]))
    reasons = {
        **{f"quality_metrics.{name}": NULL_REASONS[name] for name in ("engagement_score",)},
        "quality_metrics.seo_score": NULL_REASONS["seo_score"],
        "estimated_performance": NULL_REASONS["estimated_performance"],
        **dict(_not_used(wanted)),
    }
    judged = result.metrics["checkpoint"]
    if judged["verdict"] != "pass":
        # A caller gets what was written; a video would not be made of it unseen.
        reasons["script"] = f"the gate says {judged['verdict']}; its weakest is {judged['weakest']}"
    if not brief.facts:
        reasons["topic"] = "the platform measured nothing about it, so nothing is claimed of it"
    return ScriptAnswer.model_validate(
        script.model_dump() | {"model": result.provider, "reasons": reasons}
    )


def _brief(task: Task, wanted: ScriptRequest) -> VideoBrief:
    own = read_channels()[0].brief()
    personality, style = wanted.channel_personality, wanted.style
    channel = ChannelBrief(
        channel_id=own.channel_id,
        name=(personality and personality.name) or own.name,
        niche=own.niche,
        tone=(style and style.tone) or own.tone,
    )
    with connect(task.settings.require("database_url")) as conn:
        known, now = _known(conn, wanted.topic, task)
        facts, keywords, series = topic_material(conn, known[0], now) if known else ((), (), ())
    return VideoBrief(
        video_id=f"job-{task.job_id}",
        channel=channel,
        topic=wanted.topic,
        topic_id=known[0] if known else None,
        keywords=tuple(dict.fromkeys([*wanted.seo_keywords, *keywords])),
        facts=facts,
        series=series,
        target_seconds=float(wanted.duration_seconds),
        seed=task.seed,
        synthetic=known[1] if known else False,
        as_of=now,
    )


def _known(
    conn: psycopg.Connection, name: str, task: Task
) -> tuple[tuple[str, bool] | None, datetime]:
    """The topic of that name or id, whether it is simulated, and "now"."""
    try:
        now = clock.as_of(conn, task.settings)
    except ConfigurationError:  # a platform that has seen nothing yet
        row = conn.execute(
            "select created_at from ops.api_jobs where job_id = %s", (task.job_id,)
        ).fetchone()
        if row is None:
            raise
        return None, row[0]
    built = conn.execute("select to_regclass('marts.dim_topic') is not null").fetchone()
    if built is None or not built[0]:  # the marts were never published
        return None, now
    row = conn.execute(_TOPIC, {"name": name}).fetchone()
    return ((row[0], row[1]) if row else None), now


def _not_used(wanted: ScriptRequest) -> Iterator[tuple[str, str]]:
    """What was asked and does not enter."""
    if not _SHORTEST_S <= wanted.duration_seconds <= _LONGEST_S:
        yield "duration_seconds", f"scripts of {_SHORTEST_S} to {_LONGEST_S} s are written"
    if wanted.video_type is not None:
        yield "video_type", "every script tells what was measured; there is one form"
    for name in ("personality", "pacing"):
        if wanted.style is not None and getattr(wanted.style, name) is not None:
            yield f"style.{name}", "no prompt takes it"
    personality = wanted.channel_personality
    if personality is not None and (personality.catchphrases or personality.speaking_style):
        yield "channel_personality", "its name is used; no prompt takes the rest"
    if wanted.target_audience is not None:
        yield "target_audience", "no prompt takes it"
    if wanted.hooks_required != 1:
        yield "hooks_required", "a script has one hook"
    if not wanted.include_cta:
        yield "include_cta", "every script ends with a call to action"
