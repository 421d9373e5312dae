"""What gates, drift and dbt report, behind Airflow's login."""

from __future__ import annotations

import httpx
import pytest


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
    for path in ("/reports/", "/reports/dbt/index.html"):
        assert httpx.get(f"{platform.airflow_url}{path}").status_code == 401


def test_there_are_those_of_gates_drift_and_dbt(pages):
    listed = pages.get("/reports/").raise_for_status().text
    for folder in ("dbt", "drift", "gates"):
        assert f"<h2>{folder}</h2>" in listed
    page = pages.get("/reports/dbt/index.html").raise_for_status()
    assert "model.ytempire.fct_video_daily" in page.text
    assert page.headers["Content-Security-Policy"].startswith("sandbox")


def test_one_that_is_not_there_is_not_found(pages):
    assert pages.get("/reports/none.html").status_code == 404
