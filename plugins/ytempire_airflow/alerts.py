"""Owner alerts: a failed run, a missed deadline."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseNotifier
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference


class OwnerAlert(BaseNotifier):
    """Tells the owner by every way that is configured; see `ml.monitoring.alerts`.

    Args:
        kind: `failure` or `deadline`.
    """

    template_fields = ()

    def __init__(self, kind: str = "failure") -> None:
        super().__init__()
        self.kind = kind

    def notify(self, context: Any) -> None:
        """Send it."""
        from ml.monitoring.alerts import Alert, send_alert

        run = context.get("dag_run")
        task = context.get("task_instance") or context.get("ti")
        send_alert(
            Alert(
                kind=self.kind,
                dag_id=_name(run, "dag_id"),
                run_id=_name(run, "run_id") or _name(run, "dag_run_id"),
                task_id=_name(task, "task_id"),
                message=str(context.get("reason") or "see the log of the run's failed task"),
            )
        )

    async def async_notify(self, context: Any) -> None:
        """Send it from the triggerer, without holding up its other work."""
        await asyncio.to_thread(self.notify, context)


async def missed_deadline(context: Any = None, **_: Any) -> None:
    """Called by the triggerer for a run that is not done in time."""
    reason = "the run is not done by its deadline; look at its running task, or clear it"
    await OwnerAlert("deadline").async_notify({**(context or {}), "reason": reason})


def _name(part: Any, field: str) -> str:
    value = part.get(field) if isinstance(part, dict) else getattr(part, field, None)
    return str(value or "")


def deadline(interval: timedelta) -> DeadlineAlert:
    """A deadline of a run, counted from when it was queued."""
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=interval,
        callback=AsyncCallback(missed_deadline),
    )


OWNER_ALERT = OwnerAlert()
