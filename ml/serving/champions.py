"""The models that serve: found by alias, warm, and swapped without dropping a request.

A request holds the `Served` that it began with, so a swap is one assignment. What cannot be loaded
is said on `/ready` and changes nothing: the last good version goes on, and its files stay on disk
for a start without the registry.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.exceptions import FatalError, RetriableError, ServiceUnavailableError
from ml.registry import artifacts, mirror, releases
from ml.registry.releases import Release
from ml.registry.tracking import client, reachable
from ml.serving.background import apart
from ml.serving.served import Canary, NotServedError, Served
from ml.settings import Settings

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger(__name__)

POLL_S = 10.0
_ACTIVE_TTL_S = 300
_LAST_GOOD = "last_good.json"
# Code that a model is loaded with is chosen here, never by what lies in the registry.
_LOADERS = {
    "trend_video": "ml.trend.video.loader",
    "quality_policy": "ml.quality.policy.loader",
    "audience_preference": "ml.audience.loader",
}
SERVED = tuple(_LOADERS)


class Champions:
    """The champion of each served model."""

    def __init__(
        self, settings: Settings, prepare: Mapping[str, Callable[[Any, Path, Release], Any]]
    ) -> None:
        """Remember how each model, loaded from a folder, becomes what answers."""
        self._settings = settings
        self._prepare = prepare
        self._served: dict[str, Served] = {}
        self._canaries: dict[str, Canary] = {}
        self._has_looked_back = False
        self.problems: dict[str, str] = {name: "not looked up yet" for name in SERVED}

    def get(self, name: str, caller: str = "") -> Served:
        """The version that answers this caller.

        Raises:
            NotServedError: if there is none; the message says why.
        """
        canary = self._canaries.get(name)
        if canary is not None and not canary.shadow and canary.takes(caller):
            return canary.served
        served = self._served.get(name)
        if served is None:
            raise NotServedError(f"{name}: {self.problems.get(name, 'not a served model')}")
        return served

    def shadow(self, name: str, caller: str = "") -> Served | None:
        """The version that is asked beside the one that answers this caller, if there is one."""
        canary = self._canaries.get(name)
        return canary.served if canary and canary.shadow and canary.takes(caller) else None

    def is_served(self, name: str) -> bool:
        """Whether there is a version that answers."""
        return name in self._served

    def state(self) -> list[dict[str, Any]]:
        """What serves and what is wrong, per model, for `/ready`."""
        rows = []
        for name in SERVED:
            served, canary = self._served.get(name), self._canaries.get(name)
            rows.append(
                {
                    "name": name,
                    "model_id": served.model_id if served else None,
                    "loaded_at": served.loaded_at if served else None,
                    "canary": canary.served.model_id if canary else None,
                    "problem": self.problems.get(name),
                }
            )
        return rows

    async def watch(self) -> None:
        """Look for moved aliases until cancelled."""
        await apart(self.refresh)
        # Modules and models stay: each walk of the collector over them would hold answers up.
        gc.collect()
        gc.freeze()
        while True:
            await asyncio.sleep(POLL_S)
            await apart(self.refresh)

    def refresh(self) -> None:
        """Bring every model in line with its alias; what fails leaves the last good version."""
        if not self._has_looked_back:
            # Their files are here: all serve at once, however long the registry takes.
            self._has_looked_back = True
            for name in SERVED:
                self._serve_last_good(name)
        for name in SERVED:
            try:
                self._follow(name)
                self._follow_canary(name)
                self.problems.pop(name, None)
            except Exception as error:
                # Whatever is wrong with a new version, the one that serves goes on.
                expected = isinstance(error, FatalError | RetriableError)
                text = str(error) if expected else f"cannot be loaded ({type(error).__name__})"
                if isinstance(error, ServiceUnavailableError):
                    # Everybody may read `/ready`; addresses are for the log.
                    text = text.partition(": ")[0]
                if self.problems.get(name) != text:
                    log.warning("%s: %s", name, error, exc_info=not expected)
                self.problems[name] = text

    def _follow(self, name: str) -> None:
        release = releases.champion(name, self._settings)
        serving = self._served.get(name)
        if release is None:
            raise NotServedError("no champion yet; train it and it is served within seconds")
        if serving is None or artifacts.identity(serving.release) != artifacts.identity(release):
            self._served[name] = self._load(release)
            _remember(self._folder(name), release)

    def candidate(self, name: str, version: str) -> Release:
        """A registered release by its semantic version or registry number.

        Of its aliases only `champion` is told.

        Raises:
            FatalError: if the registry has none.
        """
        champion = releases.champion(name, self._settings)
        if champion and version in (champion.version, str(champion.mlflow_version)):
            return champion
        registry = client(self._settings)
        with reachable():
            found = registry.search_model_versions(f"name = '{name}'", max_results=1000)
        for each in found:
            if version in (each.tags.get("version"), str(each.version)):
                return Release(
                    name=name,
                    version=each.tags.get("version", ""),
                    mlflow_version=int(each.version),
                    run_id=each.run_id,
                    aliases=(),
                    reason=each.tags.get("decision_reason", ""),
                    tags=dict(each.tags),
                )
        raise FatalError(f"the registry has no version {version} of {name}")

    def reload(self, release: Release, percent: float) -> Served:
        """Load a release here, and let the other workers follow with their next look.

        Args:
            release: of the registry.
            percent: of callers that it answers as a canary; 0 ends the canary of its model, and
                a champion serves at once.

        Raises:
            FatalError: if it cannot be used.
        """
        served = self._load(release)
        if release.is_champion:
            self._served[release.name] = served
            _remember(self._folder(release.name), release)
            percent = 0
        order = {"version": str(release.mlflow_version), "percent": percent}
        with self._redis() as redis:
            redis.set(f"serving:canary:{release.name}", json.dumps(order))
        self._set_canary(release.name, served, percent)
        return served

    def _set_canary(
        self, name: str, served: Served | None, percent: float, *, shadow: bool = False
    ) -> None:
        if served is None or percent <= 0:
            self._canaries.pop(name, None)
        else:
            self._canaries[name] = Canary(served, percent, shadow)

    def _follow_canary(self, name: str) -> None:
        """Bring the canary in line with the order that `reload` left for all workers."""
        try:
            with self._redis() as redis:
                if served := self._served.get(name):
                    redis.set(f"models:{name}:active", served.model_id, ex=_ACTIVE_TTL_S)
                stored: Any = redis.get(f"serving:canary:{name}")
        except ServiceUnavailableError:
            # Nobody could take a canary back.
            self._set_canary(name, None, 0)
            raise
        order = json.loads(stored) if stored else {"percent": 0}
        champion = self._served.get(name)
        if not order["percent"] or champion is None:
            self._set_canary(name, None, 0)
            return
        number = int(order["version"])
        if number == champion.release.mlflow_version:
            self._set_canary(name, None, 0)
            return
        percent, shadow = order["percent"], order.get("shadow", False)
        running = self._canaries.get(name)
        if running is None or running.served.release.mlflow_version != number:
            # Whatever ran before ends, also if its follower cannot be loaded.
            self._set_canary(name, None, 0)
            served = self._load(self.candidate(name, str(number)))
            self._set_canary(name, served, percent, shadow=shadow)
        elif (running.percent, running.shadow) != (percent, shadow):
            self._set_canary(name, running.served, percent, shadow=shadow)

    @contextmanager
    def _redis(self) -> Iterator[Redis]:
        import redis as library

        try:
            with library.Redis.from_url(
                self._settings.require("redis_url"), socket_timeout=2, socket_connect_timeout=2
            ) as connection:
                yield connection
        except library.RedisError as error:
            raise ServiceUnavailableError(f"Redis: {error}") from error

    def canary(self, name: str) -> Canary | None:
        """The canary of a model, if there is one."""
        return self._canaries.get(name)

    def _load(self, release: Release) -> Served:
        folder = artifacts.cached(release, self._settings)
        data = next(path for path in (folder / "data").iterdir() if path.is_dir())
        model = importlib.import_module(_LOADERS[release.name])._load_pyfunc(str(data))
        run = self._prepare[release.name](model, folder, release)
        return Served(release, run, self._row_id(release), datetime.now(UTC))

    def _row_id(self, release: Release) -> str:
        place = self._folder(release.name) / f"{artifacts.identity(release)}.row"
        try:
            row_id = mirror.model_id(release, self._settings)
        except ServiceUnavailableError:
            if not place.is_file():
                raise
            return place.read_text()
        place.write_text(row_id)
        return row_id

    def _folder(self, name: str) -> Path:
        return artifacts.cache(name, self._settings)

    def _serve_last_good(self, name: str) -> None:
        try:
            kept = self._last_good(name)
            if kept is not None:
                self._served[name] = self._load(kept)
        except Exception:
            log.warning("%s: what served last is of no use now", name, exc_info=True)

    def _last_good(self, name: str) -> Release | None:
        try:
            values = json.loads((self._folder(name) / _LAST_GOOD).read_text())
        except FileNotFoundError:
            return None
        return Release(**values | {"aliases": tuple(values["aliases"])})


def _remember(folder: Path, release: Release) -> None:
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
        json.dump(asdict(release), file)
    Path(file.name).replace(folder / _LAST_GOOD)
