"""Every asset, once. DAGs meet only through these; each event says what it covers in `extra`."""

from __future__ import annotations

from airflow.sdk import Asset

from ml.sources.families import FAMILIES

# A family's raw rows have passed their gates.
RAW: dict[str, Asset] = {
    family.name: Asset(f"raw_{family.name}", uri=f"x-ytempire://raw/{family.name}", group="raw")
    for family in FAMILIES
}
# The same by day: one event a day that a run covers, also for a day with nothing to land.
RAW_DAYS: dict[str, Asset] = {
    family.name: Asset(
        f"raw_{family.name}_days", uri=f"x-ytempire://raw/{family.name}/days", group="raw"
    )
    for family in FAMILIES
}
RAW_ARCHIVES = Asset("raw_archives", uri="x-ytempire://raw/archives", group="raw")
CLOSED_DAYS = Asset("closed_days", uri="x-ytempire://ops/days", group="raw")
MARTS = Asset("marts", uri="x-ytempire://marts", group="warehouse")
FEATURES = Asset("features", uri="x-ytempire://features", group="features")
TREND_VIDEO = Asset("trend_video", uri="x-ytempire://models/trend_video", group="models")
TREND_STORY = Asset("trend_story", uri="x-ytempire://models/trend_story", group="models")
TREND_TOPIC = Asset("trend_topic", uri="x-ytempire://models/trend_topic", group="models")
QUALITY_POLICY = Asset("quality_policy", uri="x-ytempire://models/quality_policy", group="models")
QUALITY_ENGAGEMENT = Asset(
    "quality_engagement", uri="x-ytempire://models/quality_engagement", group="models"
)
AUDIENCE_PREFERENCE = Asset(
    "audience_preference", uri="x-ytempire://models/audience_preference", group="models"
)
# A version passed the gates and waits for a person or a canary.
RELEASE_CANDIDATES = Asset(
    "release_candidates", uri="x-ytempire://models/candidates", group="models"
)
PREDICTIONS = Asset("predictions", uri="x-ytempire://ml/model_predictions", group="models")
STORY_PREDICTIONS = Asset(
    "story_predictions", uri="x-ytempire://ml/model_predictions/stories", group="models"
)
TOPIC_PREDICTIONS = Asset(
    "topic_predictions", uri="x-ytempire://ml/model_predictions/topics", group="models"
)
DRIFT_REPORT = Asset("drift_report", uri="x-ytempire://ml/drift_reports", group="models")
# Drift or decay speaks for training anew, and no guard forbids it.
RETRAIN_TREND_VIDEO = Asset(
    "retrain_trend_video", uri="x-ytempire://ml/retrain_requests/trend_video", group="models"
)
VIDEO_SCHEDULE = Asset("video_schedule", uri="x-ytempire://content/video_schedule", group="content")
VIDEOS = Asset("videos", uri="x-ytempire://content/videos", group="content")
VIDEO_METRICS = Asset("video_metrics", uri="x-ytempire://content/video_metrics", group="content")
