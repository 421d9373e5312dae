"""Entry point that MLflow calls to load a logged `quality_engagement`."""

from __future__ import annotations

from pathlib import Path

from ml.quality.engagement.model import EngagementModel


def _load_pyfunc(path: str) -> EngagementModel:
    """Load the folder that the artifact holds."""
    return EngagementModel.load(Path(path))
