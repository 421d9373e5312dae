"""Everything that touches Great Expectations: a suite on its rows, asked twice at most.

Every expectation is first asked for a plain yes or no, which Great Expectations turns into a few
aggregate queries in the database; only those that fail are asked again for counts and examples.
That keeps a gate on a million rows within seconds. Importing the library is what costs: about three
seconds of CPU, so nobody does it without rows to check.

The API is that of https://docs.greatexpectations.io/docs/core/ (1.24, read 2026-11).
"""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url

from ml.gates.history import NO_HISTORY
from ml.gates.suites import EXAMPLES, Check, RowFilter, Suite
from ml.settings import Settings

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Outcome:
    """What one expectation found.

    Attributes:
        check: the expectation.
        success: whether it holds, or was skipped.
        skipped: why it could not be judged, empty if it was.
        unexpected: number of rows (or groups) that break it; unknown (null) where it holds.
        observed: the figure that was seen, for expectations about the table as a whole.
        examples: at most five rows, as their key and the columns in question.
        error: why it could not be evaluated at all, for example a missing column.
    """

    check: Check
    success: bool
    skipped: str = ""
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


def evaluate_table(
    suite: Suite, checks: Sequence[Check], where: RowFilter, as_of: datetime, settings: Settings
) -> list[Outcome]:
    """Ask each expectation about the rows of the suite's table, in the database."""
    with _table_batch(suite, where, settings) as batch:
        return _evaluate(batch, suite, checks, as_of, whole=where.whole_table)


def evaluate_frame(
    suite: Suite, checks: Sequence[Check], frame: pd.DataFrame, as_of: datetime
) -> list[Outcome]:
    """Ask each expectation about the rows of a data frame."""
    asset = _context().data_sources.add_pandas("frames").add_dataframe_asset(suite.name)
    definition = asset.add_batch_definition_whole_dataframe("rows")
    batch = definition.get_batch(batch_parameters={"dataframe": frame})
    return _evaluate(batch, suite, checks, as_of, whole=True)


def query(suite: Suite, where: RowFilter, columns: str = "*") -> str:
    """The rows that a gate looks at."""
    # The table's name comes from a suite file, the condition is quoted by RowFilter.
    return f"select {columns} from {suite.table} where {where.condition()}"  # noqa: S608


@cache
def gx() -> Any:
    """The library, with the expectation of ours."""
    # It tells of its own classes at a level that is meant for people: hundreds of lines a gate.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    # It makes a million objects that stay: collecting among them is a sixth of the import.
    gc.disable()
    try:
        import great_expectations
        from great_expectations.expectations import UnexpectedRowsExpectation
    finally:
        gc.enable()

    class ExpectQueryToHold(UnexpectedRowsExpectation):  # type: ignore[misc]  # untyped base
        """A query, run once, whose rows say in `verdict` what fails, or what is missing."""

        metric_dependencies = ("unexpected_rows_query.table",)

        def _validate(
            self,
            metrics: dict[str, Any],
            runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002
            execution_engine: Any = None,  # noqa: ARG002
        ) -> dict[str, Any]:
            rows = [dict(row) for row in metrics["unexpected_rows_query.table"]]
            fails = [row for row in rows if row.pop("verdict") == "fails"]
            count = max((row.pop("verdict_rows", len(fails)) for row in fails), default=0)
            skipped = NO_HISTORY if rows and not fails else ""
            details = {"unexpected_rows": fails[:EXAMPLES], "skipped": skipped}
            return {"success": not fails, "result": {"observed_value": count, "details": details}}

    return great_expectations


def _context() -> Any:
    library = gx()
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        # Without this each context leaves a folder for its pages in /tmp.
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    return library.get_context(project_config=config, mode="ephemeral")


@contextmanager
def _table_batch(suite: Suite, where: RowFilter, settings: Settings) -> Iterator[Any]:
    schema, table = suite.table.split(".")
    url = make_url(settings.require("database_url")).set(drivername="postgresql+psycopg")
    # Great Expectations wants the schema as part of the connection.
    url = url.update_query_dict({"options": f"-csearch_path={schema}"})
    source = _context().data_sources.add_postgres(
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
            asset = source.add_query_asset(suite.name, query=query(suite, where))
        yield asset.add_batch_definition_whole_table("rows").get_batch()
    finally:
        source.get_engine().dispose()


def _evaluate(
    batch: Any, suite: Suite, checks: Sequence[Check], as_of: datetime, *, whole: bool
) -> list[Outcome]:
    def ask(some: Sequence[Check], form: Mapping[str, Any]) -> dict[str, Any]:
        kinds = [check.as_known_to_gx(suite.table, as_of, whole=whole) for check in some]
        return _validate(batch, suite.name, some, kinds, form)

    # A query says all the first time.
    queries = [check for check in checks if check.is_query]
    others = [check for check in checks if not check.is_query]
    details = {
        "result_format": "SUMMARY",
        "partial_unexpected_count": EXAMPLES,
        "unexpected_index_column_names": list(suite.key),
    }
    found = ask(queries, {"result_format": "COMPLETE"})
    found |= ask(others, {"result_format": "BOOLEAN_ONLY"})
    failing = [check for check in others if not found[check.name].success]
    for check in failing:
        found |= ask([check], details)
    return [_outcome(check, found[check.name]) for check in checks]


def _validate(
    batch: Any,
    name: str,
    checks: Sequence[Check],
    kinds: Sequence[tuple[str, dict[str, Any]]],
    result_format: Mapping[str, Any],
) -> dict[str, Any]:
    if not checks:
        return {}
    library = gx()
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    expectations = [
        ExpectationConfiguration(
            type=kind,
            kwargs=arguments,
            meta={"name": check.name},
            severity="critical" if check.severity == "block" else "warning",
        ).to_domain_obj()
        for check, (kind, arguments) in zip(checks, kinds, strict=True)
    ]
    result = batch.validate(
        library.ExpectationSuite(name=name, expectations=expectations),
        result_format=dict(result_format),
    )
    return {item.expectation_config.meta["name"]: item for item in result.results}


def _outcome(check: Check, found: Any) -> Outcome:
    outcome = Outcome(check, success=bool(found.success))
    result = found.result or {}
    details = result.get("details") or {}
    if outcome.success:
        return replace(outcome, skipped=details.get("skipped", ""))
    examples = (
        result.get("partial_unexpected_index_list")
        or details.get("unexpected_rows")
        or result.get("partial_unexpected_list")
        or []
    )
    unexpected = result.get("unexpected_count")
    if unexpected is None and "unexpected_rows" in details:
        unexpected = result.get("observed_value")
    return replace(
        outcome,
        unexpected=unexpected,
        observed=plain(details.get("mismatched") or result.get("observed_value")),
        examples=tuple(plain(example) for example in examples[:EXAMPLES]),
        error=_exception_text(found.exception_info),
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


def plain(value: Any) -> Any:
    """A value as JSON can hold it, long texts cut."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value[:200] if isinstance(value, str) else value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value)


def _example_text(example: Any) -> str:
    if isinstance(example, Mapping):
        return "(" + ", ".join(f"{key}={value}" for key, value in example.items()) + ")"
    return str(example)
