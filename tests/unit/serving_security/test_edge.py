"""The edge of an application: sizes, headers, errors and its description; nothing else runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.websockets import WebSocketDisconnect

from ml.exceptions import ConfigurationError
from ml.serving.security import Caller, install, require
from ml.settings import Settings

SECRET = "the words of a caller"


class Body(BaseModel):
    number: int


def make_app(folder: Path, **changes: object) -> FastAPI:
    # Nothing listens there: what needs a service must say so.
    away = Settings(
        state_dir=folder, database_url="postgresql://api@127.0.0.1:1/none", redis_url=None
    )
    app = FastAPI()
    install(app, away.changed({"api_max_body_bytes": 2000, **changes}))

    @app.post("/echo")
    async def echo(body: Body) -> Body:
        return body

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError(SECRET)

    @app.get("/guarded/{item}")
    async def guarded(item: str, caller: Annotated[Caller, Depends(require("train"))]) -> str:
        return caller.id

    @app.websocket("/live")
    async def live(socket: WebSocket, caller: Annotated[Caller, Depends(require("train"))]) -> None:
        await socket.accept()

    return app


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with TestClient(make_app(tmp_path_factory.mktemp("state"))) as client:
        yield client


def problem(answer: object) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["request_id"] == answer.headers["x-request-id"]
    assert {"type", "title", "detail"} <= body.keys()
    return body["status"], body["error"]


def test_every_error_has_one_shape(client: TestClient) -> None:
    headers = {"X-Request-ID": "mine-1"}
    assert problem(client.get("/none", headers=headers)) == (404, "not_found")
    assert problem(client.get("/echo")) == (405, "method_not_allowed")
    assert problem(client.post("/echo", json={})) == (422, "invalid_request")
    assert problem(client.post("/echo", content=b"{")) == (422, "invalid_request")
    assert problem(client.get("/guarded/1")) == (401, "unauthorized")
    assert problem(client.post("/auth/token", data={})) == (422, "invalid_request")
    assert client.get("/none", headers=headers).json()["request_id"] == "mine-1"
    odd = client.get("/none", headers={"X-Request-ID": "a b\tc"})
    assert len(odd.json()["request_id"]) == 32


def test_no_trace_and_no_secret_comes_out(client: TestClient) -> None:
    failed = client.get("/fails")
    assert problem(failed) == (500, "internal_error")
    assert "RuntimeError" not in failed.text
    assert SECRET not in failed.text
    wrong = client.post("/echo", json={"number": SECRET})
    assert wrong.json()["errors"][0]["loc"] == ["body", "number"]
    assert SECRET not in wrong.text


def test_bodies_have_a_size(client: TestClient) -> None:
    def in_parts(count: int) -> Iterator[bytes]:
        yield b'{"number": 1'
        yield from (b" " * 100 for _ in range(count))
        yield b"}"

    kind = {"Content-Type": "application/json"}
    assert client.post("/echo", content=in_parts(10), headers=kind).json() == {"number": 1}
    refused = client.post("/echo", content=in_parts(50), headers=kind)
    assert problem(refused) == (413, "too_large")
    assert problem(client.post("/echo", content=b" " * 3000)) == (413, "too_large")
    assert problem(client.post("/auth/token", data={"client_id": "a" * 3000})) == (413, "too_large")


def test_security_headers_are_on_every_answer(client: TestClient) -> None:
    headers = client.get("/.well-known/jwks.json").headers
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'; frame")
    assert "strict-transport-security" not in headers
    assert "cdn.jsdelivr.net" in client.get("/docs").headers["content-security-policy"]
    secure = client.get("https://testserver/none").headers
    assert secure["strict-transport-security"] == "max-age=31536000"


def test_other_origins_are_refused_unless_they_are_named(
    client: TestClient, tmp_path: Path
) -> None:
    ask = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    for answer in (client.options("/echo", headers=ask), client.get("/none", headers=ask)):
        assert not [name for name in answer.headers if name.startswith("access-control")]
    with TestClient(make_app(tmp_path, api_cors_origins=("https://a.example",))) as opened:
        assert opened.options("/echo", headers=ask).headers["access-control-allow-origin"]
        other = opened.options("/echo", headers={**ask, "Origin": "https://b.example"})
        assert "access-control-allow-origin" not in other.headers
        assert opened.get("/none", headers=ask).headers["access-control-expose-headers"]


def test_credentials_are_judged_without_postgres_where_they_can_be(client: TestClient) -> None:
    def ask(**headers: str) -> tuple[int, str]:
        return problem(
            client.get(
                "/guarded/1", headers={name.replace("_", "-"): v for name, v in headers.items()}
            )
        )

    assert ask(x_api_key="a", authorization="Bearer b") == (400, "invalid_request")
    assert ask(authorization="Bearer a.b.c") == (401, "invalid_token")
    assert ask(x_api_key="ytk_") == (503, "unavailable")
    answer = client.get("/guarded/1", headers={"Authorization": "Bearer a.b.c"})
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([b"x-api-key", b"authorization"]),
    st.binary(max_size=80) | st.from_regex(rb"Bearer [\w.=-]{0,80}", fullmatch=True),
)
def test_no_credential_breaks_it(client: TestClient, name: bytes, value: bytes) -> None:
    # Each from an address of its own: one that fails all the time is stopped.
    caller = TestClient(client.app, client=(value.hex(), 1))
    answer = caller.get("/guarded/1", headers=[(name, value)])
    assert problem(answer)[0] in (401, 503)


def test_odd_client_ids_are_only_unknown(client: TestClient) -> None:
    for key_id in ("", "\0", "a" * 64, "\ud800".encode("utf-8", "surrogatepass")):
        form = {"grant_type": "client_credentials", "client_id": key_id, "client_secret": "\0"}
        answer = client.post("/auth/token", data=form)
        assert problem(answer) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic")


def test_an_address_that_only_fails_is_stopped(tmp_path: Path) -> None:
    with TestClient(make_app(tmp_path)) as client:
        bad = {"Authorization": "Bearer a.b.c"}
        answers = [client.get("/guarded/1", headers=bad) for _ in range(35)]
    assert [answer.status_code for answer in answers] == [401] * 30 + [429] * 5
    assert int(answers[-1].headers["retry-after"]) > 0


def test_web_sockets_are_guarded_as_well(client: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as caught,
        client.websocket_connect("/live"),
    ):
        pass
    assert problem(caught.value) == (401, "unauthorized")


def test_the_document_tells_what_is_needed(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/guarded/{item}"]["get"]
    assert operation["security"] == [{"ApiKey": []}, {"Token": ["train"]}]
    assert {"400", "401", "403", "422", "429", "503"} <= operation["responses"].keys()
    echo = document["paths"]["/echo"]["post"]
    assert "security" not in echo
    assert "HTTPValidationError" not in str(document)
    assert "413" in echo["responses"]
    assert document["components"]["securitySchemes"].keys() == {"ApiKey", "Token"}


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    for limits in ({"predict": "many"}, {"predicts": "5/60"}):
        with pytest.raises(ConfigurationError, match="YTEMPIRE_API_RATE_LIMITS"):
            make_app(tmp_path, api_rate_limits=limits)
    with pytest.raises(ConfigurationError, match="unknown scope"):
        require("everything")
