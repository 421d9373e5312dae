"""Which services start, and what is said of those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from ml.exceptions import ConfigurationError, ServiceUnavailableError
from ml.runtime import embedded
from ml.runtime.embedded import ServiceStatus
from ml.runtime.health import ProviderAwaitedError
from ml.runtime.services import Service, definitions
from ml.runtime.state import State
from ml.settings import Settings

STREAMS = ("stream-hackernews", "stream-x")


@pytest.fixture(scope="module")
def state(tmp_path_factory) -> State:
    prepared = State(tmp_path_factory.mktemp("state"))
    prepared.prepare()
    prepared.choose_ports(frozenset(), {})
    return prepared


@pytest.fixture
def config(state):
    """Makes settings of the simulated world, or of others."""

    def make(**changes: object) -> Settings:
        from ml.runtime.bootstrap import embedded_settings

        return Settings(**{**embedded_settings(state), "data_dir": None, **changes})

    return make


def names(state: State, settings: Settings, *only: str) -> set[str]:
    return {each.name for each in embedded._selected(state, settings, only)}


def test_streams_start_where_they_are_wanted_or_named(state, config, tmp_path):
    assert not names(state, config()) & set(STREAMS)
    assert names(state, config(streaming=True)) >= set(STREAMS)
    assert not names(state, config(streaming=True, data_dir=tmp_path)) & set(STREAMS)
    assert names(state, config(), "postgres", "stream-hackernews") == {
        "postgres", "stream-hackernews",
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match=r"known: .*stream-x"):
        names(state, config(), "stream-nothing")


def test_named_stream_that_cannot_run_says_why(state, config, tmp_path):
    with pytest.raises(ConfigurationError, match="unset YTEMPIRE_DATA_DIR"):
        names(state, config(data_dir=tmp_path), "stream-hackernews")
    keyless = config(sources_from="providers", x_bearer_token=None, streaming=True)
    with pytest.raises(ConfigurationError, match="stream-x: set X_BEARER_TOKEN"):
        names(state, keyless, "stream-x")
    keyed = config(sources_from="providers", x_bearer_token=SecretStr("t"), streaming=True)
    assert names(state, keyed, "stream-x") == {"stream-x"}


def test_stream_without_its_key_is_shown_as_what_is_not_meant_to_run(state, config):
    keyless = config(sources_from="providers", x_bearer_token=None, streaming=True)
    (stream,) = [each for each in definitions(state, keyless) if each.name == "stream-x"]
    assert embedded._status(stream, keyless, None, False) == ServiceStatus(
        "stream-x", None, "", None, None, "not started: set X_BEARER_TOKEN"
    )


class Started:
    """In the place of the supervisor: what is asked for runs."""

    def processes(self) -> dict:
        return {}

    def start(self, name: str) -> None:
        """Nothing to do."""


def service(error: Exception, **changes: object) -> Service:
    def check(_: Settings) -> str:
        raise error

    return Service("stream-x", ("true",), check, 2, **changes)


def started(error: Exception, **changes: object) -> list[tuple[str, str]]:
    said: list[tuple[str, str]] = []
    embedded._start_stage(
        Started(), Settings(), [service(error, **changes)],
        lambda name, _, detail: said.append((name, detail)),
    )  # fmt: skip
    return said


def test_up_goes_on_at_once_where_a_provider_is_waited_for():
    error = ProviderAwaitedError("waiting for provider: no route")
    assert started(error, awaits_provider=True) == [("stream-x", str(error))]


def test_up_does_not_fail_on_a_stream_that_brings_nothing_in_time(monkeypatch):
    monkeypatch.setattr(embedded, "_HEALTHY_WITHIN_S", 0.3)
    error = ServiceUnavailableError("nothing yet")
    assert started(error, awaits_provider=True) == [
        ("stream-x", "waiting for provider: nothing yet")
    ]
    with pytest.raises(ServiceUnavailableError, match="not healthy after"):
        started(error)


def test_all_that_may_be_started_is_known_to_the_supervisor(state, config):
    # So that `up --only` can start what the settings of the first `up` did not want.
    assert set(STREAMS) <= {each.name for each in definitions(state, config())}
    assert Path(definitions(state, config())[-1].command[0]).exists()
