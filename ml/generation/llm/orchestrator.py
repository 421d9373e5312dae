"""Who is asked: by task, context length, cost and health, in order, until one answers.

A model of the chain is left out of a call when it cannot do the task, when prompt and answer do not
fit into its context, when the day's budget does not have the most that the call can cost, or when
its circuit is open because it kept failing. Of those that are left the first is asked. What may
pass (429, 5xx, a broken connection) is tried again (see `retry`); a long Retry-After, a hang and a
refusal go to the next model at once. Every attempt at a paid model is booked: what it cost, or what
it may have cost where it broke off.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TypeVar

import pybreaker
from pydantic import BaseModel

from ml.exceptions import FatalError, GenerationError, ProviderError, RetriableError
from ml.generation import prompting
from ml.generation.budget import Budget, CostLedger, ledger_of
from ml.generation.llm.calls import Call, CallLog
from ml.generation.llm.catalog import Task
from ml.generation.llm.interface import (
    Completion,
    DeclinedError,
    InterruptedAnswerError,
    Schema,
    Usage,
    prompt_size,
)
from ml.generation.llm.retry import LeftAloneError, retrying
from ml.generation.llm.routes import Breaker, Route, breakers, routes
from ml.generation.llm.structured import InvalidAnswerError, parse, plain_schema
from ml.generation.prompting import Prompt
from ml.settings import Settings
from ml.sources.access import local_breaker

log = logging.getLogger(__name__)
T = TypeVar("T")
Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True)
class _Order:
    """What is asked of a model, whichever it is."""

    task: Task
    max_tokens: int
    seed: int
    schema: Schema | None = None


@dataclass
class Orchestrator:
    """Asks the models of a chain.

    Attributes:
        routes: in the order of preference.
        ledger: makes the ledger of paid calls, when there is one.
        breaker: makes the circuit breaker of a model.
        cheapest_first: whether the price decides before the order.
        sleep: what waits between attempts.
        calls: what has been asked so far.
    """

    routes: Sequence[Route]
    ledger: Callable[[], CostLedger]
    breaker: Breaker = local_breaker
    cheapest_first: bool = False
    sleep: Callable[[float], None] = time.sleep
    calls: CallLog = field(default_factory=CallLog)

    @classmethod
    def of(cls, settings: Settings, *, video_id: str, stage: str) -> Orchestrator:
        """The chain, budget and circuit breakers that the settings have.

        Raises:
            ConfigurationError: if a model of the chain is not known.
        """
        return cls(
            routes(settings),
            partial(
                ledger_of, settings, video_id=video_id, stage=stage, budget=Budget.of(settings)
            ),
            breakers(settings),
            cheapest_first=settings.llm_routing == "cheapest",
        )

    def prefers(self, task: Task) -> bool:
        """Whether the preferred model can do a task."""
        preferred = self._sorted()
        return bool(preferred) and task in preferred[0].model.tasks

    def complete(
        self, prompts: Sequence[Prompt], *, task: Task, max_tokens: int, seed: int
    ) -> list[Completion]:
        """Answer every prompt, in order, by one model.

        Raises:
            GenerationError: if no model can be asked, or each refuses.
            ProviderError: if none answers and one may later.
        """
        if not prompts:
            return []
        order = _Order(task, max_tokens, seed)
        size = max(prompt_size(prompt) for prompt in prompts) + max_tokens
        return self._first(task, size, lambda route: self._ask(route, prompts, order))

    def structured(
        self,
        prompt: Prompt,
        form: type[Form],
        *,
        check: Callable[[Form], list[str]],
        max_tokens: int,
        seed: int,
    ) -> Form:
        """An answer of the task `script` that satisfies a schema and a check.

        A model whose answer does not is told why and may answer once more; then the next is asked.

        Args:
            prompt: a chat that asks for JSON.
            form: what the answer has to be.
            check: the rules that an answer breaks, none when it is good.
            max_tokens: of the answer.
            seed: see `Provider.complete`.

        Raises:
            GenerationError: if no model can be asked, or none gives a valid answer.
            ProviderError: if none answers and one may later.
        """
        order = _Order("script", max_tokens, seed, plain_schema(form))

        def ask(route: Route) -> Form:
            text = self._ask(route, [prompt], order)[0].text
            try:
                return parse(text, form, check)
            except InvalidAnswerError as error:
                self._note(route, error)
                told = prompting.render("repair", problems=error.problems).turns[-1]
            repair = prompt.followed_by(("assistant", text or "(nothing)"), told)
            return parse(self._ask(route, [repair], order)[0].text, form, check)

        return self._first("script", prompt_size(prompt) + max_tokens, ask)

    def _first(self, task: Task, size: int, action: Callable[[Route], T]) -> T:
        """The result of the first model that can do it and does."""
        failed: list[Exception] = []
        for route in self._sorted():
            if task not in route.model.tasks or size > route.model.context:
                continue
            try:
                result = action(route)
            except (FatalError, RetriableError, InvalidAnswerError) as error:
                self._note(route, error)
                failed.append(error)
            else:
                self.calls.main_model = route.model.name
                return result
        names = ", ".join(route.model.name for route in self.routes) or "none"
        reasons = "; ".join(str(error) for error in failed)
        reasons = reasons or f"none of {names} can do it ({task}, {size} tokens)"
        retriable = [error for error in failed if isinstance(error, RetriableError)]
        if retriable:
            waits = [error.retry_after_s for error in retriable if error.retry_after_s]
            wait = min(waits, default=None)
            raise ProviderError(f"no language model answered: {reasons}", retry_after_s=wait)
        raise GenerationError(f"no language model answered: {reasons}")

    def _note(self, route: Route, error: Exception) -> None:
        log.warning("%s: its answer is not used: %s", route.model.name, error)
        self.calls.failures.append(f"{route.model.name}: {error}")

    def _sorted(self) -> list[Route]:
        if not self.cheapest_first:
            return list(self.routes)
        # Sorting keeps the order of equals.
        return sorted(self.routes, key=lambda r: r.model.input_usd + r.model.output_usd)

    def _ask(self, route: Route, prompts: Sequence[Prompt], order: _Order) -> list[Completion]:
        """Answers of one model, in batches of its size, each with its attempts."""
        size = route.provider.batch_size
        found: list[Completion] = []
        for start in range(0, len(prompts), size):
            batch = prompts[start : start + size]
            numbered = _Order(order.task, order.max_tokens, order.seed + start, order.schema)
            found += retrying(self.sleep)(self._attempt, route, batch, numbered)
        return found

    def _attempt(self, route: Route, prompts: Sequence[Prompt], order: _Order) -> list[Completion]:
        """Ask once, with money held back before and booked after."""
        model, hold = route.model, ""
        limit = min(order.max_tokens, model.max_output)
        if not model.is_free:
            asked = sum(prompt_size(prompt) for prompt in prompts)
            most = Usage(asked, limit * len(prompts))
            hold = self._ledger.hold(model.name, model.cost_usd(most))
        started, used, outcome = time.monotonic(), Usage(), "failed"
        try:
            answers = self._through_breaker(
                route,
                partial(
                    route.provider.complete,
                    prompts, max_tokens=limit, seed=order.seed, schema=order.schema,
                ),
            )  # fmt: skip
            used, outcome = sum((answer.usage for answer in answers), Usage()), "answered"
        except Exception as error:
            outcome = type(error).__name__
            if isinstance(error, (InterruptedAnswerError, DeclinedError)):
                used = error.used
            raise
        finally:
            if hold:
                self._ledger.settle(hold, model.name, model.booked(used))
            self.calls.calls.append(
                Call(
                    model.name, order.task, len(prompts), outcome,
                    round(time.monotonic() - started, 3), used, model.cost_usd(used),
                    bool(hold) and self._ledger.is_shared,
                )
            )  # fmt: skip
        return answers

    def _through_breaker(
        self, route: Route, ask: Callable[[], list[Completion]]
    ) -> list[Completion]:
        if route.model.provider == "local":
            return ask()
        breaker = self.breaker(f"llm/{route.model.name}")
        try:
            answers: list[Completion] = breaker.call(ask)
        except pybreaker.CircuitBreakerError:
            raise LeftAloneError(
                f"{route.model.name} kept failing and is left alone for a while",
                retry_after_s=float(breaker.reset_timeout),
            ) from None
        return answers

    @cached_property
    def _ledger(self) -> CostLedger:
        return self.ledger()
