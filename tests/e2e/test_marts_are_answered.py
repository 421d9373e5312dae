"""Every analysis and every panel of the dashboard, asked by the analyst after a main job."""

from __future__ import annotations

import json

import pytest

from ml.settings import PROJECT_ROOT
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect
from ml.warehouse.analyses import ask, publish_analyses, read_analyses

_DASHBOARD = json.loads((PROJECT_ROOT / "docker/grafana/dashboards/warehouse.json").read_text())
_TIMES = {"$__timeFrom()": "'2000-01-01'", "$__timeTo()": "'2100-01-01'"}
# A simulated fortnight has no realised outcome of a video of ours.
_MAY_BE_EMPTY = {"Blocked gates"}


def test_most_questions_have_an_answer_and_the_page_is_a_report(finished_again, platform):
    with connect(platform.require("analyst_database_url")) as conn:
        rows = {each.title: len(ask(conn, each)) for each in read_analyses()}
    assert sum(count > 0 for count in rows.values()) >= 10, rows
    page = ObjectStore(platform).get_bytes(
        platform.bucket("reports"), publish_analyses(settings=platform)
    )
    assert page.count(b"<svg") >= 10


@pytest.mark.parametrize("panel", _DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_panel_shows_something(finished_again, platform, panel):
    query = panel["targets"][0]["rawSql"]
    for macro, value in _TIMES.items():
        query = query.replace(macro, value)
    with connect(platform.require("analyst_database_url")) as conn:
        rows = conn.execute(query).fetchall()
    assert rows or panel["title"] in _MAY_BE_EMPTY
