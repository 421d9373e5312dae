"""The models of a chain, their connections and their circuit breakers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pybreaker

from ml.generation.llm.catalog import Model, chain
from ml.generation.llm.interface import Provider
from ml.settings import Settings
from ml.sources.access import local_breaker

Breaker = Callable[[str], pybreaker.CircuitBreaker]


@dataclass
class Route:
    """A model and the connection to it, made when it is first asked."""

    model: Model
    connect: Callable[[], Provider]

    @cached_property
    def provider(self) -> Provider:
        """The connection.

        Raises:
            FatalError: if there is no key, no address or no package.
        """
        return self.connect()


def routes(settings: Settings) -> list[Route]:
    """The chain that the settings name, in order.

    Raises:
        ConfigurationError: if a model is not known.
    """
    return [Route(model, _connector(model, settings)) for model in chain(settings)]


def _connector(model: Model, settings: Settings) -> Callable[[], Provider]:
    def connect() -> Provider:
        if model.provider == "local":
            from ml.generation.llm.local import LocalLlm

            return LocalLlm(settings)
        if model.provider == "anthropic":
            from ml.generation.llm.anthropic_messages import AnthropicMessages

            return AnthropicMessages(model, settings)
        from ml.generation.llm.openai_chat import OpenAiChat

        return OpenAiChat(model, settings)

    return connect


def breakers(settings: Settings) -> Breaker:
    """Breakers that all workers share; those of one process where there is no Redis."""
    if settings.redis_url is None:
        return local_breaker

    def breaker(name: str) -> pybreaker.CircuitBreaker:
        from ml.storage.quotas import shared_breaker  # the local model does without Redis

        return shared_breaker(settings)(name)

    return breaker
