"""Runs a suite on its table and says what it found.

Every expectation is first asked for a plain yes or no, which Great Expectations turns into a few
aggregate queries; only those that fail are asked again for counts and examples. That keeps a gate
on a million rows within seconds.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy.engine import make_url

from ml import clock
from ml.exceptions import ConfigurationError, GateError
from ml.gates.report import render_html
from ml.gates.suites import Check, RowFilter, Suite, load_suite
from ml.settings import Settings, get_settings
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect

log = logging.getLogger(__name__)

_EXAMPLES = 5
_NAMED_FAILURES = 3
_ALL_ROWS = RowFilter()


@dataclass(frozen=True)
class Outcome:
    """What one expectation found.

    Attributes:
        check: the expectation.
        success: whether it holds.
        unexpected: number of rows that break it; unknown (null) where it holds.
        observed: the figure that was seen, for expectations about the table as a whole.
        examples: at most five rows, as their key and the columns in question.
        error: why it could not be evaluated at all, for example a missing column.
    """

    check: Check
    success: bool
    unexpected: int | None = None
    observed: Any = None
    examples: tuple[Any, ...] = ()
    error: str | None = None

    def sentence(self) -> str:
        """What went wrong, in one line."""
        if self.error:
            return f"{self.check.name}: {self.error}"
        if self.unexpected is None:
            return f"{self.check.name}: found {self.observed}"
        examples = "; ".join(_example_text(example) for example in self.examples)
        return f"{self.check.name}: {self.unexpected} rows, for example {examples}"


@dataclass(frozen=True)
class GateReport:
    """The result of a gate. Keys are those of the reports bucket.

    Attributes:
        gate: name of the suite.
        run_id: the run it was asked for.
        rows: number of rows looked at.
        blocked: whether an expectation of severity block failed.
        outcomes: one for each expectation.
        report_key: the report as JSON.
        html_key: the report as a page.
        seconds: how long it took.
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
    settings: Settings | None = None,
) -> GateReport:
    """Check a table, keep the results, and stop the run if an expectation that blocks fails.

    Results go to `ops.gate_results` (a second call with the same run id replaces them), the report
    as JSON and HTML to the reports bucket.

    Args:
        name: the gate, a file of `great_expectations/`.
        run_id: the run that asks; with `publish_marts` also the id of the build.
        where: which rows; all of them by default.
        as_of: "now"; from `ml.clock` by default.
        settings: where the services are.

    Raises:
        GateError: naming the expectation, the number of rows, five examples and the report.
        ConfigurationError: if there is no such gate, or its table does not exist.
        ServiceUnavailableError: if Postgres or the object storage does not answer.
    """
    settings = settings or get_settings()
    suite = load_suite(name)
    where = where or _ALL_ROWS
    started = time.monotonic()
    with connect(settings.require("database_url")) as conn:
        moment = as_of or clock.as_of(conn, settings)
        rows = _count(conn, suite, where)
    outcomes = _evaluate(suite, where, moment, settings)
    folder = f"gates/{name}/{_safe(run_id)}"
    report = GateReport(
        gate=name,
        run_id=run_id,
        rows=rows,
        as_of=moment,
        seconds=time.monotonic() - started,
        report_key=f"{folder}/report.json",
        html_key=f"{folder}/report.html",
        outcomes=tuple(outcomes),
    )
    _store(report, settings)
    _announce(report, settings)
    return report


def _count(conn: psycopg.Connection, suite: Suite, where: RowFilter) -> int:
    try:
        row = conn.execute(_query(suite, where, "count(*)").encode()).fetchone()
    except psycopg.errors.UndefinedTable as error:
        raise ConfigurationError(
            f"the gate {suite.name} checks {suite.table}, which does not exist; build it first"
        ) from error
    return int(row[0]) if row else 0


def _query(suite: Suite, where: RowFilter, columns: str = "*") -> str:
    # The table's name comes from a suite file, the condition is quoted by RowFilter.
    return f"select {columns} from {suite.table} where {where.condition()}"  # noqa: S608


def _evaluate(suite: Suite, where: RowFilter, as_of: datetime, settings: Settings) -> list[Outcome]:
    checks = [check for check in suite.checks if where.whole_table or not check.whole_table_only]
    with _batch(suite, where, settings) as batch:
        verdicts = _validate(batch, suite, checks, as_of, {"result_format": "BOOLEAN_ONLY"})
        failing = [check for check in checks if not verdicts[check.name]["success"]]
        details: dict[str, dict[str, Any]] = {}
        for check in failing:
            form = _detail_format(suite, check)
            details.update(_validate(batch, suite, [check], as_of, form))
    return [
        _outcome(check, details[check.name])
        if check.name in details
        else Outcome(check, success=True)
        for check in checks
    ]


