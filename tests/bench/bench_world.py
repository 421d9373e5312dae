"""How like the archives the simulated world is, and how quick.

Compares growth of views, time on the charts and their turnover, Hacker News scores, and the lag
from there to GitHub, each with the distance between the archive's own two halves as a yardstick.
`data` is read by path and stays where it is; the lists of the world are taken as the archive's
collector would have taken them.

    python tests/bench/bench_world.py --data-dir DATA --out docs/world-fit.svg
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import world_archives as data
import world_figures as figures
from provenance import provenance
from pydantic import SecretStr
from world_chart import draw

from ml.settings import Settings
from ml.sources.base import Page
from ml.sources.catalog import get_source
from ml.world import parameters as p
from ml.world.bulk import Bulk, intervals
from ml.world.parameters import WORLD_START

_SEED = 7
_KEY = "bench-key"
_RESULTS = Path(__file__).parent / "results" / "world.json"


def main() -> None:
    """Run the bench; write its JSON and its picture."""
    arguments = _arguments()
    report: dict[str, Any] = {
        **provenance(),
        "load_before": round(os.getloadavg()[0], 1),
        "simulated_days": arguments.days,
    }
    report["fit"] = fit(arguments.data_dir, arguments.seed, arguments.days)
    report["speed"] = {"http": http_speed(arguments.pages), "bulk": bulk_speed()}
    _RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    draw(report["fit"], arguments.out)
    for line in _lines(report["fit"]):
        print(line)
    print(json.dumps(report["speed"]))


def fit(folder: Path, seed: int, days: int) -> dict[str, Any]:
    """Every figure of the archives beside that of the world."""
    panel, page = data.real_panel(folder), data.real_front_page(folder)
    world_panel = data.simulated_panel(seed, days)
    world_page = data.simulated_front_page(seed, days // 2)
    charts: dict[str, Any] = {}
    for region in p.REGIONS:
        real = data.real_charts(folder, region)
        world = data.simulated_charts(seed, region, days)
        charts[region] = {
            each.name: figures.compare(each, real, real.split(), world) for each in figures.CHARTS
        }
    return {
        "panel": {
            each.name: figures.compare(each, panel, panel.split(), world_panel)
            for each in figures.PANEL
        },
        "charts": charts,
        "front_page": {
            each.name: figures.compare(each, page, page.split(), world_page)
            for each in figures.FRONT_PAGE
        },
        "github_lag": figures.compare(
            figures.LAG, data.real_sightings(folder), None, data.simulated_sightings(seed, days)
        ),
    }


def _lines(fit: dict[str, Any]) -> Iterator[str]:
    groups = [fit["panel"], *fit["charts"].values(), fit["front_page"]]
    names = ["panel", *fit["charts"], "front page"]
    for name, group in zip(names, groups, strict=True):
        for figure, found in group.items():
            yield (
                f"{name:10} {figure:18} world {found['apart']:7.3f} from the archive,"
                f" its halves {found['halves_apart']:7.3f} apart ({found['unit']})"
            )
    yield f"{'github':10} {'lag':18} world {fit['github_lag']['apart']:7.3f} from the archive"


def http_speed(pages: int) -> dict[str, float]:
    """Rows a second over HTTP, one client and one server process on this machine."""
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as url:
        headers = {"X-Goog-Api-Key": _KEY}
        query = {"part": "snippet,contentDetails,statistics,status", "chart": "mostPopular",
                 "maxResults": "50"}  # fmt: skip
        regions = list(p.REGIONS)
        rows, started = 0, time.monotonic()
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
            for number in range(pages):
                at = WORLD_START + timedelta(days=30, minutes=10 * (number // len(regions)))
                found = client.get(
                    "/www.googleapis.com/youtube/v3/videos",
                    params={**query, "regionCode": regions[number % len(regions)]},
                    headers={"X-World-Now": at.isoformat()},
                )
                rows += len(found.raise_for_status().json()["items"])
        seconds = time.monotonic() - started
    return _rate(rows, seconds)


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """A world server in a process of its own; gives its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {
        **os.environ, "YTEMPIRE_STATE_DIR": str(folder), "YTEMPIRE_WORLD_KEY": _KEY,
        "YTEMPIRE_WORLD_DAILY_QUOTA": "1000000000",
    }  # fmt: skip
    command = [
        sys.executable, "-m", "uvicorn", "--factory", "ml.world.server:create_app", "--port", port,
        "--no-access-log", "--no-date-header", "--log-level", "warning",
    ]  # fmt: skip
    server = subprocess.Popen(command, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(
            transport=httpx.HTTPTransport(retries=8, trust_env=False), trust_env=False
        ) as client:
            client.get(f"{url}/health", timeout=60).raise_for_status()
        yield url
    finally:
        server.terminate()
        server.wait(10)


class _Nowhere:
    """Takes pages and keeps none, so that the writer alone is measured."""

    def write_interval(self, prefix: str, pages: Iterator[Page]) -> Sequence[Any]:
        for _ in pages:
            pass
        return []


def bulk_speed() -> dict[str, Any]:
    """Rows a second of the bulk writer, without the object storage."""
    found = {}
    for name, days, minutes, scale in (
        ("youtube", 1, 30, 1.0),
        ("hackernews_search", 2, 1440, 10.0),
    ):
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(world_key=SecretStr(_KEY), state_dir=Path(folder), world_seed=_SEED)
            bulk = Bulk(settings, scale)
            written = bulk.write(
                [get_source(name, bulk.settings)], intervals(WORLD_START, days, minutes), _Nowhere()
            )
        found[name] = {**asdict(written), "scale": scale} | _rate(written.items, written.seconds)
    return found


def _rate(rows: int, seconds: float) -> dict[str, float]:
    a_second = rows / seconds
    return {"rows_a_second": round(a_second), "million_a_day_takes_s": round(1e6 / a_second)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/world-fit.svg"))
    parser.add_argument("--seed", type=int, default=_SEED)
    parser.add_argument("--days", type=int, default=90, help="of the simulated world")
    parser.add_argument("--pages", type=int, default=2000, help="asked for over HTTP")
    return parser.parse_args()


if __name__ == "__main__":
    main()
