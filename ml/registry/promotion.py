"""Whether a version becomes champion, and how: gates, then a person or a rollout where needed.

The rule, once a version beats the plain methods and the champion and has passed the gates:

* a `major` version, unless it is the first, needs a person's approval;
* where the API answered with this model in the last day, the others go through a canary;
* without such traffic a canary would prove nothing, so the version becomes champion at once. That
  is how a fresh platform gets its first champions.

A champion that a person froze stays until that person lets go.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ml.exceptions import FatalError
from ml.registry import aliases, audit, mirror, releases, validation
from ml.registry.audit import Cause
from ml.registry.health import has_traffic
from ml.registry.releases import CHALLENGER, CHAMPION, STAGING, Release
from ml.registry.tracking import client, reachable
from ml.registry.versions import parse
from ml.settings import Settings, get_settings

log = logging.getLogger(__name__)

FROZEN = "frozen"  # tag of a registered model: why


def decide(release: Release, serving: int | None) -> tuple[bool, str]:
    """Whether a version beats what it has to, and why or why not.

    It has to beat every baseline and the champion on the gate metric, measured on one slice.

    Args:
        release: the version; its tags `gate_metric`, `metrics` (JSON by competitor) and
            `incumbent` count. It is the champion already if a kill came after the alias.
        serving: mlflow version that serves now.
    """
    metric = release.tags["gate_metric"]
    figures: dict[str, dict[str, float]] = json.loads(release.tags["metrics"])
    own = figures["model"][metric]
    if not release.is_measured_beside(serving):
        return False, f"not measured against the champion, mlflow version {serving}"
    lost = [
        f"{rival} {values[metric]:.4f}"
        for rival, values in figures.items()
        if rival != "model" and values[metric] >= own
    ]
    if lost:
        return False, f"{metric} {own:.4f} does not beat {', '.join(lost)}"
    beaten = ", ".join(
        f"{rival} {values[metric]:.4f}" for rival, values in figures.items() if rival != "model"
    )
    return True, f"{metric} {own:.4f} beats {beaten}"


def settle(
    name: str, version: str, actor: str = "training", settings: Settings | None = None
) -> Release:
    """Decide on a registered version, once: what was decided stays, but for what `reopen` opens.

    Safe to repeat after a kill. It validates the version if that has not been done yet.

    Returns:
        The release; `decision` says what became of it, `reason` why.
    """
    settings = settings or get_settings()
    release = _judged(name, version, actor, settings)
    if release.decision:
        return release
    report, champion = validation.kept_report(release), releases.champion(name, settings)
    serving = champion.mlflow_version if champion else None
    if report is None or serving not in (report["champion"], release.mlflow_version):
        # Outside the lock: it takes seconds, and moves nothing.
        validation.validate(name, str(release.mlflow_version), settings)
    with mirror.lock(name, settings), reachable():
        current = aliases.reconcile(name, settings)
        release = releases.find(name, str(release.mlflow_version), settings)
        if release.decision:
            return release
        return _conclude(release, current, actor, settings)


def reopen(release: Release, settings: Settings) -> Release:
    """Take a decision back whose only cause is gone: the champion was frozen, or was another one.

    Returns:
        The release, undecided; or as it was, where nothing has changed.
    """
    if not release.awaits:
        return release
    with mirror.lock(release.name, settings), reachable():
        current = aliases.reconcile(release.name, settings)
        found = releases.find(release.name, str(release.mlflow_version), settings)
        return replace(_reopened(found, current, settings), reused=release.reused)


def _reopened(release: Release, current: Mapping[str, int], settings: Settings) -> Release:
    """As `reopen`; the caller holds the lock."""
    gone = {
        "thaw": lambda: frozen(release.name, settings) is None,
        "measurement": lambda: release.is_measured_beside(current.get(CHAMPION)),
    }.get(release.awaits)
    if not release.decision or gone is None or not gone():
        return release
    log.info("%s %s is decided on again: %s", release.name, release.version, release.reason)
    about = (release.mlflow_version, release.version)
    cause = Cause("registry", f"no longer so: {release.reason}", {"awaited": release.awaits})
    audit.record("reopened", release.name, cause, settings, about)
    client(settings).delete_model_version_tag(release.name, str(release.mlflow_version), "decision")
    tags = {key: value for key, value in release.tags.items() if key != "decision"}
    return replace(release, reason="", tags=tags)


def judge(
    name: str, version: str, actor: str = "training", settings: Settings | None = None
) -> list[str]:
    """Validate a registered version, unless the figures of its training refuse it already.

    Returns:
        Every criterion that is not met, with its figure.
    """
    settings = settings or get_settings()
    release = _judged(name, version, actor, settings)
    if release.decision:
        return [release.reason] if release.decision == "refused" else []
    return validation.validate(name, str(release.mlflow_version), settings).failures


def promote(
    name: str,
    version: str,
    cause: Cause,
    *,
    approved: bool = False,
    settings: Settings | None = None,
) -> Release:
    """Make a version champion at once, if it passes the gates.

    Args:
        name: registered model.
        version: semantic version, number in MLflow, or alias.
        cause: who and why.
        approved: whether a person has seen the comparison; a major version needs that.
        settings: those of the process by default.

    Raises:
        FatalError: if a gate or a person is against it; the message lists every failed criterion.
    """
    settings = settings or get_settings()
    while True:
        release = cleared(name, version, approved=approved, settings=settings)
        with mirror.lock(name, settings), reachable():
            current = aliases.reconcile(name, settings)
            if not _is_still_cleared(release, current, settings):
                continue
            if approved:
                about = (release.mlflow_version, release.version)
                audit.record("approved", name, cause, settings, about)
            return crown(release, current, cause, settings)


def _is_still_cleared(release: Release, current: Mapping[str, int], settings: Settings) -> bool:
    """Whether what it was compared with still serves, and may be replaced. Needs the lock."""
    serving = current.get(CHAMPION)
    return _has_passed_against(serving, release) and not frozen(release.name, settings)


def _has_passed_against(serving: int | None, release: Release) -> bool:
    """Whether the gates have passed the release beside what serves, or it serves itself."""
    report = validation.kept_report(release)
    if report is None or not report["passed"]:
        return False
    return serving in (report["champion"], release.mlflow_version)


def cleared(
    name: str, version: str, *, approved: bool, settings: Settings | None = None
) -> Release:
    """The release, if nothing stands against promoting it by hand.

    Raises:
        FatalError: if the champion is frozen, a gate is not passed or an approval is missing.
    """
    settings = settings or get_settings()
    release = releases.find(name, version, settings)
    if reason := frozen(name, settings):
        raise FatalError(f"the champion of {name} is frozen ({reason}); `ytempire promote {name}"
                         " --unfreeze` lets go")  # fmt: skip
    champion = releases.champion(name, settings)
    if not _has_passed_against(champion.mlflow_version if champion else None, release):
        found = validation.validate(name, str(release.mlflow_version), settings)
        if not found.passed:
            raise FatalError(f"{name} {release.version} is refused: " + "; ".join(found.failures))
    if needs_approval(release, champion) and not approved:
        raise FatalError(
            f"{name} {release.version} is a major version: read `ytempire validate {name}"
            f" {release.version}`, then promote it with --approve"
        )
    return releases.find(name, str(release.mlflow_version), settings)


def crown(
    release: Release, current: Mapping[str, int], cause: Cause, settings: Settings
) -> Release:
    """Move the aliases that make a release champion. The caller holds the lock."""
    plan = aliases.planned_promotion(current, release.mlflow_version)
    moved = aliases.move(release.name, plan, cause, settings)
    return mark(moved[release.mlflow_version], "promoted", cause, settings)


def rollback(name: str, cause: Cause, settings: Settings | None = None) -> Release:
    """Bring the last former champion back; the one that served loses its alias.

    Raises:
        FatalError: if there is no former champion.
    """
    settings = settings or get_settings()
    with mirror.lock(name, settings), reachable():
        current = aliases.reconcile(name, settings)
        plan = aliases.planned_rollback(current)
        if not plan:
            raise FatalError(f"{name} has no former champion to go back to")
        left = current.get(CHAMPION)
        moved = aliases.move(name, plan, cause, settings)
        serving = next(release for release in moved.values() if release.is_champion)
        if left is not None and left != serving.mlflow_version:
            mark(moved[left], "rolled_back", cause, settings)
        return serving


def freeze(name: str, cause: Cause, settings: Settings | None = None) -> None:
    """Keep the champion until `unfreeze`, whatever beats it. Going back stays possible."""
    settings = settings or get_settings()
    with mirror.lock(name, settings), reachable():
        client(settings).set_registered_model_tag(name, FROZEN, cause.reason)
        audit.record("frozen", name, cause, settings)


def unfreeze(name: str, cause: Cause, settings: Settings | None = None) -> None:
    """Let go of a champion that was frozen."""
    settings = settings or get_settings()
    with mirror.lock(name, settings), reachable():
        if frozen(name, settings):
            # The audit first: after a kill a repeat tells it twice rather than never.
            audit.record("unfrozen", name, cause, settings)
            client(settings).delete_registered_model_tag(name, FROZEN)


def frozen(name: str, settings: Settings) -> str | None:
    """Why the champion is frozen, None if it is not."""
    with reachable():
        found = client(settings).search_registered_models(filter_string=f"name = '{name}'")
    return found[0].tags.get(FROZEN) if found else None


def reject(name: str, version: str, cause: Cause, settings: Settings | None = None) -> Release:
    """A person is against a version: it stays a challenger."""
    settings = settings or get_settings()
    with mirror.lock(name, settings), reachable():
        current = aliases.reconcile(name, settings)
        release = releases.find(name, version, settings)
        about = (release.mlflow_version, release.version)
        audit.record("rejected", name, cause, settings, about)
        return _stand_back(release, current, cause, settings)


def needs_approval(release: Release, champion: Release | None) -> bool:
    """Whether a person has to agree: to another major version than the one that serves."""
    if champion is None:
        return False
    own, serving = (parse(each.version) for each in (release, champion))
    return own is None or serving is None or own[0] > serving[0]


def _judged(name: str, version: str, actor: str, settings: Settings) -> Release:
    """The release; refused already where the figures of its training are against it."""
    with mirror.lock(name, settings), reachable():
        current = aliases.reconcile(name, settings)
        release = _reopened(releases.find(name, version, settings), current, settings)
        if release.decision:
            return release
        beats, reason = decide(release, current.get(CHAMPION))
        if beats:
            return release
        cause = Cause(actor, reason, _figures(release))
        return _stand_back(release, current, cause, settings, _unheard(release, current))


def _conclude(
    release: Release, current: Mapping[str, int], actor: str, settings: Settings
) -> Release:
    serving, awaits = current.get(CHAMPION), _unheard(release, current)
    beats, reason = decide(release, serving)
    report = validation.kept_report(release) or {"passed": False, "failures": ["not validated"]}
    if beats and not report["passed"]:
        beats, reason = False, "the gates refuse it: " + "; ".join(report["failures"])
    elif beats and serving and (why := frozen(release.name, settings)):
        beats, reason = False, f"{reason}, but the champion is frozen: {why}"
        awaits = "thaw"
    cause = Cause(actor, reason, _figures(release))
    if not beats:
        return _stand_back(release, current, cause, settings, awaits)
    if needs_approval(release, releases.champion(release.name, settings)):
        return _wait(release, "needs_approval", cause, settings)
    if serving not in (None, release.mlflow_version) and has_traffic(release.name, settings):
        return _wait(release, "needs_rollout", cause, settings)
    return crown(release, current, cause, settings)


def _wait(release: Release, decision: str, cause: Cause, settings: Settings) -> Release:
    moved = aliases.move(release.name, [(STAGING, release.mlflow_version)], cause, settings)
    return mark(moved[release.mlflow_version], decision, cause, settings)


def _unheard(release: Release, current: Mapping[str, int]) -> str:
    return "" if release.is_measured_beside(current.get(CHAMPION)) else "measurement"


def _stand_back(
    release: Release,
    current: Mapping[str, int],
    cause: Cause,
    settings: Settings,
    awaits: str = "",
) -> Release:
    """The version is a challenger and no more."""
    number = release.mlflow_version
    moves: list[aliases.Move] = [
        (alias, None) for alias in (STAGING, releases.CANARY) if current.get(alias) == number
    ]
    if current.get(CHAMPION) != number:
        moves.append((CHALLENGER, number))
    moved = aliases.move(release.name, moves, cause, settings)
    return mark(moved[number], "refused", cause, settings, awaits)


def mark(
    release: Release, decision: str, cause: Cause, settings: Settings, awaits: str = ""
) -> Release:
    """Keep the decision with the version; a refusal is in the audit as well.

    The caller holds the lock.

    Args:
        release: the version.
        decision: see `Release.decision`.
        cause: who and why.
        settings: where the registry is.
        awaits: what has to change for the decision to be made again, see `Release.awaits`.
    """
    registry, number = client(settings), str(release.mlflow_version)
    if decision == "refused":
        # Before the tags: after a kill a repeat tells it twice rather than never.
        about = (release.mlflow_version, release.version)
        audit.record("refused", release.name, cause, settings, about)
    told = {releases.AWAITS: awaits, "decision_reason": cause.reason, "decision": decision}
    for key, value in told.items():
        registry.set_model_version_tag(release.name, number, key, value)
    log.info("%s %s: %s: %s", release.name, release.version, decision, cause.reason)
    marked = replace(release, reason=cause.reason, tags={**release.tags, **told})
    mirror.write_models(release.name, [marked], settings)
    return marked


def _figures(release: Release) -> dict[str, Any]:
    """The gate metric of each competitor."""
    metric = release.tags["gate_metric"]
    figures: dict[str, dict[str, float]] = json.loads(release.tags["metrics"])
    return {rival: values[metric] for rival, values in figures.items()}
