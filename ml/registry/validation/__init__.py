"""The gates before a promotion: a version is tried on fresh cases and every failure is told."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ml.exceptions import FatalError, RetriableError, UnusableModelError
from ml.registry import audit, releases
from ml.registry.audit import Cause
from ml.registry.probes import Fresh, probe_of
from ml.registry.releases import Release
from ml.registry.tracking import client, reachable
from ml.registry.validation.checks import CHECKS, Finding, Trial
from ml.registry.validation.comparison import compare, compare_merits, justified_shift
from ml.registry.validation.criteria import criteria_of
from ml.settings import Settings, get_settings

log = logging.getLogger(__name__)

VERDICT_TAG = "validation"
REPORT_FILE = "validation.json"
_SHIFT = "score_shift: champion"


@dataclass(frozen=True)
class Report:
    """What the gates found.

    Attributes:
        champion: semantic version that it was compared with, if there was one.
        cases: what it was tried on.
        findings: each criterion with its figure and limit.
        seconds: how long it took.
    """

    model: str
    version: str
    mlflow_version: int
    champion: str | None
    cases: str
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every criterion is met."""
        return all(finding.passed for finding in self.findings)

    @property
    def failures(self) -> list[str]:
        """Every criterion that is not met, with its figure."""
        return [str(finding) for finding in self.findings if not finding.passed]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "passed": self.passed, "failures": self.failures}

    def as_markdown(self) -> str:
        """For a person who is asked to approve."""
        rows = [
            f"| {'' if f.passed else '**'}{f.criterion}{'' if f.passed else '**'} | {f.figure:.4g}"
            f" | {f.limit:g} | {'met' if f.passed else 'not met'} | {f.detail} |"
            for f in self.findings
        ]
        head = [
            f"## {self.model} {self.version}, compared with {self.champion or 'no champion'}",
            f"Tried on {self.cases}.",
            "",
            "| criterion | figure | limit | | |",
            "|---|---|---|---|---|",
        ]
        return "\n".join([*head, *rows])


def validate(name: str, version: str, settings: Settings | None = None) -> Report:
    """Put a version through the gates, and keep the report with it and in the audit.

    It changes no alias.

    Args:
        name: registered model.
        version: semantic version, number in MLflow, or alias.
        settings: those of the process by default.

    Raises:
        FatalError: if there is no such version.
    """
    settings = settings or get_settings()
    release = releases.find(name, version, settings)
    champion = releases.champion(name, settings)
    began = time.monotonic()
    source, findings = _findings(release, champion, settings)
    report = Report(
        name, release.version, release.mlflow_version, champion.version if champion else None,
        source, tuple(findings), round(time.monotonic() - began, 3),
    )  # fmt: skip
    with reachable():
        _keep(report, release, champion, settings)
    log.info("%s %s: %s", name, release.version, "; ".join(report.failures) or "passed the gates")
    return report


def kept_report(release: Release) -> dict[str, Any] | None:
    """The last validation: `passed`, `champion` (mlflow version), `failures`, `score_shift`."""
    kept = release.tags.get(VERDICT_TAG)
    found: dict[str, Any] | None = json.loads(kept) if kept else None
    return found


def _findings(
    release: Release, champion: Release | None, settings: Settings
) -> tuple[str, list[Finding]]:
    """What the cases are and every finding; what cannot be tried at all is one that fails."""
    try:
        # What was adapted from another model is tried like that one.
        kind = release.tags.get("adapted_from", release.name)
        probe = probe_of(kind)
        model = releases.load(release, settings)
        rival = champion if champion and champion.mlflow_version != release.mlflow_version else None
        cases = probe.cases(model, release, rival, settings)
    except FatalError as error:
        return "nothing", [Finding("contract", 0.0, 1.0, False, str(error))]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # Its columns are none that the cases have, for example: that is its fault, and told. What
        # else goes wrong is no fault of the version and must not refuse it for good.
        log.warning("no cases for %s %s", release.name, release.version, exc_info=True)
        told = f"it cannot be given the cases of {kind}: {_short(error)}"
        return "nothing", [Finding("contract", 0.0, 1.0, False, told)]
    trial = Trial(probe, model, release, cases, criteria_of(kind, settings))
    found: list[Finding] = []
    for name, check in CHECKS.items():
        try:
            found.extend(check(trial))
        except Exception as error:
            # A gate that breaks has not been passed; the others still have their say.
            log.warning("gate %s of %s", name, release.name, exc_info=True)
            found.append(Finding(name, 0.0, 1.0, False, _short(error)))
    return cases.source, [*found, *_comparisons(trial, rival, settings)]


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _comparisons(trial: Trial, rival: Release | None, settings: Settings) -> Iterator[Finding]:
    """Against the champion and each plain method, on the same fresh rows.

    Refused is what is worse by more than the tolerance, or surely worse at all; or, beside one that
    must be beaten beyond doubt, what is not surely better. Where the fresh rows with outcomes are
    none, or do not measure what the training's gate does, the figures of the training decide too.
    """
    cases, criteria = trial.cases, trial.criteria
    if cases.labels is None:
        yield from _training_comparison(trial.release)
    fresh = _fresh(trial)
    if fresh is None:
        # No criterion: the report says what is missing from it.
        yield Finding(
            "comparison: fresh rows", 0.0, 0.0, True, f"not measurable: {cases.unmeasured}"
        )
        return
    if told := _too_few(fresh, criteria.comparison_min_rows):
        # Where the inputs have no outcomes, the figures of the training have decided already.
        has_decided = cases.labels is None
        yield Finding("comparison_min_rows", len(fresh.labels), criteria.comparison_min_rows,
                      has_decided, f"not measurable: {told}" if has_decided else told)  # fmt: skip
        return
    if rival is None and not fresh.rivals:
        return  # there is nobody to be compared with, and asking may take a while
    try:
        own = fresh.scores(trial.model)
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing can be compared
        yield Finding("comparison", 0.0, 1.0, False, f"it does not answer: {_short(error)}")
        return
    yield from _compared(trial, fresh, own, rival, settings)


