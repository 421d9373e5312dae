"""Where a video came from: one manifest, chained to those before it.

The manifest holds what the video was made of and by: the plan with its trend rows, the model and
its predictions, the brief with its seed, prompts, stages, files with their hashes and licences, the
calls to providers with their cost, and where it went. A changed manifest, chain or file is found;
that the newest manifests of all were removed is not, which the database refuses (migration 0018).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from ml.exceptions import FatalError
from ml.generation.artifacts import ArtifactStore, sha256_of
from ml.generation.records import content_store
from ml.settings import Settings, get_settings
from ml.storage.postgres import connect, query

_START = "0" * 64
_LOCK = "select pg_advisory_xact_lock(hashtextextended('content.provenance', 0))"
_PLAN = """
select channel_id, topic_id, topic, as_of, publish_at, forecast, score, rank, model_name,
    model_version, mean_probability, videos_on_charts, views_on_charts, interest_at_publish,
    daily_growth, audience_score, niche_similarity, similarity_to_past, expected_cost_usd,
    trend_rows
from content.video_schedule where video_id = %s
"""
_MODEL = """
select m.model_name, m.version, m.mlflow_version, m.model_type, m.model_path,
    m.training_data_version
from ml.ml_models as m
inner join content.video_schedule as s
    on m.model_name = s.model_name and m.version = s.model_version
where s.video_id = %s
"""
# What the plan rested on: the newest prediction of each video of the topic that it names.
_PREDICTIONS = """
select distinct on (p.entity_id) p.id, p.entity_id, p.as_of, p.input_data as features, p.prediction
from content.video_schedule as s
cross join lateral jsonb_array_elements(s.trend_rows) as t
inner join ml.model_predictions as p
    on p.entity_id = t ->> 'video_id' and p.prediction_type = 'trend_video' and p.as_of <= s.as_of
where s.video_id = %s
order by p.entity_id, p.as_of desc, p.id
"""
_CALLS = """
select stage, provider, unit, quantity, cost_usd, created_at
from ops.cost_ledger where video_id = %s order by created_at, cost_id
"""
_STAGES = """
select stage, provider, input_hash, metrics, seconds, cost_usd
from content.stage_results where video_id = %s order by finished_at, stage
"""
_PUBLICATION = """
select destination, external_id, url, published_at from content.publications where video_id = %s
"""
_CHAIN = """
select sequence, video_id, manifest, manifest_sha256, previous_hash, chain_hash
from content.provenance order by sequence
"""


@dataclass(frozen=True)
class Verified:
    """A manifest and what is wrong with it.

    Attributes:
        problems: one sentence each; none when everything is as it was recorded.
    """

    manifest: dict[str, Any]
    problems: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was changed."""
        return not self.problems


def record_provenance(video_id: str, settings: Settings | None = None) -> str:
    """Close the manifest of a finished video; gives its hash. Again changes nothing.

    Raises:
        FatalError: if there is no such video.
    """
    settings = settings or get_settings()
    store = content_store(settings)
    with connect(settings.require("database_url")) as conn:
        text = _document(conn, store, video_id)
        digest = _sha256(text)
        conn.execute(_LOCK)
        last = conn.execute(
            "select chain_hash from content.provenance order by sequence desc limit 1"
        ).fetchone()
        previous = last[0] if last else _START
        conn.execute(
            "insert into content.provenance (video_id, manifest, manifest_sha256, previous_hash,"
            " chain_hash) values (%s, %s, %s, %s, %s) on conflict (video_id, manifest_sha256)"
            " do nothing",
            (video_id, text, digest, previous, link(previous, video_id, digest)),
        )
        store.put_text(_key(video_id, digest), text)
    return digest


