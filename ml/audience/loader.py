"""Entry point that MLflow calls to load a logged `audience_preference`."""

from __future__ import annotations

from pathlib import Path

from ml.audience.model import AudienceModel


def _load_pyfunc(path: str) -> AudienceModel:
    """Load the folder that the artifact holds."""
    return AudienceModel.load(Path(path))
