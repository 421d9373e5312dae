"""Long work: runs that the API submits to Airflow over REST, and follows.

The state of a job is its row in Postgres, so any worker of the API can tell it and a restart loses
nothing. One task a process asks for the rows of all jobs that are followed in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import psycopg

from ml.airflow_client import AirflowClient
from ml.exceptions import FatalError, ServiceUnavailableError, YtempireError
from ml.serving.job_store import OUR_FAULT, Job, JobStore, Kind
from ml.settings import Settings

log = logging.getLogger(__name__)
_T = TypeVar("_T")

_LOOK_EVERY_S = 0.25
# Airflow is asked how a run is seldom: the row says more, unless the run died.
_ASK_AIRFLOW_EVERY_S = 3.0
_AIRFLOW_TIMEOUT_S = 10.0
_PAUSE_S = 3.0
_LOST_AFTER_S = 60.0
_MOST_FOLLOWED = 200


class Jobs:
    """Submits jobs and tells how they are."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.store = JobStore(settings.require("database_url"))
        self.airflow = AirflowClient(settings, timeout_s=_AIRFLOW_TIMEOUT_S, retries=1)
        self._followers: dict[str, set[asyncio.Queue[Job]]] = {}
        self._asked_airflow: dict[str, float] = {}
        self._looking: asyncio.Task[None] | None = None
        self._pause_until = 0.0
        self.problem = ""

    async def submit(
        self,
        kind: Kind,
        dag_id: str,
        key_id: str,
        request: Mapping[str, Any],
        idempotency_key: str | None = None,
    ) -> Job:
        """Add a job and start its run; with the key of an earlier one, that job.

        Args:
            kind: of the work.
            dag_id: of the DAG that does it.
            key_id: of the caller.
            request: valid, as JSON holds it.
            idempotency_key: that the caller chose, so that it may ask again after a lost answer.

        Raises:
            ServiceUnavailableError: if Airflow or Postgres does not answer.
        """
        name = f"{key_id}:{dag_id}:{idempotency_key}" if idempotency_key else uuid.uuid4().hex
        job_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"ytempire:job:{name}"))
        # Asked first: a row without a run would wait for nobody.
        await self.ask_airflow(lambda: self.airflow.run(dag_id, "none"))
        job, is_new = await asyncio.to_thread(self.store.add, job_id, kind, key_id, request, dag_id)
        if is_new or job.status == "submitted":
            # The work reads the request from the row: a key that is used again changes nothing.
            conf = {} if kind == "train" else {"job_id": job_id}
            await self.ask_airflow(lambda: self.airflow.trigger(dag_id, conf, job.run_id))
        return job

    async def find(self, job_id: str) -> Job | None:
        """A job as it is now; None if there is none."""
        job = (await asyncio.to_thread(self.store.read, [job_id])).get(job_id)
        if job is None or job.is_finished:
            return job
        await self._reconcile(job)
        return (await asyncio.to_thread(self.store.read, [job_id])).get(job_id)

    async def wait(self, job: Job, seconds: float) -> Job:
        """The job when it is finished, or as it is after some time."""
        if job.is_finished or seconds <= 0 or len(self._followers) >= _MOST_FOLLOWED:
            return job
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for state in self.follow(job):
                    job = state
        return job

    async def follow(self, job: Job) -> AsyncIterator[Job]:
        """The job at every change, until it is finished."""
        changes: asyncio.Queue[Job] = asyncio.Queue()
        self._followers.setdefault(job.job_id, set()).add(changes)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            yield job
            while not job.is_finished:
                latest = await changes.get()
                if latest != job:
                    job = latest
                    yield job
        finally:
            self._followers[job.job_id].discard(changes)
            if not self._followers[job.job_id]:
                del self._followers[job.job_id]
                self._asked_airflow.pop(job.job_id, None)

    async def close(self) -> None:
        """End the task that follows jobs; their runs go on."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def ask_airflow(self, call: Callable[[], _T]) -> _T:
        """Call Airflow in a thread; after a failure it is left alone for some seconds.

        Raises:
            ServiceUnavailableError: if it does not answer.
            FatalError: if it refuses.
        """
        if time.monotonic() < self._pause_until:
            raise ServiceUnavailableError("Airflow does not answer")
        try:
            answer = await asyncio.to_thread(call)
        except ServiceUnavailableError:
            self._pause_until = time.monotonic() + _PAUSE_S
            self.problem = "it does not answer; scripts, voices, thumbnails and trainings wait"
            raise
        except FatalError:
            self.problem = "it refuses what the API asks of it; the log says what"
            raise
        self.problem = ""
        return answer

    async def _look(self) -> None:
        while self._followers:
            try:
                await self._tell_changes()
            except (YtempireError, psycopg.Error) as error:
                log.warning("jobs cannot be followed now: %s", error)
                await asyncio.sleep(1)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _tell_changes(self) -> None:
        rows = await asyncio.to_thread(self.store.read, list(self._followers))
        for job_id, job in rows.items():
            for follower in self._followers.get(job_id, ()):
                if follower.empty():  # a slow reader gets what is then the newest
                    follower.put_nowait(job)
            now = time.monotonic()
            if not job.is_finished and now > self._asked_airflow.get(job_id, now - 1):
                self._asked_airflow[job_id] = now + _ASK_AIRFLOW_EVERY_S
                await self._reconcile(job)

    async def _reconcile(self, job: Job) -> None:
        """Bring a job that is not finished in line with its run: a killed worker tells nobody."""
        try:
            run = await self.ask_airflow(lambda: self.airflow.run(job.dag_id, job.run_id))
            await asyncio.to_thread(self._settle, job, run)
        except YtempireError as error:
            log.warning("the run of job %s is not known now: %s", job.job_id, error)

    def _settle(self, job: Job, run: Mapping[str, Any] | None) -> None:
        if run is None:
            if (datetime.now(UTC) - job.created_at).total_seconds() > _LOST_AFTER_S:
                self.store.fail(job.job_id, "its run was never started; ask again", "platform")
        elif run["state"] == "failed":
            self.store.fail(job.job_id, OUR_FAULT, "platform")
        elif job.kind == "train":
            self._settle_training(job, run["state"])

    def _settle_training(self, job: Job, state: str) -> None:
        tasks = self.airflow.tasks(job.dag_id, job.run_id)
        if state != "success":
            ended = [task for task in tasks if task["state"] in ("success", "skipped")]
            active = sorted(task["task_id"] for task in tasks if task["state"] == "running")
            if active:
                self.store.step(job.job_id, ", ".join(active), len(ended) / len(tasks))
            return
        release = self.airflow.result(job.dag_id, job.run_id, "train_and_register")
        if release is None:
            self.store.fail(
                job.job_id, "skipped: there is too little to learn from yet", "platform"
            )
        else:
            self.store.complete(job.job_id, release)
