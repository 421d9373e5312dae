"""Whether drift or decay retrains a model: granted once a report, within guards against loops."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import psycopg

from ml.monitoring.drift import DriftReport
from ml.registry.promotion import frozen
from ml.settings import Settings, get_settings
from ml.storage.postgres import transaction
from ml.trend.video.train import NAME

_WEEK = timedelta(days=7)
_KEEP = """
    insert into ml.retrain_requests (
        drift_report_id, run_id, model_name, cause, as_of, is_granted, reason
    )
    values (%s, %s, %s, %s, %s, %s, %s)
"""


@dataclass(frozen=True)
class Request:
    """What was decided on a report that speaks for a retraining.

    Attributes:
        reason: why it is refused, or what it is granted for.
    """

    cause: Literal["drift", "decay"]
    is_granted: bool
    reason: str


def ask_retraining(
    report: DriftReport, run_id: str, settings: Settings | None = None
) -> Request | None:
    """Decide on a retraining of the champion that was watched, and keep the decision.

    A report is granted to one run only: its repeated task gets the same answer, while a later run
    is refused. Where "now" follows the data, a retraining that brings no new champion ends in a run
    with the same report, which would start the next one without end.

    Args:
        report: just made.
        run_id: of the run that asks.
        settings: those of the process by default.

    Returns:
        None where nothing speaks for it: a stable window, or a break of definitions.
    """
    cause = cause_of(report)
    if cause is None:
        return None
    settings = settings or get_settings()
    with transaction(settings.require("database_url")) as conn:
        # Two reports at once must not both take the last of the budget.
        conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"retrain:{NAME}",))
        known = conn.execute(
            "select cause, is_granted, reason, run_id from ml.retrain_requests"
            " where drift_report_id = %s",
            (report.drift_report_id,),
        ).fetchone()
        if known is not None:
            *decided, granted_to = known
            if decided[1] and granted_to != run_id:
                return Request(decided[0], False, f"granted before, to {granted_to}")
            return Request(*decided)
        refused = _guard(conn, report, settings)
        request = Request(cause, refused is None, refused or _what(report, cause))
        conn.execute(
            _KEEP,
            (report.drift_report_id, run_id, NAME, cause, report.current[1], request.is_granted,
             request.reason),
        )  # fmt: skip
    return request


def cause_of(report: DriftReport) -> Literal["drift", "decay"] | None:
    """What speaks for a retraining: a break of definitions alone does not."""
    if report.verdict == "drift":
        return "drift"
    return "decay" if report.has_decayed and report.verdict != "definition_break" else None


def _what(report: DriftReport, cause: str) -> str:
    if cause == "decay":
        return f"accuracy fell to {report.performance['accuracy']:.3f}"
    return f"{report.columns_drifted} of {report.columns_checked} columns drifted"


def _guard(conn: psycopg.Connection, report: DriftReport, settings: Settings) -> str | None:
    """Why there is no retraining now, if there is a reason."""
    as_of, pause = report.current[1], timedelta(hours=settings.retrain_cooldown_hours)
    if why := frozen(NAME, settings):
        return f"the champion is frozen: {why}"
    if as_of - report.trained_as_of < pause:
        return f"cool-down: the champion was trained as of {report.trained_as_of:%Y-%m-%d %H:%M}"
    rows = conn.execute(
        "select as_of from ml.retrain_requests where model_name = %s and is_granted"
        " and as_of > %s and as_of <= %s order by as_of desc",
        (NAME, as_of - max(_WEEK, pause), as_of),
    ).fetchall()
    granted: list[datetime] = [row[0] for row in rows]
    if granted and as_of - granted[0] < pause:
        return f"cool-down: the last retraining was asked for as of {granted[0]:%Y-%m-%d %H:%M}"
    if sum(as_of - each < _WEEK for each in granted) >= settings.retrains_per_week:
        return f"budget: {settings.retrains_per_week} retrainings within a week"
    return None
