"""Landing as an operator: it gives its worker back while a provider makes it wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseOperator
from airflow.sdk.definitions.context import Context

# A shorter wait is one of Airflow's own retries.
_WORTH_DEFERRING = timedelta(seconds=60)


class LandOperator(BaseOperator):
    """Land intervals of a source family: fetch to bronze, then load, each exactly once.

    When a provider asks to wait for minutes, or its quota is used up for the day, the task sleeps
    in the triggerer and goes on by itself; what has landed by then is not fetched again.

    Args:
        family: name of the family.
        intervals: `{"start", "end"}` in ISO format, oldest first.
        changes: settings that the run overrides.
        dry_run: fetch and parse, and keep nothing.

    Returns:
        What landed of each interval of each source.
    """

    template_fields: Sequence[str] = ("changes", "is_dry_run")

    def __init__(
        self,
        *,
        family: str,
        intervals: list[dict[str, str]],
        changes: Any = None,
        is_dry_run: Any = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.family = family
        self.intervals = intervals
        self.changes = changes
        self.is_dry_run = is_dry_run

    def execute(self, context: Context, event: Any = None) -> list[dict[str, Any]]:  # noqa: ARG002
        """Land, or defer until the provider answers again."""
        from ml.exceptions import ProviderError, QuotaExceededError
        from ml.sources.intervals import parse
        from ml.storage.landing import land_family

        try:
            results = land_family(
                self.family,
                [parse(interval) for interval in self.intervals],
                run_id=str(context["run_id"]),
                changes=self.changes,
                dry_run=bool(self.is_dry_run),
            )
        except (ProviderError, QuotaExceededError) as error:
            until = resume_at(error)
            if until is None:
                raise
            self.log.warning("%s; going on at %s", error, until.isoformat())
            self.defer(trigger=DateTimeTrigger(moment=until), method_name="execute")
        return [result.summary() for result in results]


def resume_at(error: Exception) -> datetime | None:
    """When a failed landing is worth another try, None if Airflow's own retries will do."""
    now = datetime.now(UTC)
    until = getattr(error, "resets_at", None)
    if until is None:
        seconds = getattr(error, "retry_after_s", None)
        until = now + timedelta(seconds=seconds) if seconds else None
    return until if until is not None and until - now > _WORTH_DEFERRING else None
