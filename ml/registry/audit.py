"""Every change of a release, in `ml.release_audit`: rows are only added, each chained to the last.

Postgres refuses updates and deletes, and computes the hashes on the way in. `verify` computes them
again here, so that a row that was changed behind the triggers' back is found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from ml.settings import Settings
from ml.storage.postgres import query, transaction

if TYPE_CHECKING:
    import psycopg

Action = Literal[
    "registered", "validated", "refused", "reopened", "alias_moved", "approved", "rejected",
    "rollout_started", "rollout_moved", "rollout_ended", "frozen", "unfrozen",
]  # fmt: skip

_INSERT = """
    insert into ml.release_audit (
        actor, action, model_name, mlflow_version, version, alias, from_version, to_version,
        reason, evidence
    )
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
# The payload of the trigger, word for word: Postgres writes the JSON, the hash is made here.
_CHAIN = """
    select audit_id, model_name, action, previous_hash, hash, json_build_array(
        audit_id, extract(epoch from at)::text, actor, action, model_name, mlflow_version, version,
        alias, from_version, to_version, reason, evidence::text)::text
    from ml.release_audit order by audit_id
"""
_SHOW = """
    select audit_id, at, actor, action, model_name as model, version, mlflow_version, alias,
        from_version as "from", to_version as "to", reason, evidence
    from ml.release_audit
    where %(model)s::text is null or model_name = %(model)s
    order by audit_id desc limit %(limit)s
"""
_LIVE = """
    select model_name as model, version, mlflow_version, since, until, actor, reason
    from ml.alias_history
    where model_name = %(model)s and alias = %(alias)s
        and since <= %(moment)s and (until is null or until > %(moment)s)
"""


@dataclass(frozen=True)
class Cause:
    """Why something changes.

    Attributes:
        actor: who: a person's login, or the DAG or command that acts.
        reason: in one sentence.
        evidence: figures that decided.
    """

    actor: str
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Whether the chain is whole.

    Attributes:
        rows: how many were checked.
        broken: what is wrong with the first broken row, None if nothing is.
    """

    rows: int
    head: str
    broken: str | None


def append(
    conn: psycopg.Connection,
    action: Action,
    name: str,
    cause: Cause,
    *,
    version: tuple[int, str] | None = None,
    move: tuple[str, int | None, int | None] | None = None,
) -> None:
    """Add a row, in the transaction of the caller.

    Args:
        conn: of the ytempire database.
        action: what was done.
        name: registered model.
        cause: who and why.
        version: mlflow and semantic version that it is about.
        move: alias, the mlflow version it pointed at, and the one it points at now.
    """
    number, semantic = version or (None, None)
    evidence = json.dumps(cause.evidence, sort_keys=True, default=str)
    conn.execute(
        _INSERT,
        (
            cause.actor, action, name, number, semantic, *(move or (None, None, None)),
            cause.reason, evidence,
        ),
    )  # fmt: skip


def record(
    action: Action,
    name: str,
    cause: Cause,
    settings: Settings,
    version: tuple[int, str] | None = None,
) -> None:
    """Add a row in a transaction of its own."""
    with transaction(settings.require("database_url")) as conn:
        append(conn, action, name, cause, version=version)


def verify(settings: Settings, known_heads: Mapping[str, str] | None = None) -> Verdict:
    """Compute every hash again and find the first row that does not fit.

    Args:
        settings: where Postgres is.
        known_heads: by model, the hash that was last written elsewhere; a chain that was cut off at
            its end lacks it.
    """
    previous, rows, seen = "", 0, {""}
    with transaction(settings.require("database_url")) as conn:
        for number, model, action, before, stored, payload in conn.execute(_CHAIN):
            rows += 1
            row = f"row {number} ({action} of {model})"
            if number != rows:
                return Verdict(rows, previous, f"row {rows} is missing: {row} follows")
            if before != previous:
                return Verdict(rows, previous, f"{row} does not follow the row before it")
            if hashlib.sha256((previous + payload).encode()).hexdigest() != stored:
                return Verdict(rows, previous, f"{row} was changed: its hash does not fit")
            previous = stored
            seen.add(stored)
    for model, head in (known_heads or {}).items():
        if head not in seen:
            problem = f"rows after {rows} are missing: the registry knows a later one of {model}"
            return Verdict(rows, previous, problem)
    return Verdict(rows, previous, None)


def head(conn: psycopg.Connection) -> str:
    """Hash of the last row, empty before the first."""
    row = conn.execute(
        "select hash from ml.release_audit order by audit_id desc limit 1"
    ).fetchone()
    return str(row[0]) if row else ""


def show(settings: Settings, name: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """The last changes, newest first."""
    return _rows(settings, _SHOW, {"model": name, "limit": limit})


def live_at(
    name: str, moment: datetime, settings: Settings, alias: str = "champion"
) -> dict[str, Any] | None:
    """Which version an alias pointed at, and since when; None if at none."""
    rows = _rows(settings, _LIVE, {"model": name, "alias": alias, "moment": moment})
    return rows[0] if rows and rows[0]["mlflow_version"] is not None else None


def _rows(settings: Settings, text: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    with transaction(settings.require("database_url")) as conn:
        return query(conn, text, values)
