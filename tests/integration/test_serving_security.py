"""Keys, tokens, locks, limits and the audit log on real Postgres and Valkey, also without them.

A `Link` stands between the API and a server, so that a test takes the server away from the API
alone.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Annotated, Any

import jwt
import psycopg
import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from links import Link
from pydantic import SecretStr
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from ml.cli import app as cli
from ml.serving.rights import grant_rights
from ml.serving.security import Caller, install, require
from ml.serving.security.keys import (
    create_key,
    ensure_configured_key,
    list_keys,
    revoke_key,
)
from ml.serving.security.limits import Decision, Limit, Limiter
from ml.serving.security.tokens import AUDIENCE
from ml.settings import Settings
from ml.storage.postgres import connect

ROLE, ROLE_PASSWORD = "security_test_api", "a-password-of-this-test"


def make_app(settings: Settings) -> FastAPI:
    app = FastAPI()
    install(app, settings)

    @app.get("/predict/{item}")
    async def predict(item: str, caller: Annotated[Caller, Depends(require("predict"))]) -> Any:
        return {"id": caller.id, "scopes": sorted(caller.scopes)}

    @app.get("/train")
    async def train(caller: Annotated[Caller, Depends(require("train"))]) -> str:
        return caller.id

    return app


@pytest.fixture(scope="module")
def api_settings(own_database: Settings) -> Iterator[Settings]:
    """Settings of an API that logs in with the rights it needs and nothing more."""
    secrets = json.loads((own_database.state_dir / "secrets.json").read_text())
    url = make_url(own_database.require("database_url"))
    admin = url.set(username="postgres_admin", password=secrets["postgres_admin"])
    drop = f"drop owned by {ROLE}; drop role {ROLE}"
    with connect(admin.render_as_string(hide_password=False), autocommit=True) as conn:
        conn.execute(f"create role {ROLE} login password '{ROLE_PASSWORD}'")
        conn.execute(f"grant connect on database {url.database} to {ROLE}")
        with connect(own_database.require("database_url")) as owner:
            grant_rights(owner, ROLE)
        own = url.set(username=ROLE, password=ROLE_PASSWORD).render_as_string(hide_password=False)
        try:
            yield own_database.model_copy(update={"api_database_url": own})
        finally:
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (ROLE,)
            )
            conn.execute(drop)


@contextmanager
def running(settings: Settings, **changes: object) -> Iterator[TestClient]:
    with TestClient(make_app(settings.changed(changes))) as client:
        yield client


def rows(settings: Settings, query: str, *values: object) -> list[Any]:
    with connect(settings.require("database_url")) as conn:
        return conn.execute(query, values).fetchall()  # type: ignore[call-overload,no-any-return]


def until(condition: Callable[[], bool], seconds: float) -> float:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds
        time.sleep(0.05)
    return time.monotonic() - start


def key_header(key: str) -> dict[str, str]:
    return {"X-API-Key": key}


def log_in(client: TestClient, key: str, secret: str | None = None, **more: str) -> Any:
    _, key_id, real = key.split("_", 2)
    form = {
        "grant_type": "client_credentials",
        "client_id": key_id,
        "client_secret": secret or real,
    }
    return client.post("/auth/token", data={**form, **more})


def test_a_key_opens_what_it_may_until_it_is_revoked(api_settings: Settings) -> None:
    key, secret = create_key(api_settings, "dashboard", ["caller"])
    assert secret.startswith(f"ytk_{key.key_id}_")
    with running(api_settings) as client:
        answer = client.get("/predict/1", headers=key_header(secret))
        assert answer.json() == {"id": key.key_id, "scopes": ["models:read", "predict"]}
        refused = client.get("/train", headers=key_header(secret))
        assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
        assert client.get("/predict/1", headers=key_header(secret[:-1])).status_code == 401
        other = f"ytk_{key.key_id}_{'x' * 43}"
        assert client.get("/predict/1", headers=key_header(other)).status_code == 401

        revoke_key(api_settings, key.key_id)

        def is_refused() -> bool:
            return client.get("/predict/1", headers=key_header(secret)).status_code == 401

        assert until(is_refused, 6) < 6
    found = rows(
        api_settings,
        "select event, coalesce(reason, ''), route, times, actor from ops.api_audit"
        " where key_id = %s order by audit_id",
        key.key_id,
    )
    assert found[0][:2] == ("key_created", "")
    seen = {(event, reason) for event, reason, *_ in found}
    assert {
        ("key_revoked", ""),
        ("call_refused", "insufficient_scope"),
        ("call_refused", "wrong_secret"),
        ("call_refused", "revoked"),
    } <= seen
    (listed,) = [each for each in list_keys(api_settings) if each.key_id == key.key_id]
    assert listed.last_used_at is not None
    everything = rows(api_settings, "select k::text from ops.api_keys k")
    everything += rows(api_settings, "select a::text from ops.api_audit a")
    assert not [row for (row,) in everything if secret[-43:] in row or "x" * 43 in row]


def test_an_expired_key_is_refused(api_settings: Settings) -> None:
    key, secret = create_key(api_settings, "old", ["caller"], days=1)
    with connect(api_settings.require("database_url")) as conn:
        conn.execute(
            "update ops.api_keys set expires_at = now() + interval '1.5 s' where key_id = %s",
            (key.key_id,),
        )
    with running(api_settings) as client:
        assert client.get("/predict/1", headers=key_header(secret)).status_code == 200
        time.sleep(1.6)
        assert client.get("/predict/1", headers=key_header(secret)).status_code == 401


def test_the_role_of_the_api_may_do_no_more_than_it_needs(api_settings: Settings) -> None:
    for statement in (
        "insert into ops.api_keys (key_id, secret_sha256, name, roles, created_by)"
        " values ('a', sha256('a'), 'a', '{admin}', 'a')",
        "update ops.api_keys set roles = '{admin}'",
        "update ops.api_keys set revoked_at = null",
        "delete from ops.api_keys",
        "select 1 from ops.api_audit",
        "update ops.api_audit set times = 0",
        "delete from ops.api_audit",
        "delete from ops.api_login_failures",
        "select payload from raw.records",
    ):
        with (
            connect(api_settings.require("api_database_url")) as conn,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            conn.execute(statement.encode())
    for statement in ("update ops.api_audit set times = 0", "truncate ops.api_audit"):
        with (
            connect(api_settings.require("database_url")) as conn,
            pytest.raises(psycopg.errors.RaiseException, match="append-only"),
        ):
            conn.execute(statement.encode())


def test_a_token_is_for_less_and_dies_with_its_key(api_settings: Settings) -> None:
    key, secret = create_key(api_settings, "pipeline", ["trainer"])
    with running(api_settings) as client:
        answer = log_in(client, secret, scope="predict")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 900, "predict")
        bearer = {"Authorization": f"Bearer {body['access_token']}"}
        assert client.get("/predict/1", headers=bearer).json()["scopes"] == ["predict"]
        assert client.get("/train", headers=bearer).status_code == 403
        assert log_in(client, secret, scope="models:admin").json()["error"] == "invalid_scope"
        basic = client.post(
            "/auth/token",
            data={"grant_type": "client_credentials"},
            auth=(key.key_id, secret.split("_", 2)[2]),
        )
        assert basic.json()["scope"] == "models:read predict train"

        (public,) = client.get("/.well-known/jwks.json").json()["keys"]
        token = body["access_token"]
        claims = jwt.decode(token, jwt.PyJWK(public), algorithms=["RS256"], audience=AUDIENCE)
        assert (claims["iss"], claims["sub"]) == ("ytempire", key.key_id)

        revoke_key(api_settings, key.key_id)
        until(lambda: client.get("/predict/1", headers=bearer).status_code == 401, 6)
        assert log_in(client, secret).json()["error"] == "invalid_client"


def test_five_failed_logins_lock_a_key_for_half_an_hour(api_settings: Settings) -> None:
    key, secret = create_key(api_settings, "guessed", ["caller"])
    _, other = create_key(api_settings, "bystander", ["caller"])
    with running(api_settings) as client, running(api_settings) as another_worker:
        token = log_in(client, secret).json()["access_token"]
        assert another_worker.get("/predict/1", headers=key_header(secret)).status_code == 200

        def guess(number: int) -> int:
            worker = client if number % 2 else another_worker
            return int(log_in(worker, secret, "wrong").status_code)

        with ThreadPoolExecutor(4) as threads:
            answers = sorted(threads.map(guess, range(8)))
        assert answers == [401] * 5 + [429] * 3
        locked = log_in(client, secret)
        assert (locked.status_code, locked.json()["error"]) == (429, "locked")
        assert 1700 < int(locked.headers["retry-after"]) <= 1800
        # The other worker learns it as it learns of a revocation.
        until(
            lambda: another_worker.get("/predict/1", headers=key_header(secret)).status_code == 429,
            6,
        )
        bearer = {"Authorization": f"Bearer {token}"}
        assert client.get("/predict/1", headers=bearer).status_code == 200
        assert log_in(client, other).status_code == 200

        with connect(api_settings.require("database_url")) as conn:
            conn.execute(
                "update ops.api_login_failures set locked_until = now() where key_id = %s",
                (key.key_id,),
            )
        assert log_in(client, secret, "wrong").status_code == 401
        assert log_in(client, secret).status_code == 200
    counted = rows(
        api_settings,
        "select event, reason, sum(times) from ops.api_audit"
        " where key_id = %s and event like 'login%%' group by 1, 2 order by 1, 2",
        key.key_id,
    )
    assert counted == [
        ("login_failed", "locked", 4),
        ("login_failed", "wrong_secret", 6),
        ("login_succeeded", "", 2),
    ]


def test_workers_share_limits_and_keep_them_without_valkey(api_settings: Settings) -> None:
    _, secret = create_key(api_settings, "busy", ["caller"])
    _, other = create_key(api_settings, "quiet", ["caller"])
    link = Link(api_settings.require("redis_url"))
    limited = api_settings.model_copy(
        update={"redis_url": link.url, "api_rate_limits": {"predict": "10/600"}, "api_workers": 2}
    )

    def calls(client: TestClient, count: int, key: str) -> list[int]:
        path = "/predict/{}"
        return [
            client.get(path.format(n), headers=key_header(key)).status_code for n in range(count)
        ]

    with running(limited) as one, running(limited) as two:
        assert calls(one, 6, secret) + calls(two, 6, secret) == [200] * 10 + [429] * 2
        refused = one.get("/predict/1", headers=key_header(secret))
        assert refused.json()["error"] == "rate_limited"
        assert refused.headers["ratelimit-policy"] == "10;w=600"
        assert refused.headers["ratelimit-remaining"] == "0"
        assert 0 < int(refused.headers["retry-after"]) <= 60
        first = one.get("/predict/1", headers=key_header(other))
        assert (first.status_code, first.headers["ratelimit-remaining"]) == (200, "9")

        for take_away in (link.cut, link.freeze):
            _, fresh = create_key(api_settings, "meanwhile", ["caller"])
            take_away()
            start = time.monotonic()
            # Half of the quota each, with no memory of what Valkey counted.
            assert calls(one, 7, fresh) == [200] * 5 + [429] * 2
            assert time.monotonic() - start < 2
            link.cut()
            link.mend()
            time.sleep(1.1)
            assert calls(one, 12, fresh) == [200] * 10 + [429] * 2


def test_calls_taken_in_advance_stay_within_the_quota(api_settings: Settings) -> None:
    limit, asked, key = Limit(3000, 36_000), 3200, uuid.uuid4().hex

    async def use_up() -> list[list[Decision]]:
        workers = [Limiter(api_settings.require("redis_url"), 2) for _ in range(2)]
        taken = [[await each.take(key, limit) for _ in range(asked // 2)] for each in workers]
        for each in workers:
            await each.close()
        return taken

    start = time.monotonic()
    one, two = asyncio.run(use_up())
    allowed = [decision for decision in [*one, *two] if decision.allowed]
    came_back = (time.monotonic() - start) / 12 + 1
    # What a worker holds in advance when it stops is not used.
    assert 3000 - 2 * 3 <= len(allowed) <= 3000 + came_back
    assert [decision.remaining for decision in one[:4]] == [2999, 2998, 2997, 2996]
    assert not two[-1].allowed


def test_a_steady_caller_waits_once_and_is_charged_for_what_it_uses(
    api_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases of 120 calls are renewed behind the requests; nothing comes back meanwhile."""
    limit, calls, key = Limit(120_000, 36_000_000), 80, uuid.uuid4().hex
    waited, take_shared = [], Limiter._take_shared

    async def noted(self: Limiter, key: str, limit: Limit) -> Decision:
        waited.append(key)
        return await take_shared(self, key, limit)

    monkeypatch.setattr(Limiter, "_take_shared", noted)

    async def ask() -> Decision:
        steady, other = (Limiter(api_settings.require("redis_url"), 2) for _ in range(2))
        for _ in range(calls):
            assert (await steady.take(key, limit)).allowed
            await asyncio.sleep(0.05)
        # Four seconds are four leases; a machine that stands still for half a second loses one.
        assert len(waited) <= 2
        seen = await other.take(key, limit)
        await asyncio.gather(steady.close(), other.close())
        return seen

    seen = asyncio.run(ask())
    assert limit.calls - calls - 240 - 1 <= seen.remaining < limit.calls - calls


