"""Public archives.

Imports every public archive below `YTEMPIRE_DATA_DIR` (or the parameter `folder`): YouTube
charts, the video panel, Hacker News snapshots, GitHub trending. Importing again changes nothing.
Bad rows become dead letters. The gates on both raw tables decide whether the marts are rebuilt.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, chain, dag, task
from ytempire_airflow.assets import RAW_ARCHIVES
from ytempire_airflow.defaults import DEFAULT_ARGS, GATE_ARGS


@dag(
    schedule=None,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["ingest", "archives"],
    doc_md=__doc__,
    params={"folder": Param(None, type=["null", "string"], description="default: the setting")},
)
def import_archives():
    @task
    def find(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        from ml.storage.landing import find_archives

        return find_archives((params or {}).get("folder"))

    @task(pool="ingest", map_index_template="{{ archive['name'] }}")
    def load(archive: dict[str, Any]) -> dict[str, Any]:
        from ml.storage.landing import import_archive

        results = import_archive(archive["format"], archive["paths"])
        rows = sum(result.rows_loaded for result in results)
        return {"name": archive["name"], "rows": rows}

    @task(**GATE_ARGS)
    def check(run_id: str | None = None) -> list[str]:
        from ml.gates import check_imported

        return check_imported(str(run_id))

    @task(outlets=[RAW_ARCHIVES])
    def announce(loaded: list[dict[str, Any]], **context: Any) -> None:
        context["outlet_events"][RAW_ARCHIVES].extra = {"archives": list(loaded)}

    loaded = load.expand(archive=find())
    chain(loaded, check(), announce(loaded))


import_archives()
