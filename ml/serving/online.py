"""Features of the online store, read in one round trip.

Feast writes one Redis hash an entity. `FeatureStore.get_online_features` spends milliseconds a call
on protobuf answers; this reads the same hashes, by Feast's own keys, and the end-to-end tests hold
the two together.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ml.exceptions import ServiceUnavailableError
from ml.serving import definitions
from ml.serving.batching import Batcher
from ml.serving.layouts import Layout, Row
from ml.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureStore
    from redis.asyncio import Redis

_MOST_LAYOUTS = 1000
_BYTES_AT_ONCE = 24_000
# After a store that hangs no request waits for its timeout for so long.
_PAUSE_S = 1.0


class OnlineReader:
    """Reads features by layout. A layout is looked up once: definitions come with the code."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._settings = settings
        self._redis = redis
        self._store: FeatureStore | None = None
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._opening = threading.Lock()
        self._pause_until = 0.0
        self._batched: Batcher[tuple[Layout, str], Row] = Batcher(self._fetch, limit=256)

    def known(self, references: Sequence[str]) -> Layout | None:
        """The layout if it has been looked up before."""
        return self._layouts.get(tuple(references))

    def layout(self, references: Sequence[str]) -> Layout:
        """Look up a service by name, or features as `view:feature`; opens the store once.

        Raises:
            UnknownFeatureError: if one is not registered or they are of different entities.
            ServiceUnavailableError: if the registry does not answer.
        """
        wanted = tuple(references)
        with self._opening:
            if wanted not in self._layouts:
                if self._store is None:
                    from ml.features import open_store

                    self._store = open_store(self._settings)
                if len(self._layouts) >= _MOST_LAYOUTS:
                    self._layouts.clear()
                self._layouts[wanted] = definitions.lay_out(self._store, wanted)
            return self._layouts[wanted]

    def service(self, name: str) -> Layout:
        """The layout of a service, kept on disk for as long as the definitions do not change.

        Importing Feast takes most of the time of a start; only the first one does it.

        Raises:
            UnknownFeatureError: if it is not registered.
            ServiceUnavailableError: if the registry does not answer.
        """
        folder = self._settings.model_cache_dir or self._settings.state_dir / "models"
        path = folder / "serving" / "layouts" / f"{name}-{definitions.definitions_digest()}.json"
        if path.is_file():
            layout = definitions.from_json(json.loads(path.read_text()))
            with self._opening:
                return self._layouts.setdefault((name,), layout)
        layout = self.layout([name])
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(definitions.as_json(layout)))
        partial.replace(path)
        return layout

    async def read(self, layout: Layout, entity_ids: Sequence[str]) -> list[Row]:
        """The stored rows of entities, in order; requests that come together share a trip.

        Raises:
            ServiceUnavailableError: if the online store does not answer.
        """
        return await self._batched([(layout, each) for each in entity_ids])

    async def _fetch(self, wanted: Sequence[tuple[Layout, str]]) -> list[Row]:
        import redis.exceptions

        if time.monotonic() < self._pause_until:
            raise ServiceUnavailableError("the online store did not answer a moment ago")
        pool: Any = self._redis.connection_pool
        try:
            connection = await pool.get_connection()
            try:
                answers = await self._exchange(connection, wanted)
            except BaseException:
                # Answers that are still under way belong to nobody else.
                await connection.disconnect(nowait=True)
                raise
            finally:
                await pool.release(connection)
        except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
            if isinstance(error, redis.exceptions.TimeoutError | TimeoutError):
                self._pause_until = time.monotonic() + _PAUSE_S
            raise ServiceUnavailableError(
                f"the online store does not answer: {type(error).__name__}"
            ) from error
        return [
            Row(layout, entity_id, tuple(cells))
            for (layout, entity_id), cells in zip(wanted, answers, strict=True)
        ]

    async def _exchange(
        self, connection: Any, wanted: Sequence[tuple[Layout, str]]
    ) -> list[list[bytes | None]]:
        """Send and read in turns, so that neither side waits with full buffers for the other."""
        answers: list[list[bytes | None]] = []
        waiting: list[bytes] = []
        size = 0
        for number, (layout, entity_id) in enumerate(wanted, start=1):
            # The commands of one layout differ in the key alone: the client would encode every
            # field of every one, which took longer than the trees.
            waiting.append(layout.command(entity_id))
            size += len(waiting[-1])
            if size >= _BYTES_AT_ONCE or number == len(wanted):
                await connection.send_packed_command(b"".join(waiting))
                answers += [await connection.read_response() for _ in waiting]
                waiting, size = [], 0
        return answers
