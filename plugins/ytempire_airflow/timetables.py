"""Intervals for those who ask for them."""

from __future__ import annotations

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable


class OnRequestTimetable(CronDataIntervalTimetable):
    """Cron intervals that only backfills and people start; nothing runs by itself.

    A DAG without a schedule has no intervals, so that the UI could not backfill it.
    """

    def next_dagrun_info(
        self,
        *,
        last_automated_data_interval: DataInterval | None,
        restriction: TimeRestriction,
    ) -> DagRunInfo | None:
        """The next interval for a backfill; None for the scheduler, which never catches up."""
        if not restriction.catchup:
            return None
        return super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )
