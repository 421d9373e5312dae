"""Every asset, once. DAGs meet only through these; each event says what it covers in `extra`."""

from __future__ import annotations

from airflow.sdk import Asset

RAW_YOUTUBE = Asset("raw_youtube_videos", uri="x-ytempire://raw/youtube_videos", group="raw")
RAW_RECORDS = Asset("raw_records", uri="x-ytempire://raw/records", group="raw")
MARTS = Asset("marts", uri="x-ytempire://marts", group="warehouse")
FEATURES = Asset("features", uri="x-ytempire://features", group="features")
TREND_VIDEO = Asset("trend_video", uri="x-ytempire://models/trend_video", group="models")
PREDICTIONS = Asset("predictions", uri="x-ytempire://ml/model_predictions", group="models")
DRIFT_REPORT = Asset("drift_report", uri="x-ytempire://ml/drift_reports", group="models")
VIDEO_SCHEDULE = Asset("video_schedule", uri="x-ytempire://content/video_schedule", group="content")
VIDEOS = Asset("videos", uri="x-ytempire://content/videos", group="content")
