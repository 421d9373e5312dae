"""The gates: each looks at one thing and gives findings."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.exceptions import YtempireError
from ml.registry.probes.base import Cases, Probe
from ml.registry.releases import Release
from ml.registry.validation import perturbations
from ml.registry.validation.criteria import Criteria

_TIMED = 40
_WARM_UP, _ROUNDS = 3, 3


@dataclass(frozen=True)
class Finding:
    """One criterion and what was found.

    Attributes:
        criterion: its name in `criteria.yaml`, with what it is about behind a colon.
        figure: what was measured.
        limit: what it may be at most or must be at least.
        passed: whether it is met.
        detail: what a reader needs to know of it.
    """

    criterion: str
    figure: float
    limit: float
    passed: bool
    detail: str = ""

    def __str__(self) -> str:
        """For people: the criterion, the figure and the limit."""
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.criterion} {self.figure:.4g}, limit {self.limit:g}{detail}"


@dataclass(frozen=True)
class Trial:
    """A version on trial."""

    probe: Probe
    model: Any
    release: Release
    cases: Cases
    criteria: Criteria

    def sound(self, scores: Any) -> Any:
        """Which scores are finite and within bounds, as a boolean series."""
        return scores.between(self.probe.low, self.probe.high) & np.isfinite(scores)

    def agreement(self, before: Any, after: Any) -> float:
        """Share of the units with the same call, or a score within the tolerance."""
        after = after.reindex(before.index)
        calls = [self.probe.calls(self.release, each.to_numpy()) for each in (before, after)]
        close = (before - after).abs() <= self.probe.tolerance
        same = (close | (calls[0] == calls[1])) & self.sound(after)
        return float(same.mean())


def contract(trial: Trial) -> Iterator[Finding]:
    """The input is what the signature says, the output too, and every score is a score."""
    probe, model, inputs = trial.probe, trial.model, trial.cases.inputs
    answer = model.predict(inputs)
    schema = model.metadata.get_output_schema()
    scores = probe.score(model, inputs)
    units = len(inputs) if probe.unit is None else len(scores)
    required = sorted(probe.never_missing(model) & set(inputs.columns))
    held = {
        "a signature for input and output": model.metadata.get_input_schema() and schema,
        "the columns of the signature": schema and set(schema.input_names()) <= set(answer),
        "one score for each unit": len(scores) == units > 0,
        "finite scores within bounds": bool(trial.sound(scores).all()),
        "a refusal without a required column": not required
        or _refuses(lambda: model.predict(inputs.drop(columns=required[0]))),
    }
    broken = [name for name, holds in held.items() if not holds]
    share = 1 - len(broken) / len(held)
    limit = trial.criteria.contract
    yield Finding("contract", share, limit, share >= limit, "no " + ", no ".join(broken) if broken
                  else "")  # fmt: skip


def performance(trial: Trial) -> Iterator[Finding]:
    """How long one answer takes, and how many of proper inputs fail.

    A busy neighbour slows every answer down: the best of three rounds is the model's own time.
    """
    limit, allowed = trial.criteria.latency_p95_ms, trial.criteria.error_rate
    p95, failed, tried, error = float("inf"), 0, 0, ""
    for _ in range(_ROUNDS):
        seconds, problems = _timed(trial)
        p95 = min(p95, float(np.quantile(seconds, 0.95)) * 1000)
        tried, failed, error = tried + _TIMED, failed + len(problems), (problems or [error])[-1]
        if p95 <= limit:
            break
    yield Finding("latency_p95_ms", p95, limit, p95 <= limit, f"{_TIMED} answers")
    share = failed / tried
    yield Finding("error_rate", share, allowed, share <= allowed, error[:200])


def _timed(trial: Trial) -> tuple[list[float], list[str]]:
    """Seconds of each answer once the model is warm, and what went wrong."""
    seconds, problems = [], []
    for place in range(-_WARM_UP, _TIMED):
        one = trial.probe.single(trial.cases.inputs, place)
        started = time.perf_counter()
        try:
            trial.probe.score(trial.model, one)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is counted
            if place >= 0:
                problems.append(f"{type(error).__name__}: {error}")
        if place >= 0:
            seconds.append(time.perf_counter() - started)
    return seconds, problems


def safety(trial: Trial) -> Iterator[Finding]:
    """Hostile inputs get a proper score or a clear refusal: no crash, no nonsense."""
    bad, tried = [], 0
    probe, model = trial.probe, trial.model
    for name, inputs in perturbations.hostile(probe, model, trial.cases.inputs):
        tried += 1
        if not _answers_or_refuses(trial, inputs):
            bad.append(name)
    share, limit = 1 - len(bad) / tried, trial.criteria.safety
    yield Finding("safety", share, limit, share >= limit, ", ".join(bad)[:300])


def consistency(trial: Trial) -> Iterator[Finding]:
    """The same input has the same answer; one that hardly differs has one that hardly differs."""
    inputs = trial.probe.some(trial.cases.inputs)
    first, again = (trial.probe.score(trial.model, inputs) for _ in range(2))
    near = trial.probe.score(trial.model, perturbations.harmless(trial.probe, inputs))
    moved = (first - near.reindex(first.index)).abs() <= trial.probe.tolerance
    share = min(float((first == again.reindex(first.index)).mean()), float(moved.mean()))
    limit = trial.criteria.consistency
    yield Finding("consistency", share, limit, share >= limit, f"{len(first)} units")


def robustness(trial: Trial) -> Iterator[Finding]:
    """Calls that stay the same when inputs are spoilt, by kind and in the mean."""
    inputs = trial.probe.some(trial.cases.inputs)
    before = trial.probe.score(trial.model, inputs)
    shares = {
        kind: _answered(lambda given=given: trial.agreement(  # type: ignore[misc] # bound at once
            before, trial.probe.score(trial.model, given)
        ))
        for kind, given in perturbations.spoilt(trial.probe, trial.model, inputs)
    }  # fmt: skip
    mean, limit = float(np.mean(list(shares.values()))), trial.criteria.robustness
    kinds = ", ".join(f"{kind} {share:.2f}" for kind, share in shares.items())
    yield Finding("robustness", mean, limit, mean >= limit, kinds)


def behaviour(trial: Trial) -> Iterator[Finding]:
    """The behavioural tests of the model."""
    limit = trial.criteria.behaviour
    for test in trial.probe.behaviours(trial.model, trial.probe.some(trial.cases.inputs)):
        name = f"behaviour: {test.kind}, {test.name}"
        yield Finding(name, test.figure, limit, test.figure >= limit)


def fairness(trial: Trial) -> Iterator[Finding]:
    """Accuracy by slice: none may surely lie far below that of all rows.

    Surely means by the upper end of Wilson's interval, so that few rows raise no alarm.
    """
    from statsmodels.stats.proportion import proportion_confint

    cases, criteria = trial.cases, trial.criteria
    if cases.labels is None:
        return
    scores = trial.probe.score(trial.model, cases.inputs).to_numpy()
    right = trial.probe.calls(trial.release, scores) == cases.labels
    overall = float(right.mean())
    for name, values in cases.groups.items():
        worst, where = 0.0, "no slice has enough rows"
        for value in np.unique(values.astype(str)):
            own = right[values.astype(str) == value]
            if len(own) < criteria.fairness_min_rows:
                continue
            _, upper = proportion_confint(
                int(own.sum()), len(own), alpha=1 - criteria.confidence, method="wilson"
            )
            if (gap := overall - float(upper)) > worst or where.startswith("no slice"):
                worst, where = max(gap, 0.0), f"{value}: {own.mean():.3f} of {len(own)} rows"
        passed = worst <= criteria.fairness_gap
        yield Finding(f"fairness_gap: {name}", worst, criteria.fairness_gap, passed,
                      f"all {overall:.3f}, {where}")  # fmt: skip


def _answers_or_refuses(trial: Trial, inputs: Any) -> bool:
    try:
        with _overflow_expected():
            return bool(trial.sound(trial.probe.score(trial.model, inputs)).all())
    except Exception as error:  # noqa: BLE001 - its kind is the finding
        return _is_clear(error)


def _refuses(ask: Callable[[], Any]) -> bool:
    try:
        ask()
    except Exception as error:  # noqa: BLE001 - its kind is the finding
        return _is_clear(error)
    return False


def _answered(measure: Callable[[], float]) -> float:
    """0 where the model does not answer at all."""
    try:
        with _overflow_expected():
            return measure()
    except Exception:  # noqa: BLE001 - no answer of whatever kind
        return 0.0


@contextmanager
def _overflow_expected() -> Iterator[None]:
    """Numbers without measure overflow; what matters is the score that comes of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _is_clear(error: Exception) -> bool:
    """Whether an error says what is wrong with the input: ours, or MLflow's of the signature."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, YtempireError | MlflowException)


CHECKS: dict[str, Callable[[Trial], Iterator[Finding]]] = {
    "contract": contract,
    "performance": performance,
    "safety": safety,
    "consistency": consistency,
    "robustness": robustness,
    "behaviour": behaviour,
    "fairness": fairness,
}
