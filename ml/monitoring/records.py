"""A drift report as rows, and its traces at the model's MLflow run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import psycopg

from ml.monitoring.outcomes import Performance
from ml.monitoring.shift import ColumnShift
from ml.registry import mirror
from ml.registry.releases import Release
from ml.registry.tracking import client, reachable
from ml.settings import Settings
from ml.storage.postgres import copy_rows, transaction

if TYPE_CHECKING:
    from ml.monitoring.drift import DriftReport

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
_COLUMNS = (
    "drift_report_id", "aspect", "column_name", "verdict", "strongest_test", "p_value", "q_value",
    "effect", "psi", "current_rows", "reference_rows", "current_missing", "reference_missing",
    "current_mean", "reference_mean",
)  # fmt: skip
_MEASURES = ("rows", "accuracy", "precision", "recall", "f1", "auc", "ece")


def write(
    report: DriftReport,
    shifts: Sequence[ColumnShift],
    aspects: Mapping[str, str],
    verdicts: Mapping[str, str],
    performance: Performance,
    release: Release,
    settings: Settings,
) -> None:
    """Write a report with its columns, measures and slices in one transaction; then MLflow's part.

    Writing it again replaces it.
    """
    identity = mirror.model_id(release, settings)
    with transaction(settings.require("database_url")) as conn:
        _write_report(conn, report, release)
        key = report.drift_report_id
        for table in ("drift_columns", "slice_metrics"):
            conn.execute(f"delete from ml.{table} where drift_report_id = %s".encode(), (key,))  # noqa: S608 - constants
        rows = [_row(key, aspects[each.name], verdicts[each.name], each) for each in shifts]
        copy_rows(conn, "ml.drift_columns", _COLUMNS, rows)
        copy_rows(
            conn,
            "ml.slice_metrics",
            ("drift_report_id", "slice", "value", *_MEASURES),
            (
                (key, *where, int(figures["rows"]), *(figures[name] for name in _MEASURES[1:]))
                for where, figures in performance.slices.items()
            ),
        )
        figures = performance.overall
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
    _tell_mlflow(report, release, settings)


def _write_report(conn: psycopg.Connection, report: DriftReport, release: Release) -> None:
    details = {
        "drifted": report.drifted,
        "across_breaks": report.across_breaks,
        "rows": {"reference": report.reference_rows, "current": report.current_rows},
        "performance": dict(report.performance),
        "has_decayed": report.has_decayed,
    }
    conn.execute(
        _UPSERT_REPORT,
        (
            report.drift_report_id,
            release.name,
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


def _row(key: str, aspect: str, verdict: str, shift: ColumnShift) -> tuple[object, ...]:
    return (
        key, aspect, shift.name, verdict, shift.strongest, shift.p_value, shift.q_value,
        shift.effect, shift.psi, shift.current_rows, shift.reference_rows, shift.current_missing,
        shift.reference_missing, shift.current_mean, shift.reference_mean,
    )  # fmt: skip


def _tell_mlflow(report: DriftReport, release: Release, settings: Settings) -> None:
    """Leave verdict and page at the run that made the model."""
    registry = client(settings)
    tags = {"drift_verdict": report.verdict, "drift_report": report.report_key}
    with reachable():
        for name, value in tags.items():
            registry.set_tag(release.run_id, name, value)
