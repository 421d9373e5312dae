"""A trained model becomes a release: an MLflow model version with everything that belongs to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ml.evidence import feature_statistics
from ml.registry import audit, mirror, releases, versions
from ml.registry.artifacts import checksum
from ml.registry.audit import Cause
from ml.registry.releases import Candidate, Release
from ml.registry.tracking import client, reachable
from ml.settings import Settings, get_settings

# Tags of a version that say from where a call is made; they are shown together in `release.json`.
_THRESHOLDS = ("decision_threshold", "growth_threshold", "breakout_threshold")


@dataclass(frozen=True)
class _Uploaded:
    """What lies in MLflow and is no version yet."""

    run_id: str
    model_id: str
    model_uri: str


def recorded(name: str, fingerprint: str, settings: Settings | None = None) -> Release | None:
    """The version with that fingerprint, if there is one.

    One that was refused only because it was not measured beside the champion counts while that is
    so no longer than it takes to train it again: then there is none.
    """
    settings = settings or get_settings()
    with mirror.lock(name, settings), reachable():
        return _with_fingerprint(name, fingerprint, settings)


def record(candidate: Candidate, settings: Settings | None = None) -> Release:
    """Log the candidate to MLflow and register it; nothing is decided yet.

    A version that `recorded` knows is returned instead of a new one. A run that was killed
    leaves at most an unregistered MLflow run; the next call starts afresh.

    Files are uploaded outside the lock of the model: a slow object store holds up no promotion and
    no rollback. So the number is a guess until the lock is held, and told anew where another
    registration was faster.
    """
    settings = settings or get_settings()
    existing = recorded(candidate.name, candidate.fingerprint, settings)
    if existing is not None:
        return existing
    with reachable():
        uploaded = _upload(candidate, settings)
        while True:
            tags = _tags(candidate, settings)
            _tell_version(uploaded, candidate, tags, settings)
            with mirror.lock(candidate.name, settings):
                existing = _with_fingerprint(candidate.name, candidate.fingerprint, settings)
                if existing is None and _tags(candidate, settings) == tags:
                    return _register(uploaded, candidate, tags, settings)
            if existing is not None:
                client(settings).delete_run(uploaded.run_id)
                return existing


def _register(
    uploaded: _Uploaded, candidate: Candidate, tags: Mapping[str, str], settings: Settings
) -> Release:
    """Create the version of what was uploaded. The caller holds the lock."""
    registry = client(settings)
    _ensure_registered(registry, candidate.name)
    created = registry.create_model_version(
        candidate.name,
        source=uploaded.model_uri,
        run_id=uploaded.run_id,
        model_id=uploaded.model_id,
        tags=dict(tags),
    )
    number = int(created.version)
    # The chain says who and when; what it was measured at is in the tags.
    cause = Cause("training", f"trained on {tags.get('data_digest', 'its data')[:12]}")
    audit.record("registered", candidate.name, cause, settings, (number, tags["version"]))
    known = releases.all_releases(candidate.name, settings)
    mirror.write_models(candidate.name, known, settings)
    return next(release for release in known if release.mlflow_version == number)


def _with_fingerprint(name: str, fingerprint: str, settings: Settings) -> Release | None:
    known = releases.all_releases(name, settings)
    serving = next((each.mlflow_version for each in known if each.is_champion), None)
    for release in known:
        if release.tags.get("fingerprint") != fingerprint:
            continue
        if release.awaits == "measurement" and not release.is_measured_beside(serving):
            continue  # refused unheard: its training has to be made again beside what serves now
        mirror.write_models(name, known, settings)
        return replace(release, reused=True)
    return None


def _tags(candidate: Candidate, settings: Settings) -> dict[str, str]:
    tags = {
        **candidate.tags,
        "fingerprint": candidate.fingerprint,
        "gate_metric": candidate.gate_metric,
        "metrics": json.dumps(candidate.metrics),
        "incumbent": str(candidate.incumbent or ""),
        "checksum": checksum(candidate.folder),
        "loader_module": candidate.loader_module,
        "architecture": _architecture(candidate),
    }
    known = {
        version.tags.get("version", ""): version.tags
        for version in releases.versions(candidate.name, settings)
    }
    before = versions.latest(known)
    step = versions.step_between(before, tags) if before else "minor"
    return {**tags, "change": step, "version": versions.next_version(known, step)}


def _architecture(candidate: Candidate) -> str:
    """What a caller or a loader would notice if it changed."""
    return json.dumps(
        {
            "loader": candidate.loader_module,
            "feature_service": candidate.tags.get("feature_service"),
            "input": sorted(map(str, candidate.example.columns)),
            "output": sorted(map(str, candidate.prediction.columns)),
        }
    )


def _upload(candidate: Candidate, settings: Settings) -> _Uploaded:
    """Log run, model and evidence: all but what names the version."""
    client(settings)
    import mlflow
    from mlflow.models import infer_signature

    mlflow.set_experiment(settings.mlflow_experiment)
    with mlflow.start_run(run_name=candidate.name) as run:
        mlflow.log_params(_flat(candidate.params))
        _log_dataset(_dataset(candidate))
        texts = {
            "model_card.md": candidate.card,
            "feature_statistics.json": feature_statistics(candidate.dataset),
            **candidate.artifacts,
        }
        for path, text in texts.items():
            mlflow.log_text(text, path)
        for child, figures in candidate.runs.items():
            with mlflow.start_run(run_name=child, nested=True):
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
    return _Uploaded(run.info.run_id, model.model_id, model.model_uri)


def _tell_version(
    uploaded: _Uploaded, candidate: Candidate, tags: Mapping[str, str], settings: Settings
) -> None:
    """Name the run and write the document of the release; a later guess replaces an earlier."""
    from mlflow.entities import RunTag

    registry = client(settings)
    registry.update_run(uploaded.run_id, name=f"{candidate.name} {tags['version']}")
    registry.log_batch(uploaded.run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    registry.log_text(
        uploaded.run_id, json.dumps(_contents(candidate, tags), indent=1), "release.json"
    )


def _contents(candidate: Candidate, tags: Mapping[str, str]) -> dict[str, Any]:
    """What the release consists of, in one document."""
    return {
        "model": candidate.name,
        "version": tags["version"],
        "feature_service": tags.get("feature_service"),
        "preprocessing": {
            "module": candidate.loader_module.rpartition(".")[0],
            "code_sha256": tags.get("code_digest"),
        },
        "thresholds": {name: float(tags[name]) for name in _THRESHOLDS if name in tags},
        "evaluation": {"gate_metric": candidate.gate_metric, "metrics": candidate.metrics},
        "checksum": tags["checksum"],
        "requirements": candidate.pip_requirements,
    }


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


def _log_dataset(dataset: Any) -> None:
    """Tell the run of its dataset.

    MLflow looks whether it has the dataset and then adds it, so of two trainings on the same one
    that come at once it refuses one. Asked again, it has it.
    """
    import mlflow
    from mlflow.exceptions import MlflowException
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

    def was_added_meanwhile(error: BaseException) -> bool:
        return isinstance(error, MlflowException) and "dataset_pk" in str(error)

    Retrying(
        retry=retry_if_exception(was_added_meanwhile),
        stop=stop_after_attempt(3),
        wait=wait_random(0.05, 0.5),
        reraise=True,
    )(lambda: mlflow.log_input(dataset, context="training"))


def _ensure_registered(registry: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        registry.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in params.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
