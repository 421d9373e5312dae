"""A world of language models on loopback, and chains that ask it."""

from __future__ import annotations

from collections.abc import Callable

import pybreaker
import pytest
from pydantic import SecretStr

from ml.generation.budget import Budget, MemoryLedger
from ml.generation.llm.orchestrator import Orchestrator
from ml.generation.llm.routes import routes
from ml.settings import Settings
from ml.sources.access import new_breaker


@pytest.fixture(autouse=True)
def no_real_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own keys must not be found: a test would spend real money."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "SCRIPT_MODEL_PROVIDER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def settings(world_url: str, world_key: SecretStr) -> Settings:
    """Both paid providers, asked in the world."""
    return Settings(
        world_url=world_url,
        world_key=world_key,
        provider_urls={
            host: f"{world_url}/{host}" for host in ("api.openai.com", "api.anthropic.com")
        },
        script_model_provider="openai",
        script_model_fallbacks=("anthropic",),
        llm_timeout_s=0.4,
    )


class Chain(Orchestrator):
    """An orchestrator whose ledger and waits a test can look at."""

    book: MemoryLedger
    waits: list[float]

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        """Provider and outcome of each attempt."""
        return [(call.model.split("/")[0], call.outcome) for call in self.calls.calls]

    @property
    def booked(self) -> float:
        """Dollars in the ledger."""
        return sum(cost for _, _, cost in self.book.rows.values())


@pytest.fixture
def chain(settings: Settings) -> Callable[..., Chain]:
    """Makes chains with circuits and a ledger of their own, which do not sleep."""

    def make(budget: Budget | None = None, **changes: object) -> Chain:
        storages: dict[str, pybreaker.CircuitMemoryStorage] = {}

        def breaker(name: str) -> pybreaker.CircuitBreaker:
            closed = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
            return new_breaker(name, storages.setdefault(name, closed))

        book, waits = MemoryLedger(budget or Budget(1.0)), list[float]()
        made = Chain(
            routes(settings.changed(changes)), lambda: book, breaker,
            cheapest_first=changes.get("llm_routing") == "cheapest", sleep=waits.append,
        )  # fmt: skip
        made.book, made.waits = book, waits
        return made

    return make
