"""Dollars of paid calls: held back before a call, booked after it, never beyond the day's budget.

A hold is a row of `ops.cost_ledger` with the most that the call can cost. When the call is over it
gives way to one row a unit: tokens in and tokens out, or characters spoken. A process that dies in
between leaves its hold, which is right: the provider may charge for that call.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from ml.exceptions import QuotaExceededError
from ml.settings import Settings

Booked = Mapping[str, tuple[float, float]]
"""By unit: how many were used, and their dollars."""

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


@dataclass(frozen=True)
class Budget:
    """Dollars that one kind of call may cost in a UTC day: together, and by provider.

    Attributes:
        everyone: that the total is for.
        held: unit of a hold.
        units: of what is booked after a call.
        variables: that set the budget.
    """

    total_usd: float
    by_provider: Mapping[str, float] = field(default_factory=dict)
    everyone: str = "all models"
    held: str = "held_usd"
    units: tuple[str, ...] = ("prompt_tokens", "completion_tokens")
    variables: str = "YTEMPIRE_LLM_DAILY_BUDGET_USD or YTEMPIRE_LLM_PROVIDER_BUDGETS_USD"

    @classmethod
    def of(cls, settings: Settings) -> Budget:
        """That of language models."""
        return cls(settings.llm_daily_budget_usd, settings.llm_provider_budgets_usd)

    @classmethod
    def of_voices(cls, settings: Settings) -> Budget:
        """That of voices."""
        return cls(
            settings.voice_daily_budget_usd, everyone="all voices", held="held_voice_usd",
            units=("characters",), variables="YTEMPIRE_VOICE_DAILY_BUDGET_USD",
        )  # fmt: skip

    def check(self, payee: str, usd: float, spent: float, spent_here: float) -> None:
        """Make sure that a call fits.

        Args:
            payee: provider and model or voice, as `provider/name`.
            usd: the most it can cost.
            spent: what all of them have cost today.
            spent_here: what those of this provider have.

        Raises:
            QuotaExceededError: if it does not.
        """
        provider = provider_of(payee)
        own = self.by_provider.get(provider)
        limits = ((self.everyone, self.total_usd, spent), (provider, own, spent_here))
        for name, limit, used in limits:
            if limit is not None and used + usd > limit:
                raise QuotaExceededError(
                    f"{payee} may cost ${usd:.4f} and ${max(0.0, limit - used):.4f} of the"
                    f" ${limit:g} a day for {name} are left; raise {self.variables}, or wait until"
                    " midnight UTC"
                )


class CostLedger(Protocol):
    """Where paid calls are booked."""

    @property
    def is_shared(self) -> bool:
        """Whether what is booked here is in `ops.cost_ledger`."""
        ...

    def hold(self, payee: str, usd: float) -> str:
        """Hold back the most that a call can cost; gives the hold's id.

        Raises:
            QuotaExceededError: if the day's budget does not have it.
        """
        ...

    def settle(self, hold: str, payee: str, booked: Booked) -> None:
        """Book what the call has cost in the hold's place."""
        ...


class MemoryLedger:
    """A ledger that forgets with the process, for runs without a database."""

    is_shared = False

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.rows: dict[str, tuple[datetime, str, float]] = {}

    def hold(self, payee: str, usd: float) -> str:
        """Hold back, or raise `QuotaExceededError`."""
        today = datetime.now(UTC).date()
        rows = [(paid, cost) for at, paid, cost in self.rows.values() if at.date() == today]
        here = sum(cost for paid, cost in rows if provider_of(paid) == provider_of(payee))
        self._budget.check(payee, usd, sum(cost for _, cost in rows), here)
        hold = uuid.uuid4().hex
        self.rows[hold] = (datetime.now(UTC), payee, usd)
        return hold

    def settle(self, hold: str, payee: str, booked: Booked) -> None:
        """Book."""
        self.rows[hold] = (datetime.now(UTC), payee, sum(cost for _, cost in booked.values()))


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

    def hold(self, payee: str, usd: float) -> str:
        """Hold back, or raise `QuotaExceededError`; of two workers one waits for the other."""
        from ml.storage.postgres import transaction

        hold = uuid.uuid4().hex
        held = self._budget.held
        values = {"prefix": f"{provider_of(payee)}/", "units": [held, *self._budget.units]}
        with transaction(self._url) as conn:
            conn.execute(_LOCK)
            spent, here = conn.execute(_SPENT, values).fetchone() or (0, 0)
            self._budget.check(payee, usd, float(spent), float(here))
            conn.execute(_BOOK, (hold, self._video_id, self._stage, payee, held, usd, usd))
        return hold

    def settle(self, hold: str, payee: str, booked: Booked) -> None:
        """Replace the hold by what was used, if anything was."""
        from ml.storage.postgres import transaction

        with transaction(self._url) as conn:
            conn.execute("delete from ops.cost_ledger where cost_id = %s", (hold,))
            for unit, (quantity, usd) in booked.items():
                if quantity:
                    conn.execute(
                        _BOOK,
                        (f"{hold}/{unit}", self._video_id, self._stage, payee, unit, quantity, usd),
                    )


def provider_of(payee: str) -> str:
    """The provider in `provider/name`."""
    return payee.partition("/")[0]


def ledger_of(settings: Settings, *, video_id: str, stage: str, budget: Budget) -> CostLedger:
    """The ledger that the settings have; without a database, one of this process."""
    if settings.database_url is None:
        return MemoryLedger(budget)
    return PostgresLedger(settings.database_url, budget, video_id=video_id, stage=stage)