def _detail_format(suite: Suite, check: Check) -> dict[str, Any]:
    if check.type == "unexpected_rows_expectation":
        return {"result_format": "COMPLETE"}
    return {
        "result_format": "SUMMARY",
        "partial_unexpected_count": _EXAMPLES,
        "unexpected_index_column_names": list(suite.key),
    }


@contextmanager
def _batch(suite: Suite, where: RowFilter, settings: Settings) -> Iterator[Any]:
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    schema, table = suite.table.split(".")
    url = make_url(settings.require("database_url")).set(drivername="postgresql+psycopg")
    # Great Expectations wants the schema as part of the connection.
    url = url.update_query_dict({"options": f"-csearch_path={schema}"})
    config = DataContextConfig(
        # Without this each context leaves a folder for its pages in /tmp; we write our own page.
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    context = gx.get_context(project_config=config, mode="ephemeral")
    source = context.data_sources.add_postgres(
        "warehouse",
        connection_string=url.render_as_string(hide_password=False),
        # For a query Great Expectations fetches every row only to learn the columns, unless it may
        # put them into a temporary table.
        create_temp_table=not where.whole_table,
    )
    try:
        if where.whole_table:
            asset = source.add_table_asset(suite.name, table_name=table)
        else:
            asset = source.add_query_asset(suite.name, query=_query(suite, where))
        yield asset.add_batch_definition_whole_table("rows").get_batch()
    finally:
        source.get_engine().dispose()


def _validate(
    batch: Any,
    suite: Suite,
    checks: Sequence[Check],
    as_of: datetime,
    result_format: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    import great_expectations as gx
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    expectations = [
        ExpectationConfiguration(
            type=check.type,
            kwargs=check.arguments_as_of(as_of),
            meta={"name": check.name},
            severity="critical" if check.severity == "block" else "warning",
        ).to_domain_obj()
        for check in checks
    ]
    result = batch.validate(
        gx.ExpectationSuite(name=suite.name, expectations=expectations),
        result_format=dict(result_format),
    )
    return {
        item.expectation_config.meta["name"]: {
            "success": bool(item.success),
            "result": item.result,
            "exception": item.exception_info,
        }
        for item in result.results
    }


def _outcome(check: Check, found: Mapping[str, Any]) -> Outcome:
    result = found["result"] or {}
    details = result.get("details") or {}
    examples = (
        result.get("partial_unexpected_index_list")
        or details.get("unexpected_rows")
        or result.get("partial_unexpected_list")
        or []
    )
    unexpected = result.get("unexpected_count")
    if unexpected is None and "unexpected_rows" in details:
        unexpected = result.get("observed_value")
    return Outcome(
        check=check,
        success=bool(found["success"]),
        unexpected=unexpected,
        observed=details.get("mismatched") or result.get("observed_value"),
        examples=tuple(_plain(example) for example in examples[:_EXAMPLES]),
        error=_exception_text(found["exception"]),
    )


def _exception_text(info: Mapping[str, Any] | None) -> str | None:
    """The message of an exception inside the evaluation; its shape depends on the metric."""
    if not info:
        return None
    entries = [info] if "raised_exception" in info else list(info.values())
    for entry in entries:
        if entry.get("raised_exception"):
            return " ".join(str(entry.get("exception_message")).split())[:300]
    return None


def _plain(example: Any) -> Any:
    if isinstance(example, Mapping):
        return {str(key): _plain(value) for key, value in example.items()}
    if example is None or isinstance(example, bool | int | float | str):
        return example[:200] if isinstance(example, str) else example
    if isinstance(example, list | tuple):
        return [_plain(value) for value in example]
    return str(example)


def _example_text(example: Any) -> str:
    if isinstance(example, Mapping):
        return "(" + ", ".join(f"{key}={value}" for key, value in example.items()) + ")"
    return str(example)


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
        "observed": _plain(outcome.observed),
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


def _announce(report: GateReport, settings: Settings) -> None:
    where = f"s3://{settings.bucket('reports')}/{report.html_key}"
    for outcome in report.failed:
        if outcome.check.severity == "warn":
            log.warning("gate %s warns: %s", report.gate, outcome.sentence())
    if not report.blocked:
        log.info("gate %s passed on %s rows, report %s", report.gate, report.rows, where)
        return
    failures = [outcome for outcome in report.failed if outcome.check.severity == "block"]
    text = "; ".join(outcome.sentence() for outcome in failures[:_NAMED_FAILURES])
    more = len(failures) - _NAMED_FAILURES
    if more > 0:
        text += f"; and {more} more"
    raise GateError(
        f"gate {report.gate} blocks (of {report.rows} rows): {text}. Mend or dead-letter these"
        f" rows and run again; report {where}"
    )
