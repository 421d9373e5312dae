"""Register a trained model, decide whether it becomes champion, load the champion.

A release is an MLflow model version; its tags say everything that decided about it. The aliases
are `champion`, `previous-1` to `previous-3` (newest first) and `challenger` (the newest version
that was not promoted).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.evidence import feature_statistics
from ml.exceptions import FatalError, UnusableModelError
from ml.registry import mirror
from ml.registry.tracking import client, reachable
from ml.settings import Settings, get_settings

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

CHAMPION, CHALLENGER = "champion", "challenger"
_PREVIOUS = ("previous-1", "previous-2", "previous-3")
_SEMANTIC = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class Candidate:
    """A trained model with the evidence for and against it.

    Attributes:
        name: registered model.
        model_type: family, for `ml.ml_models`.
        fingerprint: hash of data, parameters and code; one version exists per fingerprint.
        folder: the saved model.
        loader_module: module with `_load_pyfunc(folder)`.
        gate_metric: the measure that decides, larger is better.
        metrics: measures on the test slice by competitor; `model` is the candidate, `champion`
            the incumbent on the same slice where there is one, the others are baselines.
        incumbent: mlflow version that serves now and was measured as `champion`, if this code
            could load it.
        tags: facts the release carries (feature service, thresholds, windows).
        runs: figures of folds and of what else was tried, each kept as a nested run.
    """

    name: str
    model_type: str
    fingerprint: str
    folder: Path
    loader_module: str
    gate_metric: str
    metrics: Mapping[str, Mapping[str, float]]
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    card: str
    dataset: pd.DataFrame
    dataset_source: str
    target: str
    example: pd.DataFrame
    prediction: pd.DataFrame
    pip_requirements: list[str]
    incumbent: int | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Release:
    """One registered version.

    Attributes:
        version: semantic version.
        mlflow_version: the registry's integer.
        aliases: aliases that point at it.
        reason: why it was promoted or not.
        tags: all tags of the version.
        reused: whether it was there already.
    """

    name: str
    version: str
    mlflow_version: int
    run_id: str
    aliases: tuple[str, ...]
    reason: str
    tags: Mapping[str, str]
    reused: bool = False

    @property
    def is_champion(self) -> bool:
        """Whether it is the one that serves."""
        return CHAMPION in self.aliases

    def summary(self) -> dict[str, Any]:
        """What people and asset events are told of it."""
        return {
            "model": self.name,
            "version": self.version,
            "mlflow_version": self.mlflow_version,
            "aliases": list(self.aliases),
            "reason": self.reason,
            "reused": self.reused,
        }


def find(name: str, fingerprint: str, settings: Settings | None = None) -> Release | None:
    """Return the version with that fingerprint, its promotion decided, if there is one."""
    settings = settings or get_settings()
    with mirror.lock(name, settings), reachable():
        return _find(name, fingerprint, settings)


def champion(name: str, settings: Settings | None = None) -> Release | None:
    """Return the release that serves, if there is one."""
    settings = settings or get_settings()
    registry = client(settings)
    from mlflow.exceptions import MlflowException

    with reachable():
        try:
            version = registry.get_model_version_by_alias(name, CHAMPION)
        except MlflowException as error:
            # No such model, or no such alias of it.
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return None
            raise
        return _as_release(version, tuple(version.aliases))


def load_champion(name: str, settings: Settings | None = None) -> tuple[Any, Release]:
    """Load the champion of `name` as an MLflow pyfunc model, with its release.

    Raises:
        FatalError: if the model has no champion yet.
    """
    settings = settings or get_settings()
    release = champion(name, settings)
    if release is None:
        raise FatalError(f"{name} has no champion; train it first: `ytempire train {family(name)}`")
    return load(release, settings), release


def family(name: str) -> str:
    """What `ytempire train` calls a model."""
    return name.partition("_")[0]


def load(release: Release, settings: Settings | None = None) -> Any:
    """Load a release as an MLflow pyfunc model; once per process, for versions never change.

    Raises:
        UnusableModelError: if this code cannot load it, for example because it is of another age.
    """
    settings = settings or get_settings()
    client(settings)
    address = f"models:/{release.name}/{release.mlflow_version}"
    with reachable():
        try:
            return _loaded(settings.require("mlflow_tracking_uri"), address)
        except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise UnusableModelError(
                f"{release.name} {release.version} cannot be loaded by this code ({error}); train"
                f" it anew: `ytempire train {family(release.name)}`"
            ) from error


def register(candidate: Candidate, settings: Settings | None = None) -> Release:
    """Log the candidate to MLflow, register it and decide on its promotion.

    A version with the same fingerprint is returned instead of a new one. A run that was killed
    leaves at most an unregistered MLflow run; the next call starts afresh.
    """
    settings = settings or get_settings()
    # Two registrations at once must not take the same number, nor both become champion.
    with mirror.lock(candidate.name, settings), reachable():
        existing = _find(candidate.name, candidate.fingerprint, settings)
        if existing is not None:
            return existing
        return _settle(candidate.name, _log_version(candidate, settings), settings)


def decide(tags: Mapping[str, str], current_champion: int | None, number: int) -> tuple[bool, str]:
    """Whether a version becomes champion, and why.

    It has to beat every baseline and the champion on the gate metric, measured on one slice.

    Args:
        tags: tags of the version: `gate_metric`, `metrics` (JSON by competitor), `incumbent`.
        current_champion: mlflow version that serves now.
        number: the version's own; it is the champion already if a kill came after the alias.
    """
    metric = tags["gate_metric"]
    figures: dict[str, dict[str, float]] = json.loads(tags["metrics"])
    own = figures["model"][metric]
    measured = int(tags["incumbent"]) if tags.get("incumbent") else None
    if current_champion not in (measured, number, None):
        return False, f"not measured against the champion, mlflow version {current_champion}"
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


def planned_aliases(
    current: Mapping[str, int], number: int, *, promote: bool
) -> list[tuple[str, int]]:
    """Aliases to set, in order.

    The oldest goes first, so that a kill in the middle loses no former champion and a repeat ends
    in the same state.
    """
    if not promote:
        return [(CHALLENGER, number)] if current.get(CHAMPION) != number else []
    former = [current[alias] for alias in (CHAMPION, *_PREVIOUS) if alias in current]
    unique = [version for version in dict.fromkeys(former) if version != number]
    moved = list(zip(_PREVIOUS, unique, strict=False))
    return [*reversed(moved), (CHAMPION, number)]


def next_version(existing: Iterable[str]) -> str:
    """The semantic version of a new registration: 1.0.0, then one minor step up."""
    known = [tuple(map(int, m.groups())) for v in existing if (m := _SEMANTIC.match(v))]
    if not known:
        return "1.0.0"
    major, minor, _ = max(known)
    return f"{major}.{minor + 1}.0"


@lru_cache(maxsize=4)
def _loaded(tracking_uri: str, model_uri: str) -> Any:  # noqa: ARG001 - part of the key
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(model_uri)


def _find(name: str, fingerprint: str, settings: Settings) -> Release | None:
    known = _all_releases(settings, name)
    for release in known:
        if release.tags.get("fingerprint") != fingerprint:
            continue
        if "decision" in release.tags:
            mirror.write_models(name, known, settings)
        else:
            release = _settle(name, release.mlflow_version, settings)
        return replace(release, reused=True)
    return None


def _settle(name: str, number: int, settings: Settings) -> Release:
    """Decide on the promotion of a version from its tags, set the aliases, mirror to Postgres.

    Safe to repeat after a kill: a decision that was made stays, aliases are computed from what
    they are. The caller holds the lock.
    """
    registry = client(settings)
    tags = dict(registry.get_model_version(name, str(number)).tags)
    if "decision" not in tags:
        aliases = _aliases(settings, name)
        promote, reason = decide(tags, aliases.get(CHAMPION), number)
        for alias, target in planned_aliases(aliases, number, promote=promote):
            registry.set_registered_model_alias(name, alias, str(target))
        decision = "promoted" if promote else "refused"
        for key, value in (("decision_reason", reason), ("decision", decision)):
            registry.set_model_version_tag(name, str(number), key, value)
        log.info("%s version %s: %s", name, tags.get("version"), reason)
    known = _all_releases(settings, name)
    mirror.write_models(name, known, settings)
    return next(release for release in known if release.mlflow_version == number)


def _log_version(candidate: Candidate, settings: Settings) -> int:
    """Log run, model and evidence; create the model version. Returns its number."""
    registry = client(settings)
    import mlflow
    from mlflow.models import infer_signature

    semantic = next_version(v.tags.get("version", "") for v in _versions(settings, candidate.name))
    tags = {
        **candidate.tags,
        "version": semantic,
        "fingerprint": candidate.fingerprint,
        "gate_metric": candidate.gate_metric,
        "metrics": json.dumps(candidate.metrics),
        "incumbent": str(candidate.incumbent or ""),
    }
    mlflow.set_experiment(settings.mlflow_experiment)
    with mlflow.start_run(run_name=f"{candidate.name} {semantic}", tags=tags) as run:
        mlflow.log_params(_flat(candidate.params))
        mlflow.log_input(_dataset(candidate), context="training")
        texts = {
            "model_card.md": candidate.card,
            "feature_statistics.json": feature_statistics(candidate.dataset),
            **candidate.artifacts,
        }
        for path, text in texts.items():
            mlflow.log_text(text, path)
        for name, figures in candidate.runs.items():
            with mlflow.start_run(run_name=name, nested=True):
                mlflow.log_metrics({key: value for key, value in figures.items() if value == value})
        model = mlflow.pyfunc.log_model(
            name="model",
            loader_module=candidate.loader_module,
            data_path=str(candidate.folder),
            signature=infer_signature(candidate.example, candidate.prediction),
            input_example=candidate.example,
            pip_requirements=candidate.pip_requirements,
        )
        # After the model: MLflow would fetch the history of each metric in a request of its own.
        mlflow.log_metrics(
            {f"{rival}.{k}": v for rival, fig in candidate.metrics.items() for k, v in fig.items()},
            model_id=model.model_id,
        )
    _ensure_registered(registry, candidate.name)
    created = registry.create_model_version(
        candidate.name,
        source=model.model_uri,
        run_id=run.info.run_id,
        model_id=model.model_id,
        tags=tags,
    )
    return int(created.version)


def _dataset(candidate: Candidate) -> Any:
    import mlflow.data
    from mlflow.data.code_dataset_source import CodeDatasetSource

    return mlflow.data.from_pandas(
        candidate.dataset,
        source=CodeDatasetSource(tags={"source": candidate.dataset_source}),
        targets=candidate.target,
        name=candidate.tags.get("feature_service", candidate.name),
        digest=candidate.tags.get("data_digest", candidate.fingerprint)[:36],
    )


def _ensure_registered(registry: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        registry.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _versions(settings: Settings, name: str) -> list[Any]:
    return list(client(settings).search_model_versions(f"name = '{name}'", max_results=1000))


def _aliases(settings: Settings, name: str) -> dict[str, int]:
    from mlflow.exceptions import MlflowException

    try:
        model = client(settings).get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
    return {alias: int(number) for alias, number in model.aliases.items()}


def _all_releases(settings: Settings, name: str) -> list[Release]:
    aliases = _aliases(settings, name)
    return [
        _as_release(version, tuple(a for a, n in aliases.items() if n == int(version.version)))
        for version in _versions(settings, name)
    ]


def _as_release(version: Any, aliases: tuple[str, ...]) -> Release:
    return Release(
        name=version.name,
        version=version.tags.get("version", ""),
        mlflow_version=int(version.version),
        run_id=version.run_id,
        aliases=tuple(sorted(aliases)),
        reason=version.tags.get("decision_reason", ""),
        tags=dict(version.tags),
    )


def _flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in params.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
