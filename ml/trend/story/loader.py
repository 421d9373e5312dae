"""Entry point that MLflow calls to load a logged `trend_story`."""

from __future__ import annotations

from pathlib import Path

from ml.trend.story.model import StoryModel


def _load_pyfunc(path: str) -> StoryModel:
    """Load the folder that the artifact holds."""
    return StoryModel.load(Path(path))
