"""YouTube charts.

Lands the most popular videos of every configured region, one task an interval, from the YouTube
Data API (or the simulated world). Raw pages go to bronze first; the gate `raw_youtube_videos`
decides whether the marts are rebuilt.

To backfill, trigger with `start` and `end`.
"""

from __future__ import annotations

from datetime import timedelta

from ytempire_airflow.assets import RAW_YOUTUBE
from ytempire_airflow.ingest import ingest_dag

dag = ingest_dag(
    "youtube",
    step=timedelta(days=1),
    asset=RAW_YOUTUBE,
    gate="raw_youtube_videos",
    doc=__doc__,
)
