"""Hacker News.

Lands the top stories and their points, one task an interval, from the Hacker News API (or the
simulated world). Raw pages go to bronze first; the gate `raw_records` decides whether the marts
are rebuilt.

To backfill, trigger with `start` and `end`.
"""

from __future__ import annotations

from datetime import timedelta

from ytempire_airflow.assets import RAW_RECORDS
from ytempire_airflow.ingest import ingest_dag

dag = ingest_dag(
    "hackernews",
    step=timedelta(days=1),
    asset=RAW_RECORDS,
    gate="raw_records",
    doc=__doc__,
)
