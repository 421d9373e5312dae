"""Suites as data: one YAML file a table in `great_expectations/`.

Each expectation is a type of Great Expectations (or of `ml.gates.history`) with its arguments, and
in `meta` a `name` of its own, a `severity` (block or warn) and why it holds. The text `$as_of` in
an argument becomes the moment that the gate is asked about. In SQL `{batch}` is what the gate looks
at and `$table` is all of the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from string import Template
from typing import Any, Literal, cast

import yaml
from psycopg import sql

from ml.exceptions import ConfigurationError
from ml.gates.history import HISTORY_TYPES, QUERY, comparison_query
from ml.settings import PROJECT_ROOT

SUITES_DIR = PROJECT_ROOT / "great_expectations"
# The `table` of a suite whose rows are a data frame.
FRAME = "frame"

# Of the rows that break an expectation these many are shown.
EXAMPLES = 5
_ROWS = "unexpected_rows_expectation"
_COUNTED_ROWS = Template("""
select 'fails' as verdict, count(*) over () as verdict_rows, found.*
from ($query) as found
limit $examples
""")

Severity = Literal["block", "warn"]


@dataclass(frozen=True)
class RowFilter:
    """Which rows of the table a gate looks at; nothing set means all of them.

    Attributes:
        ingested_since: only rows loaded at or after this moment.
        ingested_until: only rows loaded until this moment.
        sources: only rows of these sources.
        bronze_run: only rows that this run brought in, by the `run=` part of their bronze key.
    """

    ingested_since: datetime | None = None
    ingested_until: datetime | None = None
    sources: tuple[str, ...] = ()
    bronze_run: str | None = None

    @property
    def whole_table(self) -> bool:
        """Whether no row is left out."""
        return self == RowFilter()

    def condition(self) -> str:
        """The SQL condition, with its values quoted."""
        parts: list[sql.Composable] = []
        for operator, moment in ((">=", self.ingested_since), ("<=", self.ingested_until)):
            if moment is not None:
                text = sql.Literal(moment.astimezone(UTC).isoformat())
                parts.append(sql.SQL("ingested_at {} {}").format(sql.SQL(operator), text))
        if self.sources:
            names = sql.SQL(", ").join(map(sql.Literal, self.sources))
            parts.append(sql.SQL("source in ({})").format(names))
        if self.bronze_run is not None:
            run = sql.Literal(f"/run={self.bronze_run}/")
            parts.append(sql.SQL("strpos(bronze_key, {}) > 0").format(run))
        return sql.SQL(" and ").join(parts or [sql.SQL("true")]).as_string()


@dataclass(frozen=True)
class Check:
    """One expectation of a suite.

    Attributes:
        name: unique within the suite; what a message, a report and `ops.gate_results` call it.
        type: the type, for example `expect_column_values_to_be_between`.
        arguments: its keyword arguments.
        severity: whether a failure stops the run or is only reported.
        why: what goes wrong downstream when it does not hold.
        whole_table_only: whether it says nothing about a part of the table.
    """

    name: str
    type: str
    arguments: Mapping[str, Any]
    severity: Severity
    why: str
    whole_table_only: bool = False

    @property
    def column(self) -> str | None:
        """The column it is about, where it is about a single one."""
        value = self.arguments.get("column")
        return str(value) if value is not None else None

    @property
    def is_query(self) -> bool:
        """Whether it is SQL that answers with its rows."""
        return self.type in (QUERY, _ROWS) or self.type in HISTORY_TYPES

    def as_known_to_gx(
        self, table: str, as_of: datetime, *, whole: bool
    ) -> tuple[str, dict[str, Any]]:
        """Type and arguments as Great Expectations takes them, placeholders filled in."""
        arguments = dict(self.arguments)
        if self.type in HISTORY_TYPES:
            arguments = {
                "unexpected_rows_query": comparison_query(self.type, arguments, table, whole=whole)
            }
        elif self.type == _ROWS:
            # Great Expectations would run it once for the rows and once more to count them.
            query = _COUNTED_ROWS.safe_substitute(
                query=arguments["unexpected_rows_query"], examples=EXAMPLES
            )
            arguments["unexpected_rows_query"] = query
        filled = {key: _fill(value, table, as_of) for key, value in arguments.items()}
        return QUERY if self.is_query else self.type, filled


@dataclass(frozen=True)
class Suite:
    """The expectations of one table.

    Attributes:
        name: name of the gate and of the file.
        table: `schema.table`, or `frame` for a data frame that the caller holds.
        key: columns that name a row in an example.
        checks: what has to hold.
    """

    name: str
    table: str
    key: tuple[str, ...]
    checks: tuple[Check, ...]

    def whole_table_part(self) -> Suite:
        """Only what cannot be asked of a part of the table."""
        return replace(self, checks=tuple(item for item in self.checks if item.whole_table_only))


def suite_names() -> list[str]:
    """Names of all gates."""
    return sorted(path.stem for path in SUITES_DIR.glob("*.yaml"))


def load_suite(name: str) -> Suite:
    """Read `great_expectations/<name>.yaml`.

    Raises:
        ConfigurationError: if there is no such gate, or the file is not a suite.
    """
    if name not in suite_names():
        known = ", ".join(suite_names())
        raise ConfigurationError(f"there is no gate {name!r}; the gates are {known}")
    document = yaml.load((SUITES_DIR / f"{name}.yaml").read_text(), Loader=yaml.CSafeLoader)
    try:
        checks = tuple(_check(item) for item in document["expectations"])
        suite = Suite(name, document["table"], tuple(document["key"]), checks)
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"great_expectations/{name}.yaml: missing {error}") from error
    names = [check.name for check in checks]
    twice = sorted({check for check in names if names.count(check) > 1})
    if twice:
        raise ConfigurationError(
            f"great_expectations/{name}.yaml: {', '.join(twice)} is there twice; rename one"
        )
    return suite


def _check(item: Mapping[str, Any]) -> Check:
    meta = item["meta"]
    severity = meta["severity"]
    if severity not in ("block", "warn"):
        raise ConfigurationError(f"{meta['name']}: severity is block or warn, not {severity!r}")
    return Check(
        name=meta["name"],
        type=item["type"],
        arguments=item.get("kwargs", {}),
        severity=cast("Severity", severity),
        why=meta["why"],
        whole_table_only=bool(meta.get("whole_table_only", False)),
    )


def _fill(value: Any, table: str, as_of: datetime) -> Any:
    if value == "$as_of":
        return as_of
    if isinstance(value, str):
        moment = as_of.astimezone(UTC).isoformat()
        return Template(value).safe_substitute(as_of=moment, table=table)
    return value
