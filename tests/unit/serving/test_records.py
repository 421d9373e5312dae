"""Predictions wait in a bounded queue, and none is lost at the end."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from ml.exceptions import ServiceUnavailableError
from ml.serving.records import Record, Recorder
from ml.settings import Settings


def record():
    return Record(str(uuid.uuid4()), "m", "t", "e", "{}", "{}", 0.5, 3, "2030-01-01", "{}")


class Written(Recorder):
    """A recorder whose database is a list."""

    def __init__(self, settings, *, away=False, **options):
        super().__init__(settings, **options)
        self.rows, self.away = [], away

    def _write(self, batch):
        if self.away:
            raise ServiceUnavailableError("Postgres is away")
        self.rows += batch


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=tmp_path)


def test_what_is_too_much_is_counted_and_the_rest_is_kept(settings):
    recorder = Written(settings, most_waiting=3)
    records = [record() for _ in range(5)]
    for each in records:
        recorder.add(each)
    asyncio.run(recorder.close())
    assert recorder.rows == records[:3]
    assert recorder.shed == 2


def test_what_cannot_be_written_at_the_end_is_written_by_the_next_start(settings):
    records = [record() for _ in range(4)]
    first = Written(settings, away=True)
    for each in records:
        first.add(each)
    asyncio.run(first.close())
    assert first.rows == []

    async def start_again():
        second = Written(settings)
        running = asyncio.create_task(second.run())
        while len(second.rows) < len(records):
            await asyncio.sleep(0.01)
        running.cancel()
        return second.rows

    assert asyncio.run(asyncio.wait_for(start_again(), 5)) == records
    assert not list((settings.state_dir / "serving" / "unwritten").iterdir())


def test_what_waits_through_an_outage_is_written_in_order_after_it(settings):
    recorder = Written(settings, away=True)
    records = [record() for _ in range(3)]

    async def outage():
        running = asyncio.create_task(recorder.run())
        for each in records:
            recorder.add(each)
        await asyncio.sleep(0.7)
        assert recorder.rows == []
        recorder.away = False
        await asyncio.sleep(0.7)
        running.cancel()

    asyncio.run(outage())
    assert recorder.rows == records
