"""The page of videos as a person sees it: inside Airflow's UI, in headless Chromium."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect as connect_socket

from ml.storage.postgres import connect

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


class Tab:
    """One tab, driven over the DevTools protocol (https://chromedevtools.github.io)."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self.failures: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=30))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.failures.append(params["exceptionDetails"]["text"])
        if message.get("method") == "Network.responseReceived" and "/videos/" in (
            url := params["response"]["url"]
        ):
            status = params["response"]["status"]
            if status >= 400:
                self.failures.append(f"{status} {url}")

    def value(self, script: str) -> Any:
        """What an expression or a promise is."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True,
            userGesture=True,  # without one nothing may play sound
        )  # fmt: skip
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, script: str, holds: Callable[[Any], bool] = bool, seconds: float = 60) -> Any:
        end = time.monotonic() + seconds
        while not holds(found := self.value(script)):
            assert time.monotonic() < end, f"{script} is still {found!r}"
            time.sleep(0.2)
        return found


@pytest.fixture(scope="module")
def tab(platform, finished, tmp_path_factory) -> Iterator[Tab]:
    """A browser whose user is logged in to Airflow."""
    folder = tmp_path_factory.mktemp("chromium")
    options = ["--headless=new", "--disable-gpu", "--no-first-run", "--mute-audio",
               "--remote-debugging-port=0", "--window-size=1400,1000"]  # fmt: skip
    if os.geteuid() == 0:  # Chromium's sandbox does not run as root
        options.append("--no-sandbox")
    browser = subprocess.Popen(
        [CHROMIUM, *options, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = _port(folder, browser)
        pages = httpx.get(f"http://127.0.0.1:{port}/json", trust_env=False).json()
        address = next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")
        with connect_socket(address, max_size=None) as socket:
            tab = Tab(socket)
            _log_in(tab, platform)
            yield tab
    finally:
        browser.terminate()
        browser.wait(20)


def _port(folder: Path, browser: subprocess.Popen) -> str:
    end = time.monotonic() + 30
    while not (found := folder / "DevToolsActivePort").exists():
        assert browser.poll() is None, "Chromium ended"
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(0.2)
    return found.read_text().split()[0]


def _log_in(tab: Tab, platform) -> None:
    login = {
        "username": platform.airflow_username,
        "password": platform.airflow_password.get_secret_value(),
    }
    answer = httpx.post(f"{platform.airflow_url}/auth/token", json=login, trust_env=False)
    token = answer.raise_for_status().json()["access_token"]
    tab.call("Network.setCookie", name="_token", value=token, url=platform.airflow_url)


def test_the_menu_of_airflow_leads_to_the_videos(tab, platform):
    tab.call("Page.navigate", url=f"{platform.airflow_url}/plugin/videos")
    inside = "document.querySelector('iframe')?.contentDocument?.querySelector('h1')?.innerText"
    assert tab.until(inside) == "Videos"
    with connect(platform.require("database_url")) as conn:
        videos = {row[0] for row in conn.execute("select video_id from content.videos")}
    cards = (
        "[...document.querySelector('iframe').contentDocument.querySelectorAll('a.card')]"
        ".map(card => card.getAttribute('href'))"
    )
    assert set(tab.value(cards)) == videos
    # Each thumbnail is a picture that was loaded, and no box without one.
    widths = (
        "[...document.querySelector('iframe').contentDocument.images]"
        ".map(image => (image.loading = 'eager', image.naturalWidth))"
    )
    seen = tab.until(widths, lambda found: len(found) == len(videos) and all(found))
    assert set(seen) == {1280}
    assert tab.failures == []


def test_a_video_is_played_beside_its_scores_cost_and_provenance(tab, platform):
    with connect(platform.require("database_url")) as conn:
        rows = conn.execute("select video_id, duration_s::float8 from content.videos").fetchall()
    for video_id, duration in rows:
        tab.call("Page.navigate", url=f"{platform.airflow_url}/videos/{video_id}")
        tab.until("document.querySelector('video')?.readyState >= 1")
        assert tab.value("document.querySelector('video').duration") == pytest.approx(
            duration, abs=0.3
        )
        tab.value("document.querySelector('video').play()")
        tab.until("document.querySelector('video').currentTime > 0.5")
        headings = tab.value("[...document.querySelectorAll('h2')].map(each => each.innerText)")
        assert headings == ["About it", "Scores", "Cost", "Provenance"]
        text = tab.value("document.body.innerText")
        assert f"ytempire provenance {video_id}" in text
        assert "overall" in text
        manifest = json.loads(tab.value("document.querySelector('pre').innerText"))
        assert manifest["video_id"] == video_id
    assert tab.failures == []
