"""Entry point that MLflow calls to load a logged `quality_policy`."""

from __future__ import annotations

from pathlib import Path

from ml.quality.policy.model import PolicyModel


def _load_pyfunc(path: str) -> PolicyModel:
    """Load the folder that the artifact holds."""
    return PolicyModel.load(Path(path))