def test_known_keys_work_while_postgres_is_away(api_settings: Settings) -> None:
    key, secret = create_key(api_settings, "steady", ["caller"])
    _, unknown = create_key(api_settings, "unseen", ["caller"])
    link = Link(api_settings.require("api_database_url"))
    with running(api_settings.model_copy(update={"api_database_url": link.url})) as client:

        def status(presented: str) -> int:
            return client.get("/predict/1", headers=key_header(presented)).status_code

        assert status(secret) == 200
        link.freeze()
        # Longer than a copy is good for otherwise.
        end = time.monotonic() + 6
        while time.monotonic() < end:
            start = time.monotonic()
            assert status(secret) == 200
            assert time.monotonic() - start < 0.5
            time.sleep(0.1)
        link.cut()
        assert status(unknown) == 503
        assert log_in(client, secret).status_code == 503
        assert client.get("/train", headers=key_header(secret)).status_code == 403
        link.mend()
        until(lambda: status(unknown) == 200, 10)
    refused = rows(
        api_settings,
        "select times from ops.api_audit where key_id = %s and route = '/train'",
        key.key_id,
    )
    assert refused == [(1,)]


def test_the_configured_key_is_a_key_like_others(api_settings: Settings) -> None:
    first, second = "0123456789abcdef" * 3, "fedcba9876543210" * 3
    configured = api_settings.model_copy(update={"api_key": SecretStr(first)})
    key_id = ensure_configured_key(configured)
    assert ensure_configured_key(configured) == key_id
    with running(api_settings) as client:
        assert client.get("/train", headers=key_header(first)).json() == key_id
        changed = api_settings.model_copy(update={"api_key": SecretStr(second)})
        assert ensure_configured_key(changed) != key_id
        until(lambda: client.get("/train", headers=key_header(first)).status_code == 401, 6)
        assert client.get("/train", headers=key_header(second)).status_code == 200
    assert ensure_configured_key(configured) == key_id
    states = {key.key_id: key.status for key in list_keys(api_settings)}
    assert states[str(key_id)] == "revoked"


def test_the_commands(api_settings: Settings) -> None:
    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["keys", *arguments])

    made = json.loads(run("create", "a test", "--role", "monitor", "--days", "0", "--json").stdout)
    assert made["key"].startswith(f"ytk_{made['key_id']}_")
    assert (made["scopes"], made["expires_at"]) == (["metrics", "models:read"], None)
    plain = run("create", "another", "--scope", "predict")
    assert plain.stdout.strip().startswith("ytk_")
    assert json.loads(run("revoke", made["key_id"], "--json").stdout)["status"] == "revoked"
    listed = run("list", "--json").stdout
    assert made["key"][-43:] not in listed
    (found,) = [key for key in json.loads(listed)["keys"] if key["key_id"] == made["key_id"]]
    assert found["name"] == "a test"
    assert "unknown role root" in str(run("create", "x", "--role", "root").exception)
    assert "no key of that id" in str(run("revoke", "nothing").exception)
