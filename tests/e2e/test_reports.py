"""What gates, drift and dbt report, behind Airflow's login."""

from __future__ import annotations

import httpx
import pytest

from ml.storage.postgres import connect


@pytest.fixture(scope="module")
def pages(platform, finished):
    login = {
        "username": platform.airflow_username,
        "password": platform.airflow_password.get_secret_value(),
    }
    with httpx.Client(base_url=platform.airflow_url, timeout=30) as http:
        token = http.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield http


def test_nobody_reads_them_without_a_login(platform, pages):
    for path in ("/reports/", "/reports/dbt/index.html", "/videos/", "/videos/v-1/video.mp4"):
        assert httpx.get(f"{platform.airflow_url}{path}").status_code == 401


def test_there_are_those_of_gates_drift_and_dbt(pages):
    listed = pages.get("/reports/").raise_for_status().text
    for folder in ("dbt", "drift", "gates"):
        assert f"<h2>{folder}</h2>" in listed
    page = pages.get("/reports/dbt/index.html").raise_for_status()
    assert "model.ytempire.fct_video_daily" in page.text
    assert page.headers["Content-Security-Policy"].startswith("sandbox")


def test_every_video_is_shown_and_plays_from_anywhere(platform, pages):
    listed = pages.get("/videos/").raise_for_status()
    assert "script-src" not in listed.headers["Content-Security-Policy"]
    with connect(platform.require("database_url")) as conn:
        rows = conn.execute("select video_id, files from content.videos").fetchall()
    assert rows
    for video_id, files in rows:
        assert f'href="{video_id}"' in listed.text
        one = pages.get(f"/videos/{video_id}").raise_for_status().text
        assert f"ytempire provenance {video_id}" in one
        part = pages.get(f"/videos/{video_id}/video.mp4", headers={"Range": "bytes=4-11"})
        assert (part.status_code, part.content[:4]) == (206, b"ftyp")
        assert part.headers["Content-Range"] == f"bytes 4-11/{files['video.mp4']['bytes']}"


def test_one_that_is_not_there_is_not_found(pages):
    assert pages.get("/reports/none.html").status_code == 404
