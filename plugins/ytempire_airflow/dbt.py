"""Layers of the dbt project as Airflow tasks."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import task

from ytempire_airflow.defaults import GIVES_WAY

_PAGE = "/reports/dbt/index.html#!/model/"


def dbt_layer(name: str, select: list[str], now: Any) -> Any:
    """A task that builds models with their tests, as one `dbt build`.

    Its retry builds only the models that failed and those that wait for them, each with its tests.
    The task returns the seconds of each model; its documentation links to each model's page.

    Args:
        name: id of the task.
        select: dbt selectors, for example `path:models/staging`.
        now: return value of the DAG's task `resolve_as_of`; "now" for the models.
    """

    @task(task_id=name, doc_md=_pages(select))
    def build(now: str, run_id: str | None = None) -> dict[str, Any]:
        from datetime import datetime

        from ml.warehouse import build_models

        as_of = datetime.fromisoformat(now)
        summary = build_models(select, as_of=as_of, run_id=str(run_id))
        return {
            "seconds": round(summary.seconds, 1),
            "statuses": dict(summary.statuses),
            "models": dict(summary.models),
        }

    return build(now)


def _pages(select: list[str]) -> str:
    from ml.warehouse import model_ids

    links = (f"* [{name}]({_PAGE}{unique_id})" for name, unique_id in model_ids(select).items())
    return "\n".join(links)


@task
def dbt_docs(now: str) -> bool:
    """Write the models' pages to the reports, if the project has changed."""
    from datetime import datetime

    from ml.warehouse import publish_docs

    os.nice(GIVES_WAY)
    return publish_docs(datetime.fromisoformat(now))
