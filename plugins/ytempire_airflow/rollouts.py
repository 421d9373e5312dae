"""A rollout as an operator: it gives its worker back between two looks at the health."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseOperator
from airflow.sdk.definitions.context import Context


class RollOutOperator(BaseOperator):
    """Roll a version out and watch it until it is champion or rolled back.

    A rollout that was rolled back fails the task, with the reason. Killed and started again, the
    task goes on with the rollout that is under way.

    Args:
        candidate: `model`, `version`, `strategy`, `approved` and `actor`.

    Returns:
        How it ended: `ml.registry.rollouts.Rollout.summary`.
    """

    template_fields: Sequence[str] = ("candidate",)

    def __init__(self, *, candidate: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.candidate = candidate

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Begin, and wait for the first look."""
        from ml.registry import rollouts
        from ml.registry.audit import Cause

        wanted = self.candidate
        rollout = rollouts.start(
            wanted["model"],
            wanted["version"],
            wanted["strategy"],
            Cause(wanted["actor"], f"rolled out as {wanted['strategy']}"),
            approved=wanted["approved"],
        )
        return self._go_on(rollout)

    def watch(self, context: Context, event: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """Look at the health, and wait for the next look or end."""
        from ml.registry import rollouts

        return self._go_on(rollouts.check(self.candidate["model"]))

    def _go_on(self, rollout: Any) -> dict[str, Any]:
        from ml.exceptions import GateError
        from ml.settings import get_settings

        summary: dict[str, Any] = rollout.summary()
        self.log.info("%s", summary)
        if rollout.status == "running":
            moment = datetime.now(UTC) + timedelta(seconds=get_settings().rollout_check_s)
            self.defer(trigger=DateTimeTrigger(moment=moment), method_name="watch")
        if rollout.status == "rolled_back":
            raise GateError(f"{rollout.model} {rollout.version} was rolled back: {rollout.reason}")
        return summary
