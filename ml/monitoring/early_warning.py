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
# Of a rule that is gone nobody knows its routes any more.
_EVERY_ROUTE = ("email", "slack", "pagerduty")
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

    rule: str
    subject: str
    kind: Literal["warning", "recovery"]
    message: str
    severity: Severity
    routes: tuple[str, ...]

    def alert(self, run_id: str) -> Alert:
        """The same as an alert."""
        return Alert(
            kind=self.kind,
            dag_id=DAG_ID,
            run_id=run_id,
            message=self.message,
            severity=self.severity,
            key=f"{self.rule}/{self.subject}",
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

    A warning that still fires is not told again, nor one whose subject cannot be measured now: it
    fires until a value is back under the bound, or its rule has left the file. Notices go out
    before the state is kept, so a kill in between tells twice rather than never; PagerDuty takes
    the two for one by their key.

    Returns:
        Keys of rule and subject: `fired`, `recovered`, and all that are `firing` now.
    """
    settings = settings or get_settings()
    rules = load_rules(settings)
    with transaction(settings.require("database_url")) as conn:
        # Two checks at once would tell everything twice.
        conn.execute("select pg_advisory_xact_lock(hashtextextended('early_warning', 0))")
        values = _values(rules, as_of, conn, settings)
        firing = _firing(conn)
        notices = changes(rules, values, firing)
        for notice in notices:
            send_alert(notice.alert(run_id), settings, notice.routes)
        _keep(conn, rules, values, notices, as_of)
        now = _firing(conn)
    keys: dict[str, list[str]] = {"warning": [], "recovery": []}
    for notice in notices:
        keys[notice.kind].append(f"{notice.rule}/{notice.subject}")
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
        fired = {subject for name, subject in before if name == rule.name}
        for subject, value in sorted(values[rule.name].items()):
            if (value > rule.above) != (subject in fired):
                notices.append(_change(rule, subject, value))
    known = {rule.name for rule in rules}
    return notices + [
        Notice(name, subject, "recovery", f"the rule {name} is gone", "info", _EVERY_ROUTE)
        for name, subject in sorted(before)
        if name not in known
    ]


def _change(rule: Rule, subject: str, value: float) -> Notice:
    fires = value > rule.above
    verb, then = ("is above", f"; {rule.say}") if fires else ("is back under", "")
    return Notice(
        rule=rule.name,
        subject=subject,
        kind="warning" if fires else "recovery",
        message=f"{rule.metric} of {subject} {verb} {rule.above:g}: {value:.4g}{then}",
        severity=rule.severity,
        routes=rule.routes,
    )


def _values(
    rules: Sequence[Rule], as_of: datetime, conn: psycopg.Connection, settings: Settings
) -> dict[str, dict[str, float]]:
    """Values by rule and subject; what two rules look at is read once."""
    read: dict[tuple[str, float], dict[str, float]] = {}
    for rule in rules:
        asked = (rule.metric, rule.hours)
        if asked not in read:
            window = timedelta(hours=rule.hours)
            read[asked] = indicators.read(rule.metric, as_of, window, conn, settings)
    return {rule.name: read[rule.metric, rule.hours] for rule in rules}


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
                (as_of, as_of, notice.rule, notice.subject),
            )
