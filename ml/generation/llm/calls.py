"""What was asked of whom, how it went and what it cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ml.generation.llm.catalog import Task
from ml.generation.llm.interface import Usage


@dataclass(frozen=True)
class Call:
    """One attempt.

    Attributes:
        model: provider and model.
        prompts: how many chats it was to answer.
        outcome: `answered`, or the name of the failure.
        usage: tokens that are or may be charged.
        is_booked: whether they are in the shared ledger already.
    """

    model: str
    task: Task
    prompts: int
    outcome: str
    seconds: float
    usage: Usage
    cost_usd: float
    is_booked: bool


@dataclass
class CallLog:
    """Every attempt, in order.

    Attributes:
        main_model: whose answer was used last.
        failures: why a model's answer was not used, with its name.
    """

    calls: list[Call] = field(default_factory=list)
    main_model: str = "none"
    failures: list[str] = field(default_factory=list)

    @property
    def cost_usd(self) -> float:
        """Dollars of all of them."""
        return sum(call.cost_usd for call in self.calls)

    def report(self) -> dict[str, Any]:
        """All of it as plain JSON.

        `prompt_tokens` and `completion_tokens` are those that are not in the shared ledger yet;
        without any they are missing.
        """
        unbooked = [call.usage for call in self.calls if not call.is_booked]
        tokens = sum(unbooked, Usage())
        counted = {
            "prompt_tokens": tokens.prompt_tokens,
            "completion_tokens": tokens.completion_tokens,
        }
        return {
            **(counted if unbooked else {}),
            "booked_usd": sum(call.cost_usd for call in self.calls if call.is_booked),
            "llm_calls": [asdict(call) for call in self.calls],
            "llm_failures": self.failures,
        }
