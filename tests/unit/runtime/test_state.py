"""The state directory refuses what is unusable and keeps what it chose."""

from __future__ import annotations

import json
import os
import socket
import stat

import pytest

from ml.exceptions import ConfigurationError
from ml.runtime.state import State


@pytest.fixture
def state(tmp_path):
    state = State(tmp_path / "state")
    state.prepare()
    return state


def test_secrets_are_kept_and_private(state):
    first = state.secrets
    state.prepare()
    assert state.secrets == first
    assert len(set(first.values())) == len(first)
    mode = stat.S_IMODE((state.root / "secrets.json").stat().st_mode)
    assert mode == 0o600


def test_ports_are_remembered(state):
    state.choose_ports(frozenset(), {})
    first = state.ports
    state.choose_ports(frozenset(), {})
    assert state.ports == first
    # Nor its gRPC port may be one that an outgoing connection holds.
    assert all(port + 10_000 < 32_768 for name, port in first.items() if name.startswith("s3"))
    assert all(port < 32_768 for port in first.values())


def test_a_service_younger_than_the_directory_gets_a_port(state):
    state.prepare()
    assert state.ports == {}
    state.choose_ports(frozenset(), {})
    older = {name: port for name, port in state.ports.items() if name != "api"}
    state.write("ports.json", older)
    state.prepare()
    assert state.ports.items() > older.items()
    assert state.ports["api"] not in older.values()


def test_a_remembered_port_that_is_taken_is_replaced(state):
    state.choose_ports(frozenset(), {})
    before = state.ports
    with socket.socket() as other:
        other.bind(("127.0.0.1", before["postgres"]))
        state.choose_ports(frozenset(), {})
    assert state.ports["postgres"] != before["postgres"]
    assert state.ports["valkey"] == before["valkey"]


def test_two_that_start_at_once_do_not_take_the_same_ports(state, tmp_path):
    other = State(tmp_path / "other")
    other.prepare()
    state.choose_ports(frozenset(), {})
    other.choose_ports(frozenset(), {})
    for name in ("airflow", "mlflow", "api"):
        assert state.ports[name] != other.ports[name]


def test_a_pinned_port_that_is_taken_is_an_error(state):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        if port > 55_535:
            pytest.skip("the kernel gave a port that SeaweedFS could not use anyway")
        with pytest.raises(ConfigurationError, match=f"port {port} .* is in use"):
            state.choose_ports(frozenset(), {"airflow": port})


def test_an_unknown_pinned_port_is_an_error(state):
    with pytest.raises(ConfigurationError, match="nothere"):
        state.choose_ports(frozenset(), {"nothere": 20_000})


def test_a_state_directory_below_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="not usable"):
        State(tmp_path / "file" / "state").prepare()


def test_a_full_disk_is_an_error(monkeypatch, tmp_path):
    # /dev/full answers every write as a full disk does; a symbolic link puts it in the way.
    root = tmp_path / "state"
    root.mkdir()
    (root / ".space").symlink_to("/dev/full")
    with pytest.raises(ConfigurationError, match="No space left"):
        State(root).prepare()


def test_written_files_are_whole_or_absent(state):
    state.write("value.json", {"a": 1})
    assert json.loads((state.root / "value.json").read_text()) == {"a": 1}
    assert [p.name for p in state.root.iterdir() if p.name.endswith(".partial")] == []


def test_a_second_command_is_refused_while_one_runs(state):
    with (
        state.lock(),
        pytest.raises(ConfigurationError, match="another ytempire command"),
        state.lock(),
    ):
        os.abort()
