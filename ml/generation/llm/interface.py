"""What generation needs of a language model, and how a model says that it failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ml.exceptions import ProviderError, SourceUnavailableError
from ml.generation.prompting import Prompt

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Usage:
    """Tokens of one or more answers; `estimated` where the provider did not get to say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True)
class Completion:
    """One answer; `text` includes the prefix that was asked for."""

    text: str
    usage: Usage


class InterruptedAnswerError(ProviderError):
    """An answer began, or may have begun, and did not end: what `used` says may be charged."""

    def __init__(self, message: str, used: Usage, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.used = used
        self.timed_out = timed_out


class DeclinedError(SourceUnavailableError):
    """The model does not want to answer this; it is paid for all the same."""

    def __init__(self, message: str, used: Usage) -> None:
        super().__init__(message)
        self.used = used


class Provider(Protocol):
    """A connection to one model."""

    @property
    def batch_size(self) -> int:
        """How many prompts one call takes."""
        ...

    def complete(
        self, prompts: Sequence[Prompt], *, max_tokens: int, seed: int, schema: Schema | None
    ) -> list[Completion]:
        """Answer at most `batch_size` prompts, in order, in one attempt.

        Args:
            prompts: chats.
            max_tokens: of each answer.
            seed: the same one gives the same answers where the provider can promise it.
            schema: JSON schema that answers should satisfy; they are checked by the caller.

        Raises:
            InterruptedAnswerError: if an answer broke off or came too late.
            ProviderError: if the provider fails and may not later.
            QuotaExceededError: if the account's quota is used up.
            SourceUnavailableError: if it refuses the key or the request.
        """
        ...


def estimate_tokens(text: str) -> int:
    """Tokens of a text, rather too many: models have about four bytes to a token in English."""
    return len(text.encode()) // 3 + 1


def prompt_size(prompt: Prompt) -> int:
    """Estimated tokens of a chat, with a few for the markup of each turn."""
    return sum(estimate_tokens(text) + 4 for _, text in prompt.turns) + len(prompt.prefix) // 3
