"""Predictions on their way to `ml.model_predictions`, off the path of requests.

A bounded queue is written in batches. When Postgres is away the queue fills and what comes then is
shed and counted, as is a prediction that Postgres refuses for what is in it. What is left at the
end and cannot be written goes to a file that the next start writes first.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import psycopg

from ml.exceptions import ServiceUnavailableError
from ml.serving import metrics
from ml.settings import Settings
from ml.storage.postgres import Merge, copy_rows, create_staging, merge, transaction

log = logging.getLogger(__name__)

_EVERY_S = 0.5
_BATCH = 1000
_MOST_WAITING = 50_000
_LAST_S = 5.0
# For what is in a row: it would be refused again.
_REFUSED = (psycopg.DataError, psycopg.IntegrityError)
# Written again after a lost answer, a prediction is still one row: its id is its own.
_TARGET = Merge(table="ml.model_predictions", key=("id",), same=("id",))
_COLUMNS = (
    "id",
    "model_id",
    "prediction_type",
    "entity_id",
    "input_data",
    "prediction",
    "confidence",
    "latency_ms",
    "created_at",
    "metadata",
)


@dataclass(frozen=True, slots=True)
class Record:
    """One prediction as it was answered; `as_of` stays null, the features' time is in the input.

    The JSON columns are texts already.
    """

    id: str
    model_id: str
    prediction_type: str
    entity_id: str | None
    input_data: str
    prediction: str
    confidence: float | None
    latency_ms: int
    created_at: str
    metadata: str


class Recorder:
    """Takes predictions without waiting and writes them from a task."""

    def __init__(self, settings: Settings, most_waiting: int = _MOST_WAITING) -> None:
        self._settings = settings
        self._waiting: deque[Record] = deque()
        self._most = most_waiting
        self._failures: deque[tuple[str, str, str]] = deque(maxlen=_BATCH)
        self.shed = 0

    def add(self, record: Record) -> None:
        """Take a prediction; one too many is dropped and counted."""
        if len(self._waiting) >= self._most:
            self._drop()
            return
        self._waiting.append(record)

    def _drop(self) -> None:
        self.shed += 1
        metrics.SHED.inc()

    def failed(self, model_id: str, prediction_type: str, error: Exception) -> None:
        """Take an answer that a version could not give, for the health of its rollout."""
        self._failures.append((model_id, prediction_type, type(error).__name__))

    async def run(self) -> None:
        """Write until cancelled, first what an earlier process left."""
        await asyncio.to_thread(self._take_spooled)
        while True:
            await asyncio.sleep(_EVERY_S)
            await self._write_waiting()

    async def close(self) -> None:
        """Write what is left, or else put it into a file for the next start."""
        try:
            async with asyncio.timeout(_LAST_S):
                while self._waiting and await self._write_waiting():
                    pass
        except TimeoutError:
            log.warning("Postgres takes too long for the last predictions")
        if self._waiting:
            self._spool()

    async def _write_waiting(self) -> bool:
        """Write all that waits; False if Postgres did not take it."""
        if self._failures:
            await self._write_failures()
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                written = await asyncio.shield(asyncio.to_thread(self._write_sound, batch))
            except (ServiceUnavailableError, psycopg.Error) as error:
                log.warning("predictions are not written yet: %s", error)
                self._waiting.extendleft(reversed(batch))
                return False
            except asyncio.CancelledError:
                # The thread may finish or not; writing twice is one row.
                self._waiting.extendleft(reversed(batch))
                raise
            metrics.RECORDED.inc(written)
        return True

    async def _write_failures(self) -> None:
        failures = [self._failures.popleft() for _ in range(len(self._failures))]
        try:
            await asyncio.to_thread(self._copy_failures, failures)
        except _REFUSED as error:
            log.error("%d failed answers are refused: %s", len(failures), type(error).__name__)
        except (ServiceUnavailableError, psycopg.Error) as error:
            log.warning("failed answers are not written yet: %s", error)
            self._failures.extend(failures)

    def _copy_failures(self, failures: Sequence[tuple[str, str, str]]) -> None:
        with transaction(self._settings.require("database_url")) as conn:
            copy_rows(conn, "ml.serving_errors", ("model_id", "prediction_type", "error"), failures)

    def _write_sound(self, batch: Sequence[Record]) -> int:
        """Write, and drop alone what Postgres will never take; how many it took."""
        try:
            self._write(batch)
            return len(batch)
        except _REFUSED as error:
            if len(batch) == 1:
                # Its words may quote the input.
                log.error("prediction %s is refused: %s", batch[0].id, type(error).__name__)
                self._drop()
                return 0
        middle = len(batch) // 2
        return self._write_sound(batch[:middle]) + self._write_sound(batch[middle:])

    def _write(self, batch: Sequence[Record]) -> None:
        with transaction(self._settings.require("database_url")) as conn:
            staging = create_staging(conn, _TARGET.table, _COLUMNS)
            copy_rows(conn, staging, _COLUMNS, map(astuple, batch))
            merge(conn, staging, _TARGET, _COLUMNS)

    def _spool_folder(self) -> Path:
        return self._settings.state_dir / "serving" / "unwritten"

    def _spool(self) -> None:
        folder = self._spool_folder()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{uuid.uuid4()}.jsonl"
        partial = path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(astuple(each)) + "\n" for each in self._waiting))
        partial.replace(path)
        log.warning("%d predictions wait in %s for the next start", len(self._waiting), path)
        self._waiting.clear()

    def _take_spooled(self) -> None:
        for path in sorted(self._spool_folder().glob("*.jsonl")):
            taken = path.with_suffix(".taken")
            try:
                path.rename(taken)  # one worker only
                lines = taken.read_text().splitlines()
                if lines:
                    self._write_sound([Record(*json.loads(line)) for line in lines])
                taken.unlink()
            except FileNotFoundError:
                continue
            except (ServiceUnavailableError, psycopg.Error) as error:
                log.warning("%s waits on: %s", path, error)
                taken.rename(path)


def as_json(value: Any) -> str:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), default=str)
