"""Suites as data: one YAML file a table in `great_expectations/`.

Each expectation is a Great Expectations type with its arguments, and in `meta` a `name` of its own,
a `severity` (block or warn) and why it holds. The text `$as_of` in an argument becomes the moment
that the gate is asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Template
from typing import Any, Literal, cast

import yaml
from psycopg import sql

from ml.exceptions import ConfigurationError
from ml.settings import PROJECT_ROOT

SUITES_DIR = PROJECT_ROOT / "great_expectations"

Severity = Literal["block", "warn"]


@dataclass(frozen=True)
class RowFilter:
    """Which rows of the table a gate looks at; nothing set means all of them.

    Attributes:
        ingested_since: only rows loaded at or after this moment.
        bronze_run: only rows that this run brought in, by the `run=` part of their bronze key.
    """

    ingested_since: datetime | None = None
    bronze_run: str | None = None

    @property
    def whole_table(self) -> bool:
        """Whether no row is left out."""
        return self.ingested_since is None and self.bronze_run is None

    def condition(self) -> str:
        """The SQL condition, with its values quoted."""
        parts: list[sql.Composable] = []
        if self.ingested_since is not None:
            since = self.ingested_since.astimezone(UTC).isoformat()
            parts.append(sql.SQL("ingested_at >= {}").format(sql.Literal(since)))
        if self.bronze_run is not None:
            text = f"/run={self.bronze_run}/"
            parts.append(sql.SQL("strpos(bronze_key, {}) > 0").format(sql.Literal(text)))
        return sql.SQL(" and ").join(parts or [sql.SQL("true")]).as_string()


@dataclass(frozen=True)
class Check:
    """One expectation of a suite.

    Attributes:
        name: unique within the suite; what a message, a report and `ops.gate_results` call it.
        type: the Great Expectations type, for example `expect_column_values_to_be_between`.
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

    def arguments_as_of(self, as_of: datetime) -> dict[str, Any]:
        """The arguments with `$as_of` filled in."""
        return {key: _fill(value, as_of) for key, value in self.arguments.items()}


@dataclass(frozen=True)
class Suite:
    """The expectations of one table.

    Attributes:
        name: name of the gate and of the file.
        table: `schema.table`.
        key: columns that name a row in an example.
        checks: what has to hold.
    """

    name: str
    table: str
    key: tuple[str, ...]
    checks: tuple[Check, ...]


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
    document = yaml.safe_load((SUITES_DIR / f"{name}.yaml").read_text())
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


def _fill(value: Any, as_of: datetime) -> Any:
    if value == "$as_of":
        return as_of
    if isinstance(value, str):
        return Template(value).safe_substitute(as_of=as_of.astimezone(UTC).isoformat())
    return value
