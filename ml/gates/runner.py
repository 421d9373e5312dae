"""Runs gates, keeps what they found, and stops the run if an expectation that blocks fails."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Jsonb

from ml import clock
from ml.exceptions import ConfigurationError, GateError
from ml.gates.report import render_html
from ml.gates.suites import FRAME, Check, RowFilter, Suite, load_suite
from ml.gates.validation import Outcome, evaluate_frame, evaluate_table, query
from ml.settings import Settings, get_settings
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_NAMED_FAILURES = 3
_ALL_ROWS = RowFilter()


@dataclass(frozen=True)
class GateReport:
    """The result of a gate. Keys are those of the reports bucket.

    Attributes:
        gate: name of the suite.
        run_id: the run it was asked for.
        rows: number of rows looked at.
        as_of: what was "now".
        seconds: how long it took.
        report_key: the report as JSON, empty if there was no row to look at.
        html_key: the report as a page, likewise.
        outcomes: one for each expectation; none if there was no row to look at.
    """

    gate: str
    run_id: str
    rows: int
    as_of: datetime
    seconds: float
    report_key: str
    html_key: str
    outcomes: tuple[Outcome, ...] = field(repr=False)

    @property
    def failed(self) -> list[Outcome]:
        """Every expectation that does not hold, those that block first."""
        failed = [outcome for outcome in self.outcomes if not outcome.success]
        return sorted(failed, key=lambda outcome: outcome.check.severity)

    @property
    def blocked(self) -> bool:
        """Whether what is downstream has to wait."""
        return any(outcome.check.severity == "block" for outcome in self.failed)


def run_gate(
    name: str,
    *,
    run_id: str,
    where: RowFilter | None = None,
    as_of: datetime | None = None,
    frame: pd.DataFrame | None = None,
    settings: Settings | None = None,
) -> GateReport:
    """Check a table or a frame, keep the results, and stop if an expectation that blocks fails.

    Results go to `ops.gate_results` (a second call with the same run id replaces them), the report
    as JSON and HTML to the reports bucket. A filter that leaves no row costs a count and no more.

    Args:
        name: the gate, a file of `great_expectations/`.
        run_id: the run that asks; with `publish_marts` also the id of the build.
        where: which rows; all of them by default.
        as_of: "now"; from `ml.clock` by default.
        frame: the rows, for a suite whose table is `frame`.
        settings: where the services are.

    Raises:
        GateError: naming the expectation, the number of rows, five examples and the report.
        ConfigurationError: if there is no such gate, or its table does not exist.
        ServiceUnavailableError: if Postgres or the object storage does not answer.
    """
    settings = settings or get_settings()
    suite = load_suite(name)
    report = check(suite, run_id=run_id, where=where, as_of=as_of, frame=frame, settings=settings)
    stop_if_blocked([report], settings)
    return report


def check(
    suite: Suite,
    *,
    run_id: str,
    where: RowFilter | None = None,
    as_of: datetime | None = None,
    frame: pd.DataFrame | None = None,
    settings: Settings | None = None,
) -> GateReport:
    """Check and keep the results like `run_gate`, but leave it to the caller to stop."""
    settings = settings or get_settings()
    where = where or _ALL_ROWS
    started = time.monotonic()
    moment = as_of or _now(settings)
    checks = [item for item in suite.checks if where.whole_table or not item.whole_table_only]
    rows = _count(suite, where, frame, settings)
    outcomes: list[Outcome] = []
    if rows or where.whole_table:
        outcomes = _ask(suite, checks, where, moment, frame, settings)
    folder = f"gates/{suite.name}/{_safe(run_id)}" if outcomes else ""
    report = GateReport(
        gate=suite.name,
        run_id=run_id,
        rows=rows,
        as_of=moment,
        seconds=time.monotonic() - started,
        report_key=folder and f"{folder}/report.json",
        html_key=folder and f"{folder}/report.html",
        outcomes=tuple(outcomes),
    )
    if outcomes:
        _store(report, settings)
    _log(report, settings)
    return report


def stop_if_blocked(reports: Sequence[GateReport], settings: Settings | None = None) -> None:
    """Say in one message what blocks.

    Raises:
        GateError: if any of them does.
    """
    settings = settings or get_settings()
    messages = [_message(report, settings) for report in reports if report.blocked]
    if messages:
        raise GateError("\n".join(messages))


def _now(settings: Settings) -> datetime:
    with connect(settings.require("database_url")) as conn:
        return clock.as_of(conn, settings)


def _ask(
    suite: Suite,
    checks: Sequence[Check],
    where: RowFilter,
    as_of: datetime,
    frame: pd.DataFrame | None,
    settings: Settings,
) -> list[Outcome]:
    if frame is not None:
        return evaluate_frame(suite, checks, frame, as_of)
    return evaluate_table(suite, checks, where, as_of, settings)


def _count(suite: Suite, where: RowFilter, frame: pd.DataFrame | None, settings: Settings) -> int:
    if (suite.table == FRAME) != (frame is not None):
        raise ConfigurationError(f"the gate {suite.name} checks {suite.table}; pass its rows so")
    if frame is not None:
        return len(frame)
    try:
        with connect(settings.require("database_url")) as conn:
            row = conn.execute(query(suite, where, "count(*)").encode()).fetchone()
    except psycopg.errors.UndefinedTable as error:
        raise ConfigurationError(
            f"the gate {suite.name} checks {suite.table}, which does not exist; build it first"
        ) from error
    return int(row[0]) if row else 0


def _safe(run_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9._=-]+", "_", run_id)


def _store(report: GateReport, settings: Settings) -> None:
    store, bucket = ObjectStore(settings), settings.bucket("reports")
    document = {
        "gate": report.gate,
        "run_id": report.run_id,
        "rows": report.rows,
        "as_of": report.as_of.isoformat(),
        "seconds": round(report.seconds, 3),
        "blocked": report.blocked,
        "expectations": [asdict(outcome) for outcome in report.outcomes],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str)
    store.put_bytes(bucket, report.report_key, text.encode(), "application/json")
    page = render_html(document)
    store.put_bytes(bucket, report.html_key, page.encode(), "text/html; charset=utf-8")
    with connect(settings.require("database_url")) as conn, conn.cursor() as cursor:
        # A re-run replaces its results, also those of an expectation that is gone by now.
        cursor.execute(
            "delete from ops.gate_results where gate = %s and run_id = %s",
            (report.gate, report.run_id),
        )
        cursor.executemany(
            "insert into ops.gate_results (gate, run_id, expectation, column_name, severity,"
            " success, unexpected_count, examples, details, report_key)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [_result_row(report, outcome) for outcome in report.outcomes],
        )


def _result_row(report: GateReport, outcome: Outcome) -> tuple[Any, ...]:
    check = outcome.check
    details = {
        "type": check.type,
        "why": check.why,
        "rows": report.rows,
        "as_of": report.as_of.isoformat(),
        "observed": outcome.observed,
        "skipped": outcome.skipped or None,
        "error": outcome.error,
    }
    return (
        report.gate,
        report.run_id,
        check.name,
        check.column,
        check.severity,
        outcome.success,
        outcome.unexpected,
        Jsonb(list(outcome.examples)),
        Jsonb(details),
        report.report_key,
    )


def _log(report: GateReport, settings: Settings) -> None:
    if not report.outcomes:
        log.info("gate %s has nothing to check for %s", report.gate, report.run_id)
        return
    for outcome in report.failed:
        if outcome.check.severity == "warn":
            log.warning("gate %s warns: %s", report.gate, outcome.sentence())
    skipped = [outcome.check.name for outcome in report.outcomes if outcome.skipped]
    if skipped:
        log.info("gate %s skipped for lack of history: %s", report.gate, ", ".join(skipped))
    if not report.blocked:
        where = _address(report, settings)
        log.info("gate %s passed on %s rows, report %s", report.gate, report.rows, where)


def _message(report: GateReport, settings: Settings) -> str:
    failures = [outcome for outcome in report.failed if outcome.check.severity == "block"]
    text = "; ".join(outcome.sentence() for outcome in failures[:_NAMED_FAILURES])
    more = len(failures) - _NAMED_FAILURES
    if more > 0:
        text += f"; and {more} more"
    return (
        f"gate {report.gate} blocks (of {report.rows} rows): {text}. Mend or dead-letter these"
        f" rows and run again; report {_address(report, settings)}"
    )


def _address(report: GateReport, settings: Settings) -> str:
    """In Airflow and in the object storage."""
    return f"/reports/{report.html_key} s3://{settings.bucket('reports')}/{report.html_key}"
