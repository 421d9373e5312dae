"""Entry point that MLflow calls to load a logged `trend_video`."""

from __future__ import annotations

from pathlib import Path

from ml.trend.video.model import TrendModel


def _load_pyfunc(path: str) -> TrendModel:
    """Load the folder that the artifact holds."""
    return TrendModel.load(Path(path))
