"""A database of a module's own, and a world whose clock the tests move."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy.engine import make_url

from ml.settings import Settings, get_settings
from ml.storage import migrate
from ml.storage.postgres import connect
from ml.world.clock import WorldClock
from ml.world.server import create_app

API = "hacker-news.firebaseio.com/v0"


@dataclass
class LiveWorld:
    """A world of its own and the seconds since 1970 that its clock shows."""

    url: str
    now: float
    app: Any = None

    def item(self, story: str) -> dict:
        return httpx.get(f"{self.url}/{API}/item/{story}.json", trust_env=False).json()

    def changed(self) -> set[str]:
        answer = httpx.get(f"{self.url}/{API}/updates.json", trust_env=False).json()
        return {str(number) for number in answer["items"]}


@pytest.fixture(scope="module")
def world(stack: Settings, tmp_path_factory) -> Iterator[LiveWorld]:
    """Half an hour behind the machine, so that nothing it sends lies in the future."""
    live = LiveWorld("", time.time() - 1800)
    own = {"world_faults": "", "state_dir": tmp_path_factory.mktemp("world")}
    app = create_app(stack.model_copy(update=own))
    app.state.world.clock = WorldClock(wall=lambda: live.now)
    live.app = app
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        live.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(app, log_level="critical", access_log=False, date_header=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield live
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def own_database(stack: Settings) -> Iterator[Settings]:
    """Settings of a migrated database of the module's own; `get_settings` reads them as well."""
    secrets = json.loads((stack.state_dir / "secrets.json").read_text())
    url = make_url(stack.require("database_url"))
    admin = url.set(username="postgres_admin", password=secrets["postgres_admin"])
    # One name for all, as one is gone when the next comes: dbt parses anew for another database.
    name = "own"

    def run_as_admin(where: str, *statements: str) -> None:
        target = admin.set(database=where).render_as_string(hide_password=False)
        with connect(target, autocommit=True) as conn:
            for statement in statements:
                conn.execute(statement.encode())

    drop = f"drop database if exists {name} with (force)"
    run_as_admin("postgres", drop, f"create database {name} owner {url.username}")
    run_as_admin(name, "create extension vector")
    analyst = make_url(stack.require("analyst_database_url")).set(database=name)
    own = {
        "database_url": url.set(database=name).render_as_string(hide_password=False),
        "analyst_database_url": analyst.render_as_string(hide_password=False),
        "api_database_url": None,
    }
    os.environ["DATABASE_URL"] = own["database_url"]
    # MLflow's client leaves the address that it used last: that of a test's proxy, gone by now.
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    get_settings.cache_clear()
    try:
        migrate.upgrade()
        yield stack.model_copy(update=own)
    finally:
        del os.environ["DATABASE_URL"]
        get_settings.cache_clear()
        run_as_admin("postgres", drop)


@pytest.fixture(scope="module")
def settings(own_database: Settings, world: LiveWorld) -> Settings:
    return own_database.model_copy(update={"world_url": world.url})
