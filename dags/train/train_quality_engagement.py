"""How a title will engage, relative to its channel.

Trains `quality_engagement` on the videos of the marts whose likes and comments are known: titles
against what is usual for their channel. Candidates are compared on later videos of channels that
they have not seen, the best one is measured on still later ones of other channels, beside ridge
regressions, the channel's mean and the champion, and registered in MLflow. It becomes champion only
if it beats them all; the registry says why not otherwise. While there are too few videos the task
is skipped and says so.
"""

from __future__ import annotations

from airflow.sdk import dag
from ytempire_airflow.assets import MARTS, QUALITY_ENGAGEMENT
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.defaults import DEFAULT_ARGS
from ytempire_airflow.training import train_and_register


@dag(
    schedule=[MARTS],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["train", "mlflow"],
    doc_md=__doc__,
)
def train_quality_engagement():
    train_and_register(
        QUALITY_ENGAGEMENT, "ml.quality.engagement.train:train_quality_engagement", resolve_as_of()
    )


train_quality_engagement()
