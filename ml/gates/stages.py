"""What is checked when: what a run has landed, and a build of the marts.

A run's gates look only at the rows that the run brought in, and at their history. What can only be
said of a whole table (that a source is silent, for example) is asked once a build. A family that
landed nothing new has nothing to check: its earlier verdict stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ml.exceptions import GateError
from ml.gates.runner import check, stop_if_blocked
from ml.gates.suites import RowFilter, load_suite, suite_names
from ml.settings import Settings, get_settings
from ml.storage.postgres import connect

_BUILD_SCHEMA = "marts_build."
_RAW_GATES = ("raw_youtube_videos", "raw_records")
# Ids of runs that ask for rows, not for a build, begin with their DAG's.
BLOCKED_RUNS = """
with failed as (
    select gate, run_id, split_part(run_id, '/', 1) || '/' as dag, max(checked_at) as checked_at
    from ops.gate_results
    where severity = 'block' and not success and run_id like '%/%'
    group by gate, run_id
)
select gate, run_id
from failed
where not exists (
    select from ops.gate_results as later
    where later.gate = failed.gate
        and starts_with(later.run_id, failed.dag)
        and later.checked_at > failed.checked_at
        and (later.gate, later.run_id) not in (select gate, run_id from failed)
)
order by checked_at, gate
"""
_IS_IMPORTED = """
select max(imports.finished_at) > coalesce(
    (
        select max(checked_at) from ops.gate_results
        where gate = %s and starts_with(run_id, 'import_archives/')
    ),
    '-infinity'
)
from ops.imports
"""
_LANDED = """
select array_agg(distinct source), min(landed_at), max(landed_at)
from ops.landings
where family = %s and run_id = any(%s) and rows_new > 0
"""


def check_landed(
    family: str, gates: Sequence[str], run_id: str, settings: Settings | None = None
) -> list[str]:
    """Check what a run of `ingest_<family>` has landed, and what its last pass has not covered.

    Rows that blocked an earlier run are looked at again until they are mended.

    Returns:
        The pages of the reports, in the reports bucket.

    Raises:
        GateError: if a gate blocks.
    """
    settings = settings or get_settings()
    dag_id = f"ingest_{family}"
    reports = []
    for gate in gates:
        where = _landed(family, dag_id, run_id, gate, settings)
        if where is not None:
            # Runs of two families may have one id: the DAG tells them apart.
            name = f"{dag_id}/{run_id}"
            suite = load_suite(gate)
            reports.append(check(suite, run_id=name, where=where, settings=settings))
    stop_if_blocked(reports, settings)
    return [report.html_key for report in reports if report.html_key]


def check_imported(run_id: str, settings: Settings | None = None) -> list[str]:
    """Check the raw tables, whole, if archives were imported since that was last done.

    Archives reach years back and into each other, so a part of them says little.

    Returns:
        The pages of the reports, in the reports bucket.

    Raises:
        GateError: if a gate blocks.
    """
    settings = settings or get_settings()
    blocked = {gate for gate, run in _blocked(settings) if run.startswith("import_archives/")}
    with connect(settings.require("database_url")) as conn:
        due = [
            gate
            for gate in _RAW_GATES
            if gate in blocked or (conn.execute(_IS_IMPORTED, (gate,)).fetchone() or [False])[0]
        ]
    name = f"import_archives/{run_id}"
    reports = [check(load_suite(gate), run_id=name, settings=settings) for gate in due]
    stop_if_blocked(reports, settings)
    return [report.html_key for report in reports]


def check_build(build_id: str, as_of: datetime, settings: Settings | None = None) -> list[str]:
    """Check every mart of a build, and whole what it was made of.

    Returns:
        The pages of the reports, in the reports bucket.

    Raises:
        GateError: if a gate blocks, or if what it was made of holds rows that a gate has blocked.
    """
    settings = settings or get_settings()
    _refuse_blocked_rows(settings)
    suites = [load_suite(name) for name in suite_names()]
    marts = [suite for suite in suites if suite.table.startswith(_BUILD_SCHEMA)]
    sources = [suite.whole_table_part() for suite in suites if suite not in marts]
    reports = [
        check(suite, run_id=build_id, as_of=as_of, settings=settings)
        for suite in [*marts, *sources]
        if suite.checks
    ]
    stop_if_blocked(reports, settings)
    return [report.html_key for report in reports]


def _landed(
    family: str, dag_id: str, run_id: str, gate: str, settings: Settings
) -> RowFilter | None:
    prefix = f"{dag_id}/"
    runs = {
        run.removeprefix(prefix)
        for name, run in _blocked(settings)
        if name == gate and run.startswith(prefix)
    }
    with connect(settings.require("database_url")) as conn:
        row = conn.execute(_LANDED, (family, [run_id, *sorted(runs)])).fetchone()
    if row is None or row[0] is None:
        return None
    sources, first, last = row
    # Rows and the record of their landing are of one transaction, and so of one time.
    return RowFilter(ingested_since=first, ingested_until=last, sources=tuple(sources))


def _blocked(settings: Settings) -> list[tuple[str, str]]:
    """Gates and the ingest runs whose rows they still block."""
    with connect(settings.require("database_url")) as conn:
        return [(gate, run) for gate, run in conn.execute(BLOCKED_RUNS)]


def _refuse_blocked_rows(settings: Settings) -> None:
    blocked = _blocked(settings)
    if blocked:
        named = ", ".join(f"{gate} ({run})" for gate, run in blocked)
        raise GateError(
            f"the raw tables hold rows that a gate has blocked: {named}. Mend or dead-letter them"
            " as that run's message says, then clear its task `check`"
        )
