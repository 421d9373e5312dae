"""What every training does around its own work: recognise itself, be recorded, be registered."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.exceptions import UnusableModelError
from ml.registry import mirror, promotion, recording, releases
from ml.registry.checkpoints import Checkpoints, open_checkpoints
from ml.registry.releases import Candidate, Release
from ml.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One training as it is recorded.

    Attributes:
        id: in `ml.training_jobs` and of its gates.
        checkpoints: what an earlier try of it has finished.
    """

    id: str
    checkpoints: Checkpoints


def code_digest(folder: Path, *others: Path) -> str:
    """Sha256 of the code in a folder and of other files; a checkout may come without history."""
    paths = sorted([*folder.glob("*.py"), *others])
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def fingerprint(data_digest: str, params: Mapping[str, Any], code: str) -> str:
    """Hash of everything that decides the result of a training."""
    parts = [data_digest, json.dumps(params, sort_keys=True), code]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def installed(packages: Iterable[str]) -> list[str]:
    """Those of the packages that are here, pinned: what loading a model needs."""
    from importlib.metadata import PackageNotFoundError, version

    pinned = []
    for package in packages:
        try:
            pinned.append(f"{package}=={version(package)}")
        except PackageNotFoundError:
            continue
    return pinned


def part_facts(train: pd.DataFrame, validation: pd.DataFrame, test: pd.DataFrame) -> dict[str, str]:
    """Times and sizes of the parts of a split by `event_timestamp`, as tags of a release."""
    known = [part["event_timestamp"] for part in (train, validation)]
    return {
        "train_start": min(times.min() for times in known).isoformat(),
        "train_end": max(times.max() for times in known).isoformat(),
        "test_start": test["event_timestamp"].min().isoformat(),
        "test_end": test["event_timestamp"].max().isoformat(),
        "train_rows": str(len(train)),
        "validation_rows": str(len(validation)),
        "test_rows": str(len(test)),
    }


def measure_champion(
    name: str, measure: Callable[[Any, Release], dict[str, float]], settings: Settings
) -> tuple[int | None, dict[str, dict[str, float]]]:
    """Measure the champion on the rows of its challenger.

    One that this code cannot load any more serves nobody, and is not in the way of the next.

    Args:
        name: registered model.
        measure: given the loaded model and its release.
        settings: where the registry is.

    Returns:
        Its mlflow version, None where nothing serves, and `{"champion": figures}`, empty where
        there is nothing to measure.
    """
    release, model = usable_champion(name, settings)
    if release is None:
        return None, {}
    return release.mlflow_version, {} if model is None else {"champion": measure(model, release)}


def usable_champion(name: str, settings: Settings) -> tuple[Release | None, Any]:
    """What serves, and the loaded model; None for one that this code cannot load any more."""
    release = releases.champion(name, settings)
    if release is None:
        return None, None
    try:
        return release, releases.load(release, settings)
    except UnusableModelError as error:
        log.warning("not compared with the champion: %s", error)
        return release, None


def train_once(
    name: str,
    key: str,
    train: Callable[[Job], AbstractContextManager[Candidate]],
    *,
    method: str,
    data_digest: str,
    params: Mapping[str, Any],
    settings: Settings,
) -> Release:
    """Train and register, unless a version with that fingerprint exists, and decide on it.

    Args:
        name: registered model.
        key: the fingerprint.
        train: makes the candidate, given the job; its folder exists inside the context.
        method: how it is trained, for `ml.training_jobs`.
        data_digest: sha256 of the training data.
        params: of the training.
        settings: where the registry and the database are; `settle_after_training` leaves the
            decision to the caller.
    """
    release = recording.recorded(name, key, settings)
    if release is not None:
        release = promotion.reopen(release, settings)
        log.info("%s %s has this data, these parameters and this code", name, release.version)
    else:
        release = _train(name, key, train, method, data_digest, params, settings)
    if not settings.settle_after_training:
        return release
    settled = promotion.settle(name, str(release.mlflow_version), settings=settings)
    return replace(settled, reused=release.reused)


def _train(
    name: str,
    key: str,
    train: Callable[[Job], AbstractContextManager[Candidate]],
    method: str,
    data_digest: str,
    params: Mapping[str, Any],
    settings: Settings,
) -> Release:
    begin = time.monotonic()
    job = Job(f"{name}-{key[:12]}", open_checkpoints(name, key, settings))
    with (
        mirror.training_job(job.id, method, f"sha256:{data_digest}", params, settings) as record,
        train(job) as candidate,
    ):
        release = recording.record(candidate, settings)
        record["metrics"] = dict(candidate.metrics)
        record["best_metric"] = candidate.metrics["model"][candidate.gate_metric]
        record["artifacts"] = {"run_id": release.run_id, "version": release.version}
    job.checkpoints.clear()
    log.info("%s %s in %.0f s", name, release.version, time.monotonic() - begin)
    return release
