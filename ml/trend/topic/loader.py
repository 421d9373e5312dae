"""Entry point that MLflow calls to load a logged `trend_topic`."""

from __future__ import annotations

from pathlib import Path

from ml.trend.topic.model import TopicModel


def _load_pyfunc(path: str) -> TopicModel:
    """Load the folder that the artifact holds."""
    return TopicModel.load(Path(path))
