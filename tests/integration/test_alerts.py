"""Alerts go to a real mail server, a real webhook and the database, and never break anything."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from pydantic import SecretStr

from ml.monitoring.alerts import Alert, send_alert
from ml.storage import postgres

ALERT = Alert("failure", "ingest_reddit", "manual__1", "set REDDIT_CLIENT_ID", "land")


class Mailbox(Message):
    def __init__(self):
        super().__init__()
        self.messages = []

    def handle_message(self, message):
        self.messages.append(message)


@pytest.fixture
def mailbox():
    box = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        box.port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    yield box
    controller.stop()


@pytest.fixture
def webhook():
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if "refuse" in self.path else 200)
            self.end_headers()

        def log_message(self, *_):
            """Stay quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()


def kept(run_id):
    with postgres.connect() as conn:
        return conn.execute(
            "select kind, dag_id, task_id, message, sent_to from ops.alerts where run_id = %s",
            (run_id,),
        ).fetchall()


def test_an_alert_reaches_mail_slack_and_the_database(stack, mailbox, webhook):
    url, received = webhook
    settings = stack.changed(
        {
            "smtp_url": SecretStr(f"smtp://127.0.0.1:{mailbox.port}"),
            "alert_emails": ["owner@example.org"],
            "slack_webhook_url": SecretStr(url),
        }
    )
    assert send_alert(ALERT, settings) == ["email", "slack"]
    (mail,) = mailbox.messages
    assert mail["Subject"] == "ytempire failure: ingest_reddit"
    assert mail["To"] == "owner@example.org"
    assert "set REDDIT_CLIENT_ID" in mail.get_payload()
    assert received == [{"text": ALERT.text}]
    assert kept("manual__1") == [
        ("failure", "ingest_reddit", "land", "set REDDIT_CLIENT_ID", ["email", "slack"])
    ]


def test_pagerduty_gets_an_event_that_the_recovery_resolves(stack, webhook):
    url, received = webhook
    settings = stack.changed(
        {
            "pagerduty_routing_key": SecretStr("R0UT1NG"),
            "pagerduty_url": f"{url}/v2/enqueue",
            "slack_webhook_url": SecretStr(url),
        }
    )
    for kind in ("warning", "recovery"):
        alert = Alert(kind, "watch_warnings", "m3", "look", severity="critical", key="drift/m")
        assert send_alert(alert, settings, ["pagerduty"]) == ["pagerduty"]
    triggered, resolved = received
    assert triggered == {
        "routing_key": "R0UT1NG",
        "event_action": "trigger",
        "dedup_key": "ytempire/drift/m",
        "payload": {
            "summary": "ytempire warning: drift/m: look",
            "source": "ytempire",
            "severity": "critical",
            "component": "watch_warnings",
            "custom_details": {"run_id": "m3", "task_id": ""},
        },
    }
    assert (resolved["event_action"], resolved["dedup_key"]) == ("resolve", "ytempire/drift/m")


def test_an_alert_that_cannot_go_out_is_kept_and_raises_nothing(stack, webhook, caplog):
    url, received = webhook
    settings = stack.changed(
        {
            "smtp_url": SecretStr("smtp://127.0.0.1:1"),
            "alert_emails": ["owner@example.org"],
            "slack_webhook_url": SecretStr(f"{url}/refuse-secret-path"),
        }
    )
    assert send_alert(Alert("deadline", "d", "manual__2", "look"), settings) == []
    assert len(received) == 1
    assert kept("manual__2") == [("deadline", "d", "", "look", [])]
    assert "secret-path" not in caplog.text
