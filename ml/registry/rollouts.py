"""Rolling a version out to a growing share of the callers, watched and undone by itself.

A rollout is a row of `ml.rollouts`. The API learns of it by an order in Redis, written anew at
each check, so that a Redis that forgot costs one check, and a rollout that nobody checks ends by
itself. What happens in between a kill and the next check is decided by the row.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ml.exceptions import FatalError, ServiceUnavailableError
from ml.registry import aliases, audit, health, mirror, promotion, releases, validation
from ml.registry.audit import Cause
from ml.registry.releases import CANARY, CHAMPION, Release
from ml.registry.tracking import reachable
from ml.settings import Settings, get_settings
from ml.storage.postgres import query, transaction

log = logging.getLogger(__name__)

Strategy = Literal["canary", "blue_green", "shadow"]
_SHADOW_PERCENT = 100
_ORDER_CHECKS = 5  # so many checks may fail before the API lets go of a canary
_SHADOWED = "predict/video"  # a shadow is asked about single videos, never about a topic

_COLUMNS = """
    rollout_id::text, model_name as model, mlflow_version, version, from_version, strategy, status,
    steps, step, started_at, step_started_at, ended_at, actor, reason, health
"""
_START = """
    insert into ml.rollouts (
        model_name, mlflow_version, version, from_version, strategy, steps, actor, reason, health
    )
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_STEP = """
    update ml.rollouts set step = step + 1, step_started_at = now()
    where rollout_id = %s and step = %s and status = 'running'
"""
_CHECKED = "update ml.rollouts set checked_at = now(), health = %s where rollout_id = %s"
_END = """
    update ml.rollouts set status = %s, ended_at = now(), reason = %s
    where rollout_id = %s and status = 'running'
"""


@dataclass(frozen=True)
class Rollout:
    """A row of `ml.rollouts`."""

    rollout_id: str
    model: str
    mlflow_version: int
    version: str
    from_version: int
    strategy: Strategy
    status: Literal["running", "promoted", "rolled_back", "shadowed"]
    steps: list[int]
    step: int
    started_at: datetime
    step_started_at: datetime
    ended_at: datetime | None
    actor: str
    reason: str
    health: dict[str, Any]

    @property
    def percent(self) -> int:
        """Share of the callers that the version answers now."""
        return self.steps[self.step - 1] if self.status == "running" else 0

    def summary(self) -> dict[str, Any]:
        """For people and asset events."""
        return {
            "model": self.model, "version": self.version, "strategy": self.strategy,
            "status": self.status, "percent": self.percent, "reason": self.reason,
            "health": self.health,
        }  # fmt: skip


def start(
    name: str,
    version: str,
    strategy: Strategy,
    cause: Cause,
    *,
    approved: bool = False,
    settings: Settings | None = None,
) -> Rollout:
    """Begin to roll a version out; the one that is under way, if it is of the same version.

    Raises:
        FatalError: if it is not cleared, there is no champion to fall back on, or another rollout
            of the model is under way.
    """
    settings = settings or get_settings()
    wanted = releases.find(name, version, settings)
    if (under_way := running(name, settings)) is not None:
        return _announce(under_way, wanted, cause, settings)
    release = promotion.cleared(name, version, approved=approved, settings=settings)
    with mirror.lock(name, settings), reachable():
        current = aliases.reconcile(name, settings)
        serving = current.get(CHAMPION)
        if serving is None or serving == release.mlflow_version:
            raise FatalError(f"{name} has no other champion to roll {release.version} out beside")
        if running(name, settings) is None:
            _enter(release, serving, strategy, cause, settings)
    return _announce(_require_running(name, settings), wanted, cause, settings)


def _enter(
    release: Release, serving: int, strategy: Strategy, cause: Cause, settings: Settings
) -> None:
    """Write the row and its beginning in the audit. The caller holds the lock."""
    steps = {
        "canary": [settings.rollout_canary_percent],
        "blue_green": list(settings.rollout_steps),
        "shadow": [_SHADOW_PERCENT],
    }[strategy]
    report = validation.kept_report(release) or {}
    known = {"justified_shift": report.get("score_shift", 0.0)}
    with transaction(settings.require("database_url")) as conn:
        conn.execute(
            _START,
            (release.name, release.mlflow_version, release.version, serving, strategy, steps,
             cause.actor, cause.reason, json.dumps(known)),
        )  # fmt: skip
        audit.append(
            conn, "rollout_started", release.name,
            Cause(cause.actor, cause.reason, {"strategy": strategy, "steps": steps}),
            version=(release.mlflow_version, release.version),
        )  # fmt: skip


