"""Releases: MLflow model versions, what they say of themselves, and how they are loaded.

The tags of a version say everything that decided about it. The aliases are `champion`, `canary`
(answers a share of the callers), `staging` (waits for a person or a rollout), `challenger` (the
newest version that was not promoted) and `previous-1` to `previous-3` (former champions, newest
first).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.exceptions import CorruptArtifactError, FatalError, UnusableModelError
from ml.registry import artifacts
from ml.registry.tracking import client, reachable
from ml.settings import Settings, get_settings

if TYPE_CHECKING:
    import pandas as pd

CHAMPION, CANARY, STAGING, CHALLENGER = "champion", "canary", "staging", "challenger"
PREVIOUS = ("previous-1", "previous-2", "previous-3")
# Tag of a version that was not promoted for what is no fault of its own; see `Release.awaits`.
AWAITS = "awaits"


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

    @property
    def decision(self) -> str:
        """`promoted`, `refused`, `needs_approval`, `needs_rollout`, `rolled_back`, or ''."""
        return self.tags.get("decision", "")

    @property
    def incumbent(self) -> int | None:
        """Mlflow version that it was measured beside in its training, if there was one."""
        return int(self.tags["incumbent"]) if self.tags.get("incumbent") else None

    def is_measured_beside(self, serving: int | None) -> bool:
        """Whether its figures say how it does beside what serves, or there is nothing else."""
        return serving in (self.incumbent, self.mlflow_version, None)

    @property
    def awaits(self) -> str:
        """What stood against it and may go: `thaw`, `measurement`, or '' for what is final."""
        return self.tags.get(AWAITS, "")

    def summary(self) -> dict[str, Any]:
        """What people and asset events are told of it."""
        return {
            "model": self.name,
            "version": self.version,
            "mlflow_version": self.mlflow_version,
            "aliases": list(self.aliases),
            "reason": self.reason,
            "decision": self.decision,
            "reused": self.reused,
        }


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
        raise FatalError(f"{name} has no champion; train it first: `{training_command(name)}`")
    return load(release, settings), release


def training_command(name: str) -> str:
    """What trains a model: `ytempire train trend --model story`."""
    kind, _, niche = name.partition("_video_")
    if niche:
        return f"ytempire train {kind} --niche {niche}"
    kind, _, own = name.partition("_")
    others = {"trend_story", "trend_topic", "quality_engagement"}
    return f"ytempire train {kind} --model {own}" if name in others else f"ytempire train {kind}"


def load(release: Release, settings: Settings | None = None) -> Any:
    """Load a release as an MLflow pyfunc model; once per process, for versions never change.

    Raises:
        UnusableModelError: if this code cannot load it, for example because it is of another age.
    """
    settings = settings or get_settings()
    client(settings)
    with reachable():
        try:
            return _loaded(settings.require("mlflow_tracking_uri"), _Key(release, settings))
        except CorruptArtifactError:
            raise
        except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise UnusableModelError(
                f"{release.name} {release.version} cannot be loaded by this code ({error}); train"
                f" it anew: `{training_command(release.name)}`"
            ) from error


class _Key:
    """A version as a key of a cache: its tags may be set later, its files never change.

    Its run counts too, because a model that was deleted and registered again counts from 1 again.
    """

    def __init__(self, release: Release, settings: Settings) -> None:
        self.release, self.settings = release, settings
        self._parts = (release.name, release.mlflow_version, release.run_id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._parts == other._parts

    def __hash__(self) -> int:
        return hash(self._parts)


@lru_cache(maxsize=4)
def _loaded(tracking_uri: str, key: _Key) -> Any:  # noqa: ARG001 - part of the key
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(artifacts.cached(key.release, key.settings)))


def versions(name: str, settings: Settings) -> list[Any]:
    """Every version of a model as MLflow describes it."""
    return list(client(settings).search_model_versions(f"name = '{name}'", max_results=1000))


def aliases_of(name: str, settings: Settings) -> dict[str, int]:
    """The mlflow version that each alias points at."""
    from mlflow.exceptions import MlflowException

    try:
        model = client(settings).get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
    return {alias: int(number) for alias, number in model.aliases.items()}


def all_releases(name: str, settings: Settings) -> list[Release]:
    """Every release of a model, the newest first."""
    aliases = aliases_of(name, settings)
    found = [
        _as_release(version, tuple(a for a, n in aliases.items() if n == int(version.version)))
        for version in versions(name, settings)
    ]
    return sorted(found, key=lambda release: -release.mlflow_version)


def find(name: str, version: str, settings: Settings | None = None) -> Release:
    """A release by its semantic version, its number in MLflow or one of its aliases.

    Raises:
        FatalError: if there is none; the message names those that are.
    """
    settings = settings or get_settings()
    with reachable():
        known = all_releases(name, settings)
    for release in known:
        if version in (release.version, str(release.mlflow_version), *release.aliases):
            return release
    newest = ", ".join(release.version for release in known[:5]) or "none"
    raise FatalError(f"{name} has no version {version}; the newest are {newest}")


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
