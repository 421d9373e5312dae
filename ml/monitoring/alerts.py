"""Alerts to owners: always to `ops.alerts` and the log, by e-mail, Slack, PagerDuty where set up.

An alert never raises: what it reports has gone wrong already, and must not go wrong differently.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import httpx

from ml.exceptions import YtempireError
from ml.settings import Settings, get_settings
from ml.storage.postgres import transaction

log = logging.getLogger(__name__)

_TIMEOUT_S = 10.0
_EVERYWHERE = ("email", "slack")
Severity = Literal["critical", "error", "warning", "info"]


@dataclass(frozen=True)
class Alert:
    """What an owner should know.

    Attributes:
        kind: `failure`, `deadline`, `warning` or `recovery`.
        message: one line that says what to do.
        severity: as PagerDuty names it.
        key: what fires and recovers; the same in both notices.
    """

    kind: str
    dag_id: str
    run_id: str
    message: str
    task_id: str = ""
    severity: Severity = "error"
    key: str = ""

    @property
    def title(self) -> str:
        """Subject line."""
        return f"ytempire {self.kind}: {self.key or self.dag_id}"

    @property
    def text(self) -> str:
        """The whole alert as plain text."""
        place = f"{self.dag_id} / {self.run_id}" + (f" / {self.task_id}" if self.task_id else "")
        return f"{self.title}\n{place}\n{self.message}"


def send_alert(
    alert: Alert, settings: Settings | None = None, routes: Collection[str] = _EVERYWHERE
) -> list[str]:
    """Send an alert by every route that is named and configured; the log has it in any case.

    Args:
        alert: what to say.
        settings: those of the process by default.
        routes: of `email`, `slack` and `pagerduty`.

    Returns:
        Where it went.
    """
    settings = settings or get_settings()
    log.warning("%s", alert.text)
    ways: dict[str, tuple[bool, Callable[[Alert, Settings], None]]] = {
        "email": (bool(settings.smtp_url and settings.alert_emails), _send_email),
        "slack": (settings.slack_webhook_url is not None, _send_slack),
        "pagerduty": (settings.pagerduty_routing_key is not None, _send_pagerduty),
    }
    sent = []
    for name, (is_set_up, send) in ways.items():
        try:
            if name in routes and is_set_up:
                send(alert, settings)
                sent.append(name)
        except (OSError, smtplib.SMTPException, httpx.HTTPError) as error:
            # Only the type: the text of an HTTP error holds the webhook, which is a secret.
            log.warning("the alert did not go out by %s: %s", name, type(error).__name__)
    _keep(alert, sent, settings)
    return sent


def _send_email(alert: Alert, settings: Settings) -> None:
    url = urlsplit(settings.require("smtp_url"))
    message = EmailMessage()
    message["Subject"] = alert.title
    message["From"] = settings.alert_sender
    message["To"] = ", ".join(settings.alert_emails)
    message.set_content(alert.text)
    connect = smtplib.SMTP_SSL if url.scheme == "smtps" else smtplib.SMTP
    with connect(url.hostname or "localhost", url.port or 0, timeout=_TIMEOUT_S) as server:
        if url.username:
            if url.scheme == "smtp":
                server.starttls()
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(message)


def _send_slack(alert: Alert, settings: Settings) -> None:
    # The shape of https://api.slack.com/messaging/webhooks (read 2026-11).
    webhook = settings.require("slack_webhook_url")
    httpx.post(webhook, json={"text": alert.text}, timeout=_TIMEOUT_S).raise_for_status()


def _send_pagerduty(alert: Alert, settings: Settings) -> None:
    # Events API v2, https://developer.pagerduty.com/docs/send-alert-event (read 2026-11).
    event: dict[str, Any] = {
        "routing_key": settings.require("pagerduty_routing_key"),
        "event_action": "resolve" if alert.kind == "recovery" else "trigger",
        "dedup_key": f"ytempire/{alert.key or alert.dag_id + '/' + alert.run_id}",
        "payload": {
            "summary": f"{alert.title}: {alert.message}"[:1024],
            "source": "ytempire",
            "severity": alert.severity,
            "component": alert.dag_id,
            "custom_details": {"run_id": alert.run_id, "task_id": alert.task_id},
        },
    }
    httpx.post(settings.pagerduty_url, json=event, timeout=_TIMEOUT_S).raise_for_status()


def _keep(alert: Alert, sent: list[str], settings: Settings) -> None:
    values = (alert.kind, alert.dag_id, alert.run_id, alert.task_id, alert.message, sent)
    try:
        with transaction(settings.require("database_url")) as conn:
            conn.execute(
                "insert into ops.alerts (kind, dag_id, run_id, task_id, message, sent_to)"
                " values (%s, %s, %s, %s, %s, %s)",
                values,
            )
    except YtempireError as error:
        log.warning("the alert is not recorded: %s", error)
