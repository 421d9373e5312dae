"""Which Hacker News stories reach 100 upvotes.

Trains `trend_story` on the first hours of stories, from the point-in-time set of the feature store,
once the gate has passed its rows ([reports](/reports/)), measures it against its baselines and the
champion on the same later slice, and registers it in MLflow. It becomes champion only if it beats
them all. While there are too few stories with outcomes the task is skipped and says so. The same
data, parameters and code give the version that exists already, so a run without news costs seconds.
"""

from __future__ import annotations

from airflow.sdk import dag
from ytempire_airflow.assets import FEATURES, TREND_STORY
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.defaults import DEFAULT_ARGS
from ytempire_airflow.training import train_and_register


@dag(
    schedule=[FEATURES],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["train", "mlflow"],
    doc_md=__doc__,
)
def train_trend_story():
    train_and_register(TREND_STORY, "ml.trend.story.train:train_story", resolve_as_of())


train_trend_story()
