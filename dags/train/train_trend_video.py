"""The 48 h rising call, the growth of views in 2 and 6 days, breakouts, and who stays listed.

Trains `trend_video` on the point-in-time set of the feature store, once the gates have passed its
features and its rows ([reports](/reports/)), measures it against its baselines and the champion on
the same later slice, and registers it in MLflow. It becomes champion only if it beats them all; the
registry says why not otherwise. The same data, parameters and code give the version that exists
already, so a run without news costs seconds. New features start it, and so does drift of the
champion (`watch_drift`). With `YTEMPIRE_TRAIN_ON=drift` new features train the first champion only,
and later keep the one that serves.
"""

from __future__ import annotations

from airflow.sdk import dag
from ytempire_airflow.assets import FEATURES, RETRAIN_TREND_VIDEO, TREND_VIDEO
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.defaults import DEFAULT_ARGS
from ytempire_airflow.training import train_and_register


@dag(
    schedule=FEATURES | RETRAIN_TREND_VIDEO,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["train", "mlflow"],
    doc_md=__doc__,
)
def train_trend_video():
    train_and_register(
        TREND_VIDEO,
        "ml.trend.video.train:train_video",
        resolve_as_of(),
        may_lack_data=False,
        videos_wait=True,
        watched_by=RETRAIN_TREND_VIDEO,
    )


train_trend_video()