def _announce(rollout: Rollout, wanted: Release, cause: Cause, settings: Settings) -> Rollout:
    """Move the aliases and tell the API; repeated, it finishes what a kill cut off.

    Raises:
        FatalError: if another version than the wanted one is under way.
    """
    name, number = rollout.model, rollout.mlflow_version
    if number != wanted.mlflow_version:
        raise FatalError(
            f"{name} {rollout.version} is being rolled out; wait for it or `ytempire rollback"
            f" {name}`"
        )
    with mirror.lock(name, settings), reachable():
        current = aliases.reconcile(name, settings)
        moves: list[aliases.Move] = [(CANARY, number)]
        moves += [(releases.STAGING, None)] if current.get(releases.STAGING) == number else []
        aliases.move(name, moves, cause, settings)
    _order(rollout, settings)
    return rollout


def running(name: str, settings: Settings) -> Rollout | None:
    """The rollout that is under way, if there is one."""
    rows = _rows(settings, "where model_name = %s and status = 'running'", (name,))
    return rows[0] if rows else None


def check(name: str, settings: Settings | None = None) -> Rollout:
    """Look at the health of what is rolled out, and go on, back or to the end.

    A step is over when its window has passed and the version has given enough answers, or when in
    the longest wait nobody asked the model at all.

    Raises:
        FatalError: if nothing is being rolled out.
    """
    settings = settings or get_settings()
    rollout = _require_running(name, settings)
    kind = _SHADOWED if rollout.strategy == "shadow" else None
    new, old = (
        health.figures(name, number, rollout.step_started_at, settings, kind)
        for number in (rollout.mlflow_version, rollout.from_version)
    )
    shift = float(rollout.health.get("justified_shift", 0.0))
    found = {
        "canary": new.as_dict(), "champion": old.as_dict(), "percent": rollout.percent,
        "justified_shift": shift,
    }  # fmt: skip
    with transaction(settings.require("database_url")) as conn:
        conn.execute(_CHECKED, (json.dumps(found), rollout.rollout_id))
    if problems := health.problems(new, old, settings, shift):
        return undo(name, Cause("rollout", "; ".join(problems), found), settings)
    age = datetime.now(UTC) - rollout.step_started_at
    seen = new.asked >= settings.rollout_min_answers
    quiet = age > timedelta(seconds=settings.rollout_longest_s)
    if age < timedelta(seconds=settings.rollout_window_s) or not (seen or quiet):
        _order(rollout, settings)
        return rollout
    if quiet and not seen and old.asked >= settings.rollout_min_answers:
        asked = f"the champion was asked {old.asked} times, the version {new.asked} times"
        return undo(name, Cause("rollout", f"no traffic reached it: {asked}", found), settings)
    return _go_on(rollout, found, settings)


def undo(name: str, cause: Cause, settings: Settings | None = None) -> Rollout:
    """End a rollout: the former champion answers everybody again.

    Raises:
        FatalError: if nothing is being rolled out.
    """
    settings = settings or get_settings()
    rollout = _require_running(name, settings)
    try:
        _clear_order(name, settings)
    except ServiceUnavailableError as error:
        # Without Redis the API asks no canary, and its order is forgotten soon.
        log.warning("%s: %s", name, error)
    with mirror.lock(name, settings), reachable():
        current = aliases.reconcile(name, settings)
        if (ended := _ended(rollout, settings)) is not None:
            return ended
        if current.get(CHAMPION) == rollout.mlflow_version:
            # Crowned by hand or just before a kill: that is undone too.
            aliases.move(name, aliases.planned_rollback(current), cause, settings)
        return _end(rollout, "rolled_back", cause, settings)


def _ended(rollout: Rollout, settings: Settings) -> Rollout | None:
    """The rollout as it is now if somebody has ended it meanwhile. The caller holds the lock."""
    [now] = _rows(settings, "where rollout_id = %s", (rollout.rollout_id,))
    return None if now.status == "running" else now


