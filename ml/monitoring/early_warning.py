"""Early warning: rules as lines of a file, told once when they fire and once when they recover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import psycopg
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from ml.exceptions import ConfigurationError
from ml.monitoring import indicators
from ml.monitoring.alerts import Alert, Severity, send_alert
from ml.settings import Settings, get_settings
from ml.storage.postgres import transaction

DAG_ID = "watch_warnings"
_RULES = Path(__file__).parent / "warning_rules.yaml"

_FIRE = """
    insert into ops.warnings (
        rule, subject, severity, value, message, fired_at, last_seen_at
    )
    values (
        %(rule)s, %(subject)s, %(severity)s, %(value)s, %(message)s, %(as_of)s, %(as_of)s
    )
    on conflict (rule, subject) do update set
        severity = excluded.severity, value = excluded.value, message = excluded.message,
        last_seen_at = excluded.last_seen_at,
        fired_at = case
            when warnings.recovered_at is null then warnings.fired_at else excluded.fired_at
        end,
        notices = warnings.notices + (warnings.recovered_at is not null)::integer,
        recovered_at = null
"""


class Rule(BaseModel):
    """A line of the table.

    Attributes:
        above: fires for a value greater than this.
        hours: how far the metric looks back.
        say: what it means and what to do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z_]+$")
    metric: str
    above: float
    hours: float = Field(gt=0)
    severity: Severity
    routes: tuple[Literal["log", "email", "slack", "pagerduty"], ...]
    say: str

    @field_validator("metric")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in indicators.NAMES:
            raise ValueError(f"there is no metric {value}; choose of {sorted(indicators.NAMES)}")
        return value


@dataclass(frozen=True)
class Notice:
    """What has changed: a rule began to fire for a subject, or ceased to."""

    rule: Rule
    subject: str
    kind: Literal["warning", "recovery"]
    value: float | None

    def alert(self, run_id: str) -> Alert:
        """The same as an alert."""
        value = "no longer measured" if self.value is None else f"{self.value:.4g}"
        verb = "is above" if self.kind == "warning" else "is back under"
        message = f"{self.rule.metric} of {self.subject} {verb} {self.rule.above:g}: {value}"
        return Alert(
            kind=self.kind,
            dag_id=DAG_ID,
            run_id=run_id,
            message=f"{message}; {self.rule.say}" if self.kind == "warning" else message,
            severity=self.rule.severity,
            key=f"{self.rule.name}/{self.subject}",
        )


def load_rules(settings: Settings | None = None) -> list[Rule]:
    """Read the rules.

    Raises:
        ConfigurationError: if the file does not fit; the message names the rule and the field.
    """
    path = (settings or get_settings()).warning_rules or _RULES
    try:
        rules = TypeAdapter(list[Rule]).validate_python(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"YTEMPIRE_WARNING_RULES={path}: {error}") from error
    except ValidationError as error:
        lines = [
            f"rule {item['loc'][0]}, {'.'.join(map(str, item['loc'][1:]))}: {item['msg']}"
            for item in error.errors()
        ]
        raise ConfigurationError(f"{path}: {'; '.join(lines)}") from error
    names = [rule.name for rule in rules]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"{path}: two rules have one name")
    return rules


def check_warnings(
    as_of: datetime, run_id: str, settings: Settings | None = None
) -> dict[str, list[str]]:
    """Evaluate every rule; tell owners of what began to fire and of what recovered.

    A warning that still fires is not told again. Notices go out before the state is kept, so a
    kill in between tells twice rather than never; PagerDuty takes the two for one by their key.

    Returns:
        Keys of rule and subject: `fired`, `recovered`, and all that are `firing` now.
    """
    settings = settings or get_settings()
    rules = load_rules(settings)
    with transaction(settings.require("database_url")) as conn:
        # Two checks at once would tell everything twice.
        conn.execute("select pg_advisory_xact_lock(hashtextextended('early_warning', 0))")
        values = {rule.name: _values(rule, as_of, conn, settings) for rule in rules}
        firing = _firing(conn)
        notices = changes(rules, values, firing)
        for notice in notices:
            send_alert(notice.alert(run_id), settings, _routes(notice.rule))
        _keep(conn, rules, values, notices, as_of)
        now = _firing(conn)
    keys: dict[str, list[str]] = {"warning": [], "recovery": []}
    for notice in notices:
        keys[notice.kind].append(f"{notice.rule.name}/{notice.subject}")
    return {
        "fired": keys["warning"],
        "recovered": keys["recovery"],
        "firing": sorted(f"{rule}/{subject}" for rule, subject in now),
    }


def changes(
    rules: Sequence[Rule],
    values: Mapping[str, Mapping[str, float]],
    firing: Iterable[tuple[str, str]],
) -> list[Notice]:
    """What is new against the pairs of rule and subject that fire already."""
    before = set(firing)
    notices: list[Notice] = []
    for rule in rules:
        measured = values[rule.name]
        above = {subject for subject, value in measured.items() if value > rule.above}
        fired = {subject for name, subject in before if name == rule.name}
        notices += [
            Notice(rule, subject, "warning", measured[subject]) for subject in sorted(above - fired)
        ]
        notices += [
            Notice(rule, subject, "recovery", measured.get(subject))
            for subject in sorted(fired - above)
        ]
    return notices


def _values(
    rule: Rule, as_of: datetime, conn: psycopg.Connection, settings: Settings
) -> dict[str, float]:
    return indicators.read(rule.metric, as_of, timedelta(hours=rule.hours), conn, settings)


def _routes(rule: Rule) -> list[str]:
    return [route for route in rule.routes if route != "log"]


def _firing(conn: psycopg.Connection) -> list[tuple[str, str]]:
    rows: list[Any] = conn.execute(
        "select rule, subject from ops.warnings where recovered_at is null"
    ).fetchall()
    return [(rule, subject) for rule, subject in rows]


def _keep(
    conn: psycopg.Connection,
    rules: Sequence[Rule],
    values: Mapping[str, Mapping[str, float]],
    notices: Sequence[Notice],
    as_of: datetime,
) -> None:
    for rule in rules:
        for subject, value in values[rule.name].items():
            if value > rule.above:
                row = {
                    "rule": rule.name, "subject": subject, "severity": rule.severity,
                    "value": value, "message": rule.say, "as_of": as_of,
                }  # fmt: skip
                conn.execute(_FIRE, row)
    for notice in notices:
        if notice.kind == "recovery":
            conn.execute(
                "update ops.warnings set recovered_at = %s, last_seen_at = %s"
                " where rule = %s and subject = %s",
                (as_of, as_of, notice.rule.name, notice.subject),
            )