def _too_few(fresh: Fresh, at_least: int) -> str:
    """Why these rows measure nothing, if they do not."""
    rows, positive = len(fresh.labels), int(fresh.labels.sum())
    if fresh.merit:
        return f"there are {rows} fresh rows" if rows < at_least else ""
    too_few = min(positive, rows - positive) < at_least / 2
    return f"{positive} of {rows} fresh rows are positive" if too_few else ""


def _fresh(trial: Trial) -> Fresh | None:
    """The units that are compared: those of their own, or the inputs where these have outcomes."""
    cases, probe = trial.cases, trial.probe
    if cases.fresh is not None or cases.labels is None:
        return cases.fresh

    def scores(model: Any) -> Any:
        is_own = model is trial.model or cases.inputs_of is None
        taken = cases.inputs if is_own else cases.inputs_of(model)  # type: ignore[misc] # not None
        return probe.score(model, taken).to_numpy()

    return Fresh(cases.source, cases.labels, scores, cases.rivals)


def _compared(
    trial: Trial, fresh: Fresh, own: Any, rival: Release | None, settings: Settings
) -> Iterator[Finding]:
    probe, criteria, rivals, calls = trial.probe, trial.criteria, dict(fresh.rivals), {}
    if rival is not None:
        said = _said_by_champion(fresh, rival, settings)
        if isinstance(said, Finding):
            yield said
        elif said is not None:
            rivals["champion"] = said
            if not fresh.merit:
                calls["champion"] = (probe.calls(trial.release, own), probe.calls(rival, said))
    if "champion" in rivals and probe.is_probability and not fresh.merit:
        shift = justified_shift(fresh.labels, own, rivals["champion"], criteria.confidence)
        # No criterion: a rollout must know how far the scores may differ.
        yield Finding(_SHIFT, shift, 1.0, True, "as far as outcomes justify it")
    for name, score in rivals.items():
        if fresh.merit:
            found = compare_merits(own, score, criteria.confidence)
        else:
            found = compare(fresh.labels, own, score, criteria.confidence, calls.get(name))
        figures = f"{fresh.merit or 'AUC'} {found.own:.4f} and {found.rival:.4f}"
        detail = f"{figures} on {found.rows} rows, {found.tested}"
        if name in trial.cases.surely:
            yield Finding(
                f"comparison_surely_better: {name}", found.low, 0.0, found.low > 0, detail
            )
            continue
        passed = found.gain >= -criteria.comparison_tolerance and found.high >= 0
        limit = -criteria.comparison_tolerance
        yield Finding(f"comparison_tolerance: {name}", found.gain, limit, passed, detail)


def _said_by_champion(fresh: Fresh, rival: Release, settings: Settings) -> Any:
    """Its scores; a finding that says why it gives none; None if this code cannot load it."""
    try:
        return fresh.scores(releases.load(rival, settings))
    except UnusableModelError as error:
        log.warning("not compared with the champion: %s", error)
        return None
    except RetriableError:
        raise
    except Exception as error:
        log.warning("%s %s does not answer", rival.name, rival.version, exc_info=True)
        told = f"the champion does not answer on these rows: {_short(error)}"
        return Finding("comparison: champion", 0.0, 1.0, False, told)


def _training_comparison(release: Release) -> Iterator[Finding]:
    metric = release.tags["gate_metric"]
    figures: dict[str, dict[str, float]] = json.loads(release.tags["metrics"])
    own = figures["model"][metric]
    for name, values in figures.items():
        if name != "model":
            gain = own - values[metric]
            yield Finding(f"comparison: {name}", gain, 0.0, gain > 0,
                          f"{metric} on the test part of the training, no paired test")  # fmt: skip


def _keep(report: Report, release: Release, champion: Release | None, settings: Settings) -> None:
    registry = client(settings)
    registry.log_dict(release.run_id, _plain(report.as_dict()), REPORT_FILE)
    verdict = {
        "passed": report.passed,
        "champion": champion.mlflow_version if champion else None,
        "failures": [failure[:200] for failure in report.failures],
        "score_shift": next((f.figure for f in report.findings if f.criterion == _SHIFT), 0.0),
    }
    registry.set_model_version_tag(
        release.name, str(release.mlflow_version), VERDICT_TAG, json.dumps(verdict)
    )
    reason = "; ".join(report.failures) or "every criterion is met"
    evidence = {finding.criterion: round(finding.figure, 6) for finding in report.findings}
    audit.record(
        "validated", release.name, Cause("gates", reason[:2000], evidence), settings,
        (release.mlflow_version, release.version),
    )  # fmt: skip


def _plain(value: Any) -> Any:
    """Numbers of NumPy as JSON knows them."""
    return json.loads(json.dumps(value, default=lambda each: np.asarray(each).item()))