def _go_on(rollout: Rollout, found: dict[str, Any], settings: Settings) -> Rollout:
    """The next step, or the end."""
    name = rollout.model
    if rollout.step < len(rollout.steps):
        with transaction(settings.require("database_url")) as conn:
            moved = conn.execute(_STEP, (rollout.rollout_id, rollout.step)).rowcount
            if moved:
                reason = f"healthy at {rollout.percent} %"
                audit.append(
                    conn, "rollout_moved", name, Cause("rollout", reason, found),
                    version=(rollout.mlflow_version, rollout.version),
                )  # fmt: skip
        now = _require_running(name, settings)
        _order(now, settings)
        return now
    # First of all, so that no order outlives the rollout; a kill here costs one check.
    _clear_order(name, settings)
    with mirror.lock(name, settings), reachable():
        current = aliases.reconcile(name, settings)
        return _ended(rollout, settings) or _conclude(rollout, current, found, settings)


def _conclude(
    rollout: Rollout, current: Mapping[str, int], found: dict[str, Any], settings: Settings
) -> Rollout:
    """Crown a version that stayed healthy to the end. The caller holds the lock."""
    name = rollout.model
    cause = Cause("rollout", f"healthy at {rollout.percent} % ({rollout.strategy})", found)
    if rollout.strategy == "shadow":
        return _end(rollout, "shadowed", cause, settings)
    if why := promotion.frozen(name, settings):
        kept = Cause("rollout", f"the champion was frozen meanwhile: {why}", found)
        return _end(rollout, "rolled_back", kept, settings, awaits="thaw")
    if current.get(CHAMPION) not in (rollout.from_version, rollout.mlflow_version):
        moved_on = Cause("rollout", "another version became champion meanwhile", found)
        return _end(rollout, "rolled_back", moved_on, settings, awaits="measurement")
    release = releases.find(name, str(rollout.mlflow_version), settings)
    promotion.crown(release, current, cause, settings)
    return _end(rollout, "promoted", cause, settings)


def _end(
    rollout: Rollout, status: str, cause: Cause, settings: Settings, awaits: str = ""
) -> Rollout:
    """Close the row, take the alias, tell the audit. The caller holds the lock."""
    name = rollout.model
    current = releases.aliases_of(name, settings)
    if current.get(CANARY) == rollout.mlflow_version:
        moves: list[aliases.Move] = [(CANARY, None)]
        if status != "promoted":
            moves.append((releases.CHALLENGER, rollout.mlflow_version))
        aliases.move(name, moves, cause, settings)
    if status == "rolled_back":
        release = releases.find(name, str(rollout.mlflow_version), settings)
        promotion.mark(release, "rolled_back", cause, settings, awaits)
    with transaction(settings.require("database_url")) as conn:
        conn.execute(_END, (status, cause.reason, rollout.rollout_id))
        audit.append(
            conn, "rollout_ended", name,
            Cause(cause.actor, f"{status}: {cause.reason}", cause.evidence),
            version=(rollout.mlflow_version, rollout.version),
        )  # fmt: skip
    log.info("%s %s: %s: %s", name, rollout.version, status, cause.reason)
    return _rows(settings, "where rollout_id = %s", (rollout.rollout_id,))[0]


def _require_running(name: str, settings: Settings) -> Rollout:
    found = running(name, settings)
    if found is None:
        raise FatalError(f"no version of {name} is being rolled out")
    return found


def _rows(settings: Settings, where: str, values: tuple[Any, ...]) -> list[Rollout]:
    text = f"select {_COLUMNS} from ml.rollouts {where}"  # noqa: S608 - constants
    with transaction(settings.require("database_url")) as conn:
        found = query(conn, text, values)
    return [Rollout(**row) for row in found]


def _order(rollout: Rollout, settings: Settings) -> None:
    """Tell the workers of the API, until the next check: what nobody watches soon ends."""
    order = {
        "version": str(rollout.mlflow_version),
        "percent": rollout.percent,
        "shadow": rollout.strategy == "shadow",
    }
    lives_s = int(_ORDER_CHECKS * max(settings.rollout_check_s, 60))
    _redis(rollout.model, json.dumps(order), settings, lives_s)


def _clear_order(name: str, settings: Settings) -> None:
    _redis(name, json.dumps({"version": "", "percent": 0}), settings)


def _redis(name: str, order: str, settings: Settings, lives_s: int | None = None) -> None:
    import redis

    try:
        with redis.Redis.from_url(
            settings.require("redis_url"), socket_timeout=2, socket_connect_timeout=2
        ) as connection:
            connection.set(f"serving:canary:{name}", order, ex=lives_s)
    except redis.RedisError as error:
        raise ServiceUnavailableError(f"Redis: {error}") from error
