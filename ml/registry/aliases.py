"""Moving aliases: what moves in which order, and the audit of each move.

The caller holds the lock of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ml.registry import audit, mirror, releases
from ml.registry.audit import Cause
from ml.registry.releases import CANARY, CHALLENGER, CHAMPION, PREVIOUS, STAGING, Release
from ml.registry.tracking import client
from ml.settings import Settings
from ml.storage.postgres import transaction

AUDIT_HEAD = "audit_head"  # tag of a registered model: hash of the last row about its aliases
_WAITING = (STAGING, CANARY, CHALLENGER)
_LAST_KNOWN = """
    select distinct on (alias) alias, to_version
    from ml.release_audit
    where action = 'alias_moved' and model_name = %s
    order by alias, audit_id desc
"""

Move = tuple[str, int | None]


def planned_promotion(current: Mapping[str, int], number: int) -> list[Move]:
    """Moves that make a version champion, in order.

    The oldest former champion goes first, so that a kill in the middle loses none and a repeat
    ends in the same state. Aliases of one that waits are taken from it last.
    """
    former = [current[alias] for alias in (CHAMPION, *PREVIOUS) if alias in current]
    unique = [version for version in dict.fromkeys(former) if version != number]
    moved: list[Move] = list(zip(PREVIOUS, unique, strict=False))
    done: list[Move] = [(alias, None) for alias in _WAITING if current.get(alias) == number]
    return [*reversed(moved), (CHAMPION, number), *done]


def planned_rollback(current: Mapping[str, int]) -> list[Move]:
    """Moves that bring the last former champion back; none if there is no former champion.

    The champion goes first: that is what is urgent. Two aliases at one version are left from a
    kill: the champion has moved, and only the others follow.
    """
    former = [current[alias] for alias in PREVIOUS if alias in current]
    if not former:
        return []
    serving = current.get(CHAMPION)
    if serving not in former and len(former) == len(set(former)):
        serving = former[0]
    rest = [version for version in dict.fromkeys(former) if version != serving]
    moves: list[Move] = [(CHAMPION, serving)] if current.get(CHAMPION) != serving else []
    for place, alias in enumerate(PREVIOUS):
        wanted = rest[place] if place < len(rest) else None
        if current.get(alias) != wanted:
            moves.append((alias, wanted))
    return moves


def move(name: str, moves: Sequence[Move], cause: Cause, settings: Settings) -> dict[int, Release]:
    """Move aliases in order, each with its row in the audit, and mirror the registry.

    A row is committed only if MLflow took the move. One that MLflow took before a kill is found by
    the next `reconcile`.

    Returns:
        Every release by its mlflow version, with the aliases it has now.
    """
    registry = client(settings)
    known = {release.mlflow_version: release for release in releases.all_releases(name, settings)}
    current = {alias: number for number, each in known.items() for alias in each.aliases}
    due = [(alias, number) for alias, number in moves if current.get(alias) != number]
    if not due:
        return known
    with transaction(settings.require("database_url")) as conn:
        for alias, number in due:
            about = number or current[alias]
            audit.append(
                conn,
                "alias_moved",
                name,
                cause,
                version=(about, known[about].version) if about in known else None,
                move=(alias, current.get(alias), number),
            )
            if number is None:
                registry.delete_registered_model_alias(name, alias)
                del current[alias]
            else:
                registry.set_registered_model_alias(name, alias, str(number))
                current[alias] = number
            conn.commit()
        head = audit.head(conn)
    registry.set_registered_model_tag(name, AUDIT_HEAD, head)
    after = {
        number: replace(each, aliases=tuple(sorted(a for a, n in current.items() if n == number)))
        for number, each in known.items()
    }
    mirror.write_models(name, after.values(), settings)
    return after


def reconcile(name: str, settings: Settings) -> dict[str, int]:
    """Enter moves that were made past this code, or cut off by a kill, into the audit.

    Returns:
        The mlflow version that each alias points at.
    """
    current = releases.aliases_of(name, settings)
    with transaction(settings.require("database_url")) as conn:
        known: dict[str, int | None] = dict(conn.execute(_LAST_KNOWN, (name,)).fetchall())
        moved = [a for a in sorted({*current, *known}) if current.get(a) != known.get(a)]
        found = releases.all_releases(name, settings) if moved else []
        versions = {release.mlflow_version: release.version for release in found}
        for alias in moved:
            before, now = known.get(alias), current.get(alias)
            about = now or before
            cause = Cause("unknown", "found in MLflow: moved past this registry or before a kill")
            audit.append(
                conn, "alias_moved", name, cause,
                version=(about, versions.get(about, "")) if about else None,
                move=(alias, before, now),
            )  # fmt: skip
    return current
