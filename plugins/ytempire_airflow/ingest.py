"""One ingest DAG a source family, all of one shape: land each interval, then gate."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, TriggerRule, chain, task

from ml.settings import get_settings
from ml.sources.families import Family
from ytempire_airflow.alerts import OWNER_ALERT, deadline
from ytempire_airflow.assets import RAW, RAW_DAYS
from ytempire_airflow.defaults import DEFAULT_ARGS, GATE_ARGS
from ytempire_airflow.operators import LandOperator
from ytempire_airflow.timetables import OnRequestTimetable

# Intervals of one task: a month of days is five tasks, and each interval still lands by itself.
_BATCH = 7
_DOC = """
{title}: {doc}

Lands raw pages in bronze, then their rows in Postgres, interval by interval; the gates look at what
a run has landed and decide whether the marts are rebuilt ([reports](/reports/)). Landing an
interval again changes nothing. A source without its key, or that only knows the present when the
past is asked for, gives an explicit empty interval: see `ops.landings`.

* One interval: trigger with `start` and `end` (or nothing, for the run's own data interval).
* Many days: *Backfill* in the menu of the trigger button, or a longer span here.
* `dry_run` counts what would land and keeps nothing.
"""


def ingest_dag(family: Family) -> DAG:
    """Build the DAG `ingest_<family>`."""
    settings = get_settings()
    outlets = [RAW[family.name], RAW_DAYS[family.name]]
    with DAG(
        dag_id=f"ingest_{family.name}",
        schedule=_schedule(settings.ingest_schedule),
        start_date=datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
        catchup=False,
        max_active_runs=2,
        default_args=DEFAULT_ARGS,
        tags=["ingest", family.name],
        doc_md=_DOC.format(title=family.title, doc=family.doc),
        params=_form(family),
        render_template_as_native_obj=True,
        deadline=deadline(family.deadline),
        on_failure_callback=[OWNER_ALERT],
    ) as dag:

        @task
        def split_interval(
            params: dict[str, Any] | None = None,
            data_interval_start: datetime | None = None,
            data_interval_end: datetime | None = None,
        ) -> list[list[dict[str, str]]]:
            """The intervals that this run covers, a week a task."""
            from ml.sources.intervals import split

            wanted = params or {}
            start = wanted.get("start") or data_interval_start
            end = wanted.get("end") or data_interval_end
            parts = [
                {"start": part.start.isoformat(), "end": part.end.isoformat()}
                for part in split(start, end, timedelta(hours=wanted.get("hours") or 24))
            ]
            return [parts[first : first + _BATCH] for first in range(0, len(parts), _BATCH)]

        land = LandOperator.partial(
            task_id="land",
            family=family.name,
            pool=family.name,
            changes=_changes(family),
            is_dry_run="{{ params.dry_run }}",
            map_index_template="{{ task.intervals[0]['start'] }}",
        ).expand(intervals=split_interval())

        # Also after a failed landing: what has landed is checked and announced all the same.
        @task(outlets=outlets, trigger_rule=TriggerRule.ALL_DONE, **GATE_ARGS)
        def check(
            params: dict[str, Any] | None = None, run_id: str | None = None, **context: Any
        ) -> dict[str, Any]:
            """Stop everything downstream if a raw table is not fit for use; say what there is."""
            from airflow.sdk.exceptions import AirflowSkipException

            from ml.gates import check_landed
            from ml.storage.landing import covered

            if (params or {}).get("dry_run"):
                raise AirflowSkipException("a dry run announces nothing")
            reports = check_landed(family.name, family.gates, str(run_id))
            whole = covered(family.name, str(run_id))
            events = context["outlet_events"]
            for asset in outlets:
                events[asset].extra = whole
            events[RAW_DAYS[family.name]].add_partitions(sorted(whole["days"]))
            return {**whole, "reports": reports}

        @task(retries=0)
        def done() -> None:
            """Fail the run if a landing has failed, although the rest is announced.

            The state of a run is that of its last tasks.
            """

        checked = check()
        chain(land, checked)
        chain([land, checked], done())
    return dag


def _schedule(cron: str | None) -> Any:
    """Without a cron of one's own nothing starts by itself, but backfills need intervals."""
    if cron:
        return CronDataIntervalTimetable(cron, timezone="UTC")
    return OnRequestTimetable("@daily", timezone="UTC")


def _form(family: Family) -> dict[str, Param]:
    form = {
        "start": Param(None, type=["null", "string"], format="date-time"),
        "end": Param(None, type=["null", "string"], format="date-time"),
        "hours": Param(24, type="integer", minimum=1, maximum=24, title="length of an interval"),
        "dry_run": Param(False, type="boolean", title="count what would land, keep nothing"),
    }
    for name, setting in family.params.items():
        form[name] = Param(
            None,
            type=["null", "array"],
            title=f"{name} instead of the configured ones",
            description=f"setting {setting}",
        )
    return form


def _changes(family: Family) -> str:
    """Template of the settings that the form changes."""
    chosen = ", ".join(
        f"'{setting}': params.get('{name}')" for name, setting in family.params.items()
    )
    return "{{ {" + chosen + "} }}"
