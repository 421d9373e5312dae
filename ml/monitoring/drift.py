"""Drift of the champion's features: its training window against the last week.

Evidently compares and renders; the verdict goes to `ml.drift_reports`, the page to the reports
bucket.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from psycopg import sql

from ml import features
from ml.exceptions import FatalError
from ml.measures import binary_measures
from ml.registry import mirror, releases
from ml.registry.releases import Release
from ml.settings import Settings, get_settings
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect
from ml.trend.video.dataset import bounds, labelled_frame, load_params, own_observation
from ml.trend.video.matrix import TEXT_COLUMNS, model_input
from ml.trend.video.train import NAME

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

CURRENT_WINDOW = timedelta(days=7)
# Data drift in more than one feature in ten is the early-warning indicator.
DRIFT_SHARE = 0.10
_SAMPLE_ROWS = 5000
_MIN_ROWS = 30
# Steps of the calendar and counters that only grow differ between any two windows and say nothing.
_NOT_COMPARED = frozenset(
    {
        "day_number",
        "observed_hour",
        "observed_dow",
        "is_weekend",
        "published_dow",
        "hours_since_first",
        "channel_videos_before",
    }
)
_CATEGORICAL = frozenset({"category_id", "language", "made_for_kids"})
_TOP_LANGUAGES = 15

_FIRST_PREDICTIONS = sql.SQL(
    """
    select video_id, greatest(event_at, available_at) as event_timestamp, standing_day as entity_day
    from features.video_standing
    where is_synthetic = {synthetic}
        and standing_day = 1
        and event_at >= {start}
        and event_at <= {end}
        and available_at <= {as_of}
    order by md5(video_id)
    limit {rows}
    """
)

_UPSERT_REPORT = """
    insert into ml.drift_reports (
        drift_report_id, model_name, model_version, reference_start, reference_end,
        current_start, current_end, columns_checked, columns_drifted, drift_share, verdict,
        report_key, details
    )
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    on conflict (drift_report_id) do update set
        columns_checked = excluded.columns_checked, columns_drifted = excluded.columns_drifted,
        drift_share = excluded.drift_share, verdict = excluded.verdict,
        report_key = excluded.report_key, details = excluded.details
"""

_UPSERT_PERFORMANCE = """
    insert into ml.model_performance_metrics (
        model_id, metric_date, predictions_count, accuracy, precision_score, recall_score,
        f1_score, drift_score
    )
    values (
        %(model_id)s, %(day)s, %(rows)s, %(accuracy)s, %(precision)s, %(recall)s, %(f1)s, %(drift)s
    )
    on conflict (model_id, metric_date) do update set
        predictions_count = excluded.predictions_count, accuracy = excluded.accuracy,
        precision_score = excluded.precision_score, recall_score = excluded.recall_score,
        f1_score = excluded.f1_score, drift_score = excluded.drift_score
"""


@dataclass(frozen=True)
class DriftReport:
    """The verdict.

    Attributes:
        drift_share: share of the compared columns that drifted.
        verdict: `drift` if that is more than `DRIFT_SHARE`.
        report_key: HTML page in the reports bucket.
        performance: measures on the videos whose labels arrived in the current window; empty
            where there are too few.
    """

    drift_report_id: str
    model_version: str
    reference: tuple[datetime, datetime]
    current: tuple[datetime, datetime]
    reference_rows: int
    current_rows: int
    columns_checked: int
    columns_drifted: int
    drift_share: float
    verdict: Literal["stable", "drift"]
    report_key: str
    drifted: tuple[str, ...]
    performance: Mapping[str, float]


def run_drift_report(as_of: datetime, settings: Settings | None = None) -> DriftReport:
    """Compare the champion's features with those it was trained on.

    The reference is the champion's training window, the current window the seven days before
    `as_of`; of both the first prediction of each video, at most 5,000 chosen by a hash of the id.
    The report of one champion and moment is always the same row and object.

    Raises:
        FatalError: if there is no champion, or too few rows in one of the windows.
    """
    settings = settings or get_settings()
    model, release = releases.load_champion(NAME, settings)
    reference = (_time(release, "train_start"), _time(release, "train_end"))
    current = (as_of - CURRENT_WINDOW, as_of)
    columns = tuple(model.metadata.get_input_schema().input_names())
    frames = [_window(window, as_of, columns, release, settings) for window in (reference, current)]
    for frame, name in zip(frames, ("training", "current"), strict=True):
        if len(frame) < _MIN_ROWS:
            raise FatalError(
                f"the {name} window has {len(frame)} videos, a drift report needs {_MIN_ROWS}:"
                " ingest more days"
            )
    scores, html = _compare(*frames)
    identity = hashlib.sha256(
        f"{NAME}/{release.mlflow_version}/{as_of.isoformat()}".encode()
    ).hexdigest()[:32]
    drifted = tuple(sorted(name for name, score in scores.items() if score["drifted"]))
    report = DriftReport(
        drift_report_id=identity,
        model_version=release.version,
        reference=reference,
        current=current,
        reference_rows=len(frames[0]),
        current_rows=len(frames[1]),
        columns_checked=len(scores),
        columns_drifted=len(drifted),
        drift_share=len(drifted) / len(scores),
        verdict="drift" if len(drifted) / len(scores) > DRIFT_SHARE else "stable",
        report_key=f"drift/model={NAME}/as_of={as_of:%Y-%m-%dT%H%M%SZ}/{identity}.html",
        drifted=drifted,
        performance=_performance(model, release, current, as_of, settings),
    )
    ObjectStore(settings).put_bytes(
        settings.bucket("reports"), report.report_key, html, "text/html; charset=utf-8"
    )
    _write(report, scores, release, settings)
    log.info("drift of %s %s: %s, %s", NAME, release.version, report.verdict, drifted)
    return report


def _time(release: Release, tag: str) -> datetime:
    return datetime.fromisoformat(release.tags[tag])


def _window(
    window: tuple[datetime, datetime],
    as_of: datetime,
    columns: tuple[str, ...],
    release: Release,
    settings: Settings,
) -> pd.DataFrame:
    query = _FIRST_PREDICTIONS.format(
        synthetic=sql.Literal(release.tags["is_synthetic"] == "true"),
        start=sql.Literal(window[0]),
        end=sql.Literal(window[1]),
        as_of=sql.Literal(as_of),
        rows=sql.Literal(_SAMPLE_ROWS),
    ).as_string()
    joined = features.training_frame(query, release.tags["feature_service"], settings)
    frame = model_input(own_observation(joined), columns)
    return frame.drop(columns=[name for name in frame if name in _NOT_COMPARED])


def _compare(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[dict[str, Any], bytes]:
    """Run Evidently; returns method, score, threshold and call per column, and the HTML page."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    reference, current = _comparable(reference, current)
    categorical = [name for name in reference if name in _CATEGORICAL]
    definition = DataDefinition(
        numerical_columns=[name for name in reference if name not in _CATEGORICAL],
        categorical_columns=categorical,
    )
    snapshot = Report([DataDriftPreset()]).run(
        Dataset.from_pandas(current, data_definition=definition),
        Dataset.from_pandas(reference, data_definition=definition),
    )
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        snapshot.save_html(str(page))
        html = page.read_bytes()
    return _scores(snapshot.dict()), html


def _comparable(
    reference: pd.DataFrame, current: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Drop columns empty in either window and fold rare languages into one."""
    empty = [c for c in reference if reference[c].isna().all() or current[c].isna().all()]
    reference, current = reference.drop(columns=empty), current.drop(columns=empty)
    for name in (name for name in TEXT_COLUMNS if name in reference):
        common = set(reference[name].value_counts().head(_TOP_LANGUAGES).index)
        for frame in (reference, current):
            frame[name] = frame[name].where(frame[name].isin(common), "other")
    return reference, current


def _scores(result: dict[str, Any]) -> dict[str, Any]:
    """Read the drift of each column out of Evidently's answer.

    Distances (Wasserstein, Jensen-Shannon) drift at or above their threshold, p values below it.
    """
    scores: dict[str, Any] = {}
    for metric in result["metrics"]:
        config = metric.get("config", {})
        if "column" not in config or "ValueDrift" not in config.get("type", metric["metric_name"]):
            continue
        method, score, threshold = config["method"], float(metric["value"]), config["threshold"]
        is_p_value = "p_value" in method or "p-value" in method
        drifted = score < threshold if is_p_value else score >= threshold
        scores[config["column"]] = {
            "method": method,
            "score": round(score, 6),
            "threshold": float(threshold),
            "drifted": bool(drifted),
        }
    if not scores:
        raise FatalError("Evidently reported no column; its report format has changed")
    return scores


def _performance(
    model: Any,
    release: Release,
    window: tuple[datetime, datetime],
    as_of: datetime,
    settings: Settings,
) -> dict[str, float]:
    """Measure the champion on videos it was not trained on whose labels arrived in `window`."""
    params = {**load_params(), "max_day_number": 1}
    # Two days for the label to arrive, two more for observations that came late.
    limits = bounds(as_of, params, settings, since=window[0] - timedelta(days=4))
    limits["synthetic"] = release.tags["is_synthetic"] == "true"
    frame, _ = labelled_frame(limits, params, settings)
    fresh = frame[
        (frame["label_known_at"] > window[0])
        & (frame["event_timestamp"] > _time(release, "train_end"))
    ]
    outcome = (fresh["growth_48h"] > float(release.tags["growth_threshold"])).to_numpy().astype(int)
    if len(fresh) < _MIN_ROWS or not 0 < outcome.sum() < len(fresh):
        return {}
    columns = tuple(model.metadata.get_input_schema().input_names())
    forecast = model.predict(model_input(fresh, columns))
    return binary_measures(
        outcome, forecast["probability"].to_numpy(), forecast["rising"].to_numpy()
    )


def _write(
    report: DriftReport, scores: dict[str, Any], release: Release, settings: Settings
) -> None:
    identity = mirror.model_id(release, settings)
    details = {
        "columns": scores,
        "rows": {"reference": report.reference_rows, "current": report.current_rows},
        "performance": dict(report.performance),
    }
    with connect(settings.require("database_url")) as conn:
        conn.execute(
            _UPSERT_REPORT,
            (
                report.drift_report_id,
                NAME,
                report.model_version,
                *report.reference,
                *report.current,
                report.columns_checked,
                report.columns_drifted,
                report.drift_share,
                report.verdict,
                report.report_key,
                json.dumps(details),
            ),
        )
        figures = report.performance
        conn.execute(
            _UPSERT_PERFORMANCE,
            {
                "model_id": identity,
                "day": report.current[1].date(),
                "rows": int(figures.get("rows", 0)),
                "drift": report.drift_share,
                **{k: figures.get(k) for k in ("accuracy", "precision", "recall", "f1")},
            },
        )