def verify(video_id: str, settings: Settings | None = None) -> Verified:
    """Read a video's newest manifest and hold it, its chain and its files against their hashes.

    Raises:
        FatalError: if it has none.
    """
    settings = settings or get_settings()
    store = content_store(settings)
    with connect(settings.require("database_url")) as conn:
        rows = query(conn, _CHAIN)
    own = [row for row in rows if row["video_id"] == video_id]
    if not own:
        raise FatalError(f"there is no manifest of {video_id}; it is written when it is finished")
    newest = own[-1]
    problems = chain_problems(rows)
    try:
        if store.get_text(_key(video_id, newest["manifest_sha256"])) != newest["manifest"]:
            problems.append("the manifest in the bucket is not the one in the database")
    except FileNotFoundError:
        problems.append("the manifest is not in the bucket")
    try:
        manifest = json.loads(newest["manifest"])
        hashes = {each["key"]: each["sha256"] for each in manifest["files"].values()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return Verified({"video_id": video_id}, [*problems, "the manifest names no files"])
    return Verified(manifest, problems + _file_problems(store, hashes))


def link(previous: str, video_id: str, manifest_sha256: str) -> str:
    """The hash that chains a manifest to the one before."""
    return _sha256(f"{previous}|{video_id}|{manifest_sha256}")


def chain_problems(rows: list[dict[str, Any]]) -> list[str]:
    """What is wrong with the chain, from its start.

    Args:
        rows: of `content.provenance`, in order.
    """
    problems, previous = [], _START
    for row in rows:
        where = f"manifest {row['sequence']} ({row['video_id']})"
        if _sha256(row["manifest"]) != row["manifest_sha256"]:
            problems.append(f"{where} is not what its hash says")
        if row["previous_hash"] != previous:
            problems.append(f"{where} does not follow the one before: one was removed or changed")
        own = link(row["previous_hash"], row["video_id"], row["manifest_sha256"])
        if row["chain_hash"] != own:
            problems.append(f"{where} breaks the chain")
        previous = row["chain_hash"]
    return problems


def _document(conn: psycopg.Connection, store: ArtifactStore, video_id: str) -> str:
    video = conn.execute(
        "select files, title, scores from content.videos where video_id = %s", (video_id,)
    ).fetchone()
    if video is None:
        raise FatalError(f"there is no finished video {video_id}")
    files, title, scores = video
    made = json.loads(store.get_text(files["manifest.json"]["key"]))
    calls = query(conn, _CALLS, (video_id,))
    document = {
        "video_id": video_id,
        "title": title,
        "scores": scores,
        "plan": _one(conn, _PLAN, video_id),
        "model": _one(conn, _MODEL, video_id),
        "predictions": query(conn, _PREDICTIONS, (video_id,)),
        "made": made,
        "stages": query(conn, _STAGES, (video_id,)),
        "provider_calls": calls,
        "cost_usd_by_stage": _by_stage(calls),
        "publications": query(conn, _PUBLICATION, (video_id,)),
        "files": files,
    }
    return json.dumps(document, sort_keys=True, ensure_ascii=False, default=str)


def _by_stage(calls: list[dict[str, Any]]) -> dict[str, float]:
    costs: dict[str, float] = {}
    for call in calls:
        costs[call["stage"]] = round(costs.get(call["stage"], 0.0) + float(call["cost_usd"]), 9)
    return costs


def _file_problems(store: ArtifactStore, hashes: dict[str, str]) -> list[str]:
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        for key, digest in hashes.items():
            name = key.rpartition("/")[2]
            try:
                store.get_file(key, path)
            except FileNotFoundError:
                problems.append(f"{name} is not in the bucket")
                continue
            if sha256_of(path) != digest:
                problems.append(f"{name} is not the file that was recorded")
    return problems


def _key(video_id: str, digest: str) -> str:
    return f"provenance/{video_id}/{digest}.json"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _one(conn: psycopg.Connection, text: str, video_id: str) -> dict[str, Any] | None:
    rows = query(conn, text, (video_id,))
    return rows[0] if rows else None
