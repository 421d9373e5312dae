"""Dollars of paid calls: held back before a call, booked after it, never beyond the day's budget.

A hold is a row of `ops.cost_ledger` with unit `held_usd` and the most that the call can cost. When
the call is over it gives way to one row for the tokens in and one for the tokens out. A process
that dies in between leaves its hold, which is right: the provider may charge for that call.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from ml.exceptions import QuotaExceededError
from ml.generation.llm.catalog import Model
from ml.generation.llm.interface import Usage
from ml.settings import Settings

# One transaction at a time decides whether there is money left; the number is arbitrary.
_LOCK = "select pg_advisory_xact_lock(728164553)"
_SPENT = """
select coalesce(sum(cost_usd), 0),
       coalesce(sum(cost_usd) filter (where starts_with(provider, %(prefix)s)), 0)
from ops.cost_ledger
where unit = any(%(units)s)
    and created_at >= date_trunc('day', now() at time zone 'UTC') at time zone 'UTC'
"""
_BOOK = """
insert into ops.cost_ledger (cost_id, video_id, stage, provider, unit, quantity, cost_usd)
values (%s, %s, %s, %s, %s, %s, %s)
"""
_HELD = "held_usd"
_UNITS = ("prompt_tokens", "completion_tokens")


@dataclass(frozen=True)
class Budget:
    """Dollars that language models may cost in a UTC day: together, and by provider."""

    total_usd: float
    by_provider: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Budget:
        """The budget that is set."""
        return cls(settings.llm_daily_budget_usd, settings.llm_provider_budgets_usd)

    def check(self, model: Model, usd: float, spent: float, spent_here: float) -> None:
        """Make sure that a call fits.

        Args:
            model: that is to be called.
            usd: the most it can cost.
            spent: what all models have cost today.
            spent_here: what those of this provider have.

        Raises:
            QuotaExceededError: if it does not.
        """
        own = self.by_provider.get(model.provider)
        for name, limit, used in (("all models", self.total_usd, spent),
                                  (model.provider, own, spent_here)):  # fmt: skip
            if limit is not None and used + usd > limit:
                raise QuotaExceededError(
                    f"{model.name} may cost ${usd:.4f} and ${max(0.0, limit - used):.4f} of the"
                    f" ${limit:g} a day for {name} are left; raise YTEMPIRE_LLM_DAILY_BUDGET_USD or"
                    " YTEMPIRE_LLM_PROVIDER_BUDGETS_USD, or wait until midnight UTC"
                )


class CostLedger(Protocol):
    """Where paid calls are booked."""

    @property
    def is_shared(self) -> bool:
        """Whether what is booked here is in `ops.cost_ledger`."""
        ...

    def hold(self, model: Model, usd: float) -> str:
        """Hold back the most that a call can cost; gives the hold's id.

        Raises:
            QuotaExceededError: if the day's budget does not have it.
        """
        ...

    def settle(self, hold: str, model: Model, usage: Usage) -> None:
        """Book what the call has cost in the hold's place."""
        ...


class MemoryLedger:
    """A ledger that forgets with the process, for runs without a database."""

    is_shared = False

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.rows: dict[str, tuple[datetime, Model, float]] = {}

    def hold(self, model: Model, usd: float) -> str:
        """Hold back, or raise `QuotaExceededError`."""
        today = datetime.now(UTC).date()
        rows = [(m, cost) for at, m, cost in self.rows.values() if at.date() == today]
        here = sum(cost for m, cost in rows if m.provider == model.provider)
        self._budget.check(model, usd, sum(cost for _, cost in rows), here)
        hold = uuid.uuid4().hex
        self.rows[hold] = (datetime.now(UTC), model, usd)
        return hold

    def settle(self, hold: str, model: Model, usage: Usage) -> None:
        """Book."""
        self.rows[hold] = (datetime.now(UTC), model, model.cost_usd(usage))


class PostgresLedger:
    """`ops.cost_ledger`.

    Args:
        url: of the database.
        budget: of a day.
        video_id: whose calls these are.
        stage: that makes them.
    """

    is_shared = True

    def __init__(self, url: str, budget: Budget, *, video_id: str, stage: str) -> None:
        self._url, self._budget = url, budget
        self._video_id, self._stage = video_id, stage

    def hold(self, model: Model, usd: float) -> str:
        """Hold back, or raise `QuotaExceededError`; of two workers one waits for the other."""
        from ml.storage.postgres import transaction

        hold = uuid.uuid4().hex
        values = {"prefix": f"{model.provider}/", "units": [_HELD, *_UNITS]}
        with transaction(self._url) as conn:
            conn.execute(_LOCK)
            spent, here = conn.execute(_SPENT, values).fetchone() or (0, 0)
            self._budget.check(model, usd, float(spent), float(here))
            conn.execute(_BOOK, (hold, self._video_id, self._stage, model.name, _HELD, usd, usd))
        return hold

    def settle(self, hold: str, model: Model, usage: Usage) -> None:
        """Replace the hold by what the tokens cost, if there were any."""
        from ml.storage.postgres import transaction

        quantities = (usage.prompt_tokens, usage.completion_tokens)
        prices = model.prices(usage.prompt_tokens)
        with transaction(self._url) as conn:
            conn.execute("delete from ops.cost_ledger where cost_id = %s", (hold,))
            for unit, quantity, price in zip(_UNITS, quantities, prices, strict=True):
                if quantity:
                    conn.execute(
                        _BOOK,
                        (f"{hold}/{unit}", self._video_id, self._stage, model.name, unit,
                         quantity, quantity * price),
                    )  # fmt: skip


def ledger_of(settings: Settings, *, video_id: str, stage: str) -> CostLedger:
    """The ledger that the settings have; without a database, one of this process."""
    budget = Budget.of(settings)
    if settings.database_url is None:
        return MemoryLedger(budget)
    return PostgresLedger(settings.database_url, budget, video_id=video_id, stage=stage)
