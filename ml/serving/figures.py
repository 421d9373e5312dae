"""What Postgres says of registered models, in the shapes of the API."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ml.serving.model_schemas import (
    Cost,
    Drift,
    Figures,
    Latency,
    ListedMetrics,
    ListedModel,
    ModelMetrics,
    Operational,
    Performance,
    Period,
)
from ml.settings import Settings
from ml.storage.postgres import query, transaction

_INTERVALS: Mapping[Period, str] = {
    "1h": "1 hour",
    "24h": "24 hours",
    "7d": "7 days",
    "30d": "30 days",
}
# Batch scores have no latency; what the API answered has.
_ANSWERED = """
    select
        count(*) as requests,
        percentile_cont(0.5) within group (order by latency_ms) as p50_ms,
        percentile_cont(0.95) within group (order by latency_ms) as p95_ms,
        percentile_cont(0.99) within group (order by latency_ms) as p99_ms,
        sum(cost)::float8 as cost
    from ml.model_predictions
    where
        model_id = model.id
        and latency_ms is not null
        and created_at > now() - %(interval)s::interval
"""
_LISTED = f"""
select
    model.model_name, model.model_type, model.version, model.status, model.deployed_at,
    model.deprecated_at, model.accuracy::float8 as accuracy,
    answered.p95_ms, answered.requests
from ml.ml_models as model
cross join lateral ({_ANSWERED}) as answered
order by model.created_at desc, model.model_name
"""  # noqa: S608 - constants alone
_ONE = f"""
select
    model.version, answered.*, drift.drift_share::float8 as feature_drift, drift.verdict,
    figures.accuracy::float8 as accuracy, figures.precision_score::float8 as precision,
    figures.recall_score::float8 as recall, figures.f1_score::float8 as f1_score,
    figures.metric_date
from ml.ml_models as model
cross join lateral ({_ANSWERED}) as answered
left join lateral (
    select * from ml.model_performance_metrics
    where model_id = model.id order by metric_date desc limit 1
) as figures on true
left join lateral (
    select * from ml.drift_reports
    where model_name = model.model_name and model_version = model.version
    order by current_end desc limit 1
) as drift on true
where
    model.model_name = %(name)s
    and (model.version = %(version)s or (%(version)s is null and model.status = 'champion'))
"""  # noqa: S608 - constants alone


def listed_models(serving: Collection[str | None], settings: Settings) -> list[ListedModel]:
    """Every registered version, newest first.

    Raises:
        ServiceUnavailableError: if Postgres does not answer.
    """
    rows = _rows(_LISTED, {"interval": _INTERVALS["24h"]}, settings)
    found = []
    for row in rows:
        model_id = f"{row['model_name']}_v{row['version']}"
        metrics = ListedMetrics(
            accuracy=row["accuracy"], latency_p95_ms=row["p95_ms"], requests_24h=row["requests"]
        )
        status = "deprecated" if row["deprecated_at"] else "inactive"
        found.append(
            ListedModel(
                model_id=model_id,
                type=row["model_type"],
                version=row["version"],
                status="active" if row["status"] == "champion" else status,
                deployed_at=row["deployed_at"],
                metrics=metrics,
                serving=model_id in serving,
            )
        )
    return found


def model_metrics(
    name: str, version: str | None, period: Period, settings: Settings
) -> ModelMetrics | None:
    """Figures of a version, of the champion if it is not named; None if there is no such model.

    Raises:
        ServiceUnavailableError: if Postgres does not answer.
    """
    values = {"name": name, "version": version, "interval": _INTERVALS[period]}
    rows = _rows(_ONE, values, settings)
    if not rows:
        return None
    row = rows[0]
    reasons = {
        "operational.errors": "errors are counted by route, see /metrics",
        "cost.compute_cost": "nobody bills the machine by model",
        "drift.prediction_drift": "reports give one share over features and predictions",
    }
    measured = row["metric_date"]
    reasons["performance"] = (
        f"measured on {measured}" if measured else "no outcomes have been joined yet"
    )
    if row["feature_drift"] is None:
        reasons["drift.feature_drift"] = "no report of this version yet"
    figures = Figures(
        performance=Performance(**_pick(row, Performance)),
        operational=Operational(
            requests=row["requests"],
            errors=None,
            error_rate=None,
            latency=Latency(**_pick(row, Latency)),
        ),
        cost=Cost(compute_cost=None, api_cost=row["cost"] or 0.0, total_cost=None),
        drift=Drift(
            feature_drift=row["feature_drift"],
            prediction_drift=None,
            alert_triggered=None if row["verdict"] is None else row["verdict"] == "drift",
        ),
    )
    return ModelMetrics(
        model_id=f"{name}_v{row['version']}", period=period, metrics=figures, reasons=reasons
    )


def _rows(text: str, values: Mapping[str, Any], settings: Settings) -> list[dict[str, Any]]:
    with transaction(settings.require("database_url")) as conn:
        conn.execute("set local statement_timeout = '5s'")
        return query(conn, text, values)


def _pick(row: Mapping[str, Any], shape: type[Performance | Latency]) -> dict[str, Any]:
    return {name: row[name] for name in shape.model_fields}
