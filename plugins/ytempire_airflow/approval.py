"""Airflow's human in the loop, for videos that the gate holds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context

APPROVE, REJECT, HOLD = "Approve", "Reject", "Hold"


class HeldVideoOperator(HITLOperator):
    """Asks a person about the video of the run if the gate holds it.

    Waits without a worker. Without an answer in time the video stays held. A video that passed or
    was rejected is nobody's question: the task ends at once.

    Args:
        hours: how long it waits.
    """

    def __init__(self, *, hours: float, **kwargs: Any) -> None:
        super().__init__(
            subject="Publish the video?",
            options=[APPROVE, REJECT, HOLD],
            defaults=HOLD,
            response_timeout=timedelta(hours=hours),
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        """Ask, with thumbnail, scores and script shown."""
        from ml.generation.gate_approval import request

        asked = request(context["params"]["video_id"])
        if asked is None:
            return "nobody is asked: the gate does not hold this video"
        self.subject, self.body = asked.subject, asked.body
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Record the answer."""
        from ml.generation.gate_approval import decide

        answer = super().execute_complete(context, event)
        chosen = answer["chosen_options"][0]
        user = answer["responded_by_user"]
        by = str(user.get("name") or user.get("id")) if user else "nobody in time"
        return decide(context["params"]["video_id"], chosen.lower(), by)


def approval() -> list[HeldVideoOperator]:
    """The task that asks, or none where nobody is to be asked."""
    from ml.settings import get_settings

    hours = get_settings().approval_hours
    return [HeldVideoOperator(task_id="approval", hours=hours)] if hours > 0 else []
