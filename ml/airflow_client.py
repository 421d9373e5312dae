"""Airflow over its REST API: trigger runs and follow them. Nothing in `ml` imports Airflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

import httpx

from ml.exceptions import ConfigurationError, FatalError, ServiceUnavailableError
from ml.settings import Settings, get_settings

FINISHED = frozenset({"success", "failed"})
_PAGE = 100


class AirflowClient:
    """A logged-in client of one Airflow; threads may share it."""

    def __init__(
        self, settings: Settings | None = None, *, timeout_s: float = 30, retries: int = 3
    ) -> None:
        """Connect at the first call.

        Args:
            settings: name the server and the login.
            timeout_s: of one call.
            retries: of a connection that is refused.
        """
        self._settings = settings or get_settings()
        self._timeout_s = timeout_s
        self._retries = retries

    @cached_property
    def _http(self) -> httpx.Client:
        url = self._settings.require("airflow_url")
        transport = httpx.HTTPTransport(retries=self._retries)
        client = httpx.Client(base_url=url, timeout=self._timeout_s, transport=transport)
        body = {
            "username": self._settings.airflow_username,
            "password": self._settings.require("airflow_password"),
        }
        try:
            response = client.post("/auth/token", json=body)
        except httpx.HTTPError as error:
            raise ServiceUnavailableError(f"Airflow at {url}: {error}") from error
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise ConfigurationError(
                "Airflow refuses the login; check YTEMPIRE_AIRFLOW_USERNAME and its password"
            )
        self._raise_for(response)
        client.headers["Authorization"] = f"Bearer {response.json()['access_token']}"
        return client

    def trigger(self, dag_id: str, conf: Mapping[str, Any], run_id: str | None = None) -> str:
        """Start a run and return its id; an existing run of that id is returned as it is."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf)}
        response = self._request("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        if response.status_code == httpx.codes.CONFLICT and run_id:
            return run_id
        self._raise_for(response)
        return str(response.json()["dag_run_id"])

    def clear(self, dag_id: str, run_id: str) -> bool:
        """Let a run go on with the tasks that have failed; False if there is none of that id."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/clear"
        response = self._request("POST", path, json={"dry_run": False, "only_failed": True})
        if response.status_code == httpx.codes.NOT_FOUND:
            return False
        self._raise_for(response)
        return True

    def run(self, dag_id: str, run_id: str) -> dict[str, Any] | None:
        """A run, or None if there is none of that id."""
        response = self._request("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        self._raise_for(response)
        found: dict[str, Any] = response.json()
        return found

    def latest_runs(self, dag_id: str, limit: int = 10) -> list[dict[str, Any]]:
        """The newest runs of a DAG, newest first."""
        found = self._get(f"/api/v2/dags/{dag_id}/dagRuns", order_by="-id", limit=limit)
        return list(found["dag_runs"])

    def asset_sources(self, dag_id: str, run_id: str) -> set[tuple[str, str]]:
        """The (DAG, run) pairs whose asset events started this run."""
        events = self._get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/upstreamAssetEvents")
        return {(e["source_dag_id"], e["source_run_id"]) for e in events["asset_events"]}

    def asset_events(self, dag_id: str, run_id: str | None = None) -> list[dict[str, Any]]:
        """The newest asset events that a DAG, or one run of it, has made."""
        chosen = {"source_dag_id": dag_id, "source_run_id": run_id}
        wanted = {name: value for name, value in chosen.items() if value}
        found = self._get("/api/v2/assets/events", order_by="-timestamp", limit=_PAGE, **wanted)
        return list(found["asset_events"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        return list(self._get(path, limit=_PAGE)["task_instances"])

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What a task of a run has returned, or None."""
        path = (
            f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
            "/xcomEntries/return_value"
        )
        response = self._request("GET", path, params={"stringify": False})
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        self._raise_for(response)
        return response.json()["value"]

    def task_error(self, dag_id: str, run_id: str, task: Mapping[str, Any]) -> str | None:
        """The exception that ended a task's last try, as its log has it."""
        path = (
            f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}"
            f"/logs/{task['try_number']}"
        )
        content = self._get(path, map_index=task.get("map_index", -1))["content"]
        details = [
            detail
            for line in content
            if isinstance(line, dict)
            for detail in line.get("error_detail") or ()
        ]
        if not details:
            return None
        return f"{details[0]['exc_type']}: {details[0]['exc_value']}"

    def import_errors(self) -> Iterator[tuple[str, str]]:
        """File and message of each DAG that does not parse."""
        for row in self._get("/api/v2/importErrors")["import_errors"]:
            yield row["filename"], row["stack_trace"]

    def known_dags(self) -> set[str]:
        """Ids of the DAGs that Airflow has parsed."""
        return {row["dag_id"] for row in self._get("/api/v2/dags", limit=_PAGE)["dags"]}

    def pause(self, dag_id: str, is_paused: bool = True) -> None:
        """Keep a DAG from running, or let it run again."""
        path = f"/api/v2/dags/{dag_id}"
        self._raise_for(self._request("PATCH", path, json={"is_paused": is_paused}))

    def backfill(self, dag_id: str, start: datetime, end: datetime) -> int:
        """Run a DAG for every interval that starts from `start` to `end`, as the UI's form does.

        Intervals that ran before run again.

        Returns:
            The id of the backfill.
        """
        body = {
            "dag_id": dag_id, "from_date": start.isoformat(), "to_date": end.isoformat(),
            "reprocess_behavior": "completed", "max_active_runs": 2, "run_backwards": False,
            "dag_run_conf": {},
        }  # fmt: skip
        response = self._request("POST", "/api/v2/backfills", json=body)
        self._raise_for(response)
        return int(response.json()["id"])

    def backfill_is_done(self, backfill_id: int) -> bool:
        """Whether all runs of a backfill have ended."""
        return self._get(f"/api/v2/backfills/{backfill_id}")["completed_at"] is not None

    def active_runs(self) -> list[tuple[str, str]]:
        """The (DAG, run) pairs that are queued or running."""
        path = "/api/v2/dags/~/dagRuns"
        found = self._get(path, state=["queued", "running"], limit=_PAGE)
        return [(run["dag_id"], run["dag_run_id"]) for run in found["dag_runs"]]

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        """Create a pool, or leave it as an operator has set it."""
        body = {"name": name, "slots": slots, "description": description}
        response = self._request("POST", "/api/v2/pools", json=body)
        if response.status_code != httpx.codes.CONFLICT:
            self._raise_for(response)

    def _get(self, path: str, **params: Any) -> dict[str, Any]:
        response = self._request("GET", path, params=params)
        self._raise_for(response)
        body: dict[str, Any] = response.json()
        return body

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **arguments)
            if response.status_code == httpx.codes.UNAUTHORIZED:
                self.__dict__.pop("_http", None)  # the token has expired
                response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise ServiceUnavailableError(f"Airflow: {error}") from error
        return response

    def _raise_for(self, response: httpx.Response) -> None:
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise ServiceUnavailableError(f"Airflow answers {response.status_code}")
        if response.is_error:
            raise FatalError(f"Airflow refuses {response.request.url.path}: {response.text[:300]}")
