"""Batch predictions of stories.

Scores every Hacker News story whose first hour on the front page is over with the champion of
`trend_story`, on features from the feature store, into `ml.model_predictions`; each version says
what it thinks of a story once, with the features that moved it most.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from ytempire_airflow.assets import STORY_PREDICTIONS, TREND_STORY
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.defaults import DEFAULT_ARGS
from ytempire_airflow.training import skip_without_champion


@dag(
    schedule=[TREND_STORY],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["train", "predict"],
    doc_md=__doc__,
)
def score_stories():
    @task(outlets=[STORY_PREDICTIONS])
    def score(now: str, **context: Any) -> dict[str, Any]:
        from dataclasses import asdict
        from datetime import datetime

        from ml.trend.story.predict import score_stories as score_all

        skip_without_champion(TREND_STORY.name)
        counts = asdict(score_all(datetime.fromisoformat(now)))
        context["outlet_events"][STORY_PREDICTIONS].extra = {"as_of": now, **counts}
        return counts

    score(resolve_as_of())


score_stories()
