"""The registry as rows: `ml.ml_models` and `ml.training_jobs`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ml.settings import Settings
from ml.storage.postgres import connect

if TYPE_CHECKING:
    from ml.registry.releases import Release

_UPSERT_MODEL = """
    insert into ml.ml_models (
        model_name, model_type, version, mlflow_version, status, accuracy, f1_score, model_path,
        config, hyperparameters, training_data_version, deployed_at, created_by, metadata
    )
    values (
        %(name)s, %(model_type)s, %(version)s, %(number)s, %(status)s::varchar,
        %(accuracy)s, %(f1)s, %(path)s, %(config)s, %(params)s, %(digest)s,
        case when %(status)s::varchar = 'champion' then now() end, %(created_by)s, %(metadata)s
    )
    on conflict (model_name, version) do update set
        mlflow_version = excluded.mlflow_version,
        status = excluded.status,
        accuracy = excluded.accuracy,
        f1_score = excluded.f1_score,
        metadata = excluded.metadata,
        deployed_at = coalesce(ml_models.deployed_at, excluded.deployed_at),
        deprecated_at = case
            when ml_models.status = 'champion' and excluded.status <> 'champion' then now()
            when excluded.status = 'champion' then null
            else ml_models.deprecated_at
        end
"""

_START_JOB = """
    insert into ml.training_jobs (
        job_name, model_type, status, dataset_path, hyperparameters, started_at, created_by
    )
    values (%s, %s, 'running', %s, %s, now(), %s)
    on conflict (job_name) do update set
        status = 'running', started_at = now(), completed_at = null, error_message = null
"""

_FINISH_JOB = """
    update ml.training_jobs set
        status = %s, metrics = %s, best_metric = %s, artifacts = %s, error_message = %s,
        completed_at = now(), duration_seconds = extract(epoch from now() - started_at)::integer
    where job_name = %s
"""


@contextmanager
def lock(name: str, settings: Settings) -> Iterator[None]:
    """Hold the registry of one model; a second caller waits. A kill releases it."""
    with connect(settings.require("database_url"), autocommit=True) as conn:
        conn.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (f"registry:{name}",))
        yield


def write_models(name: str, releases: Iterable[Release], settings: Settings) -> None:
    """Bring `ml.ml_models` in line with the registry: one row per version."""
    with connect(settings.require("database_url")) as conn:
        for release in releases:
            conn.execute(_UPSERT_MODEL, _model_row(name, release))


def model_id(release: Release, settings: Settings) -> str:
    """Id of the release in `ml.ml_models`."""
    with connect(settings.require("database_url")) as conn:
        row = conn.execute(
            "select id from ml.ml_models where model_name = %s and version = %s",
            (release.name, release.version),
        ).fetchone()
        if row is None:
            conn.execute(_UPSERT_MODEL, _model_row(release.name, release))
            row = conn.execute(
                "select id from ml.ml_models where model_name = %s and version = %s",
                (release.name, release.version),
            ).fetchone()
    return str(row[0]) if row else ""


@contextmanager
def training_job(
    job: str, model_type: str, dataset: str, params: Mapping[str, Any], settings: Settings
) -> Iterator[dict[str, Any]]:
    """Record a training in `ml.training_jobs`: running, then completed or failed.

    The caller puts `metrics`, `best_metric` and `artifacts` into the dictionary it is given.
    """
    url = settings.require("database_url")
    with connect(url) as conn:
        conn.execute(_START_JOB, (job, model_type, dataset, json.dumps(params), "ytempire"))
    outcome: dict[str, Any] = {}
    try:
        yield outcome
    except BaseException as error:  # an interrupt and Airflow's timeout are none of Exception
        _finish(url, job, "failed", outcome, f"{type(error).__name__}: {error}"[:2000])
        raise
    _finish(url, job, "completed", outcome, None)


def _finish(url: str, job: str, status: str, outcome: Mapping[str, Any], error: str | None) -> None:
    with connect(url) as conn:
        conn.execute(
            _FINISH_JOB,
            (
                status,
                json.dumps(outcome.get("metrics")),
                outcome.get("best_metric"),
                json.dumps(outcome.get("artifacts")),
                error,
                job,
            ),
        )


def _model_row(name: str, release: Release) -> dict[str, Any]:
    tags = release.tags
    own = json.loads(tags.get("metrics", "{}")).get("model", {})
    config = {
        key: tags[key]
        for key in ("feature_service", "growth_threshold", "decision_threshold")
        if key in tags
    }
    return {
        "name": name,
        "model_type": tags.get("model_type", "unknown"),
        "version": release.version,
        "number": release.mlflow_version,
        "status": _status(release.aliases),
        "accuracy": own.get("accuracy"),
        "f1": own.get("f1"),
        "path": f"models:/{name}/{release.mlflow_version}",
        "config": json.dumps(config),
        "params": tags.get("params", "{}"),
        "digest": tags.get("fingerprint", "")[:64],
        "created_by": "ytempire",
        "metadata": json.dumps({"aliases": release.aliases, "reason": release.reason}),
    }


def _status(aliases: tuple[str, ...]) -> str:
    for alias in ("champion", "canary", "staging", "challenger"):
        if alias in aliases:
            return alias
    return "retired" if any(alias.startswith("previous") for alias in aliases) else "inactive"
