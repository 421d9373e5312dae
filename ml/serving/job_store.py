"""Jobs as rows of `ops.api_jobs`: the API adds and follows them, the worker writes what came of it.

Every change is keyed and a completed job never changes, so a run that is killed and tried again, or
that runs twice, leaves one result.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb

from ml.storage.postgres import query, transaction

Kind = Literal[
    "generate_script", "synthesize_voice", "generate_thumbnail", "assess_quality", "train"
]
Fault = Literal["request", "platform"]

# What a caller is told of a failure that is ours: its own words may name what we are set up with.
OUR_FAULT = "the platform could not do it; the log of the run says why"

_COLUMNS = (
    "job_id::text, kind, key_id, request, dag_id, run_id, status, progress, step, result, files,"
    " error, fault, created_at, finished_at"
)
_ADD = f"""
insert into ops.api_jobs as job (job_id, kind, key_id, request, dag_id, run_id)
values (%(job_id)s, %(kind)s, %(key_id)s, %(request)s, %(dag_id)s, %(run_id)s)
on conflict (job_id) do nothing
returning {_COLUMNS}
"""  # noqa: S608 - constants alone
_READ = f"select {_COLUMNS} from ops.api_jobs where job_id = any(%s::uuid[])"  # noqa: S608
_STEP = """
update ops.api_jobs set status = 'running', step = %(step)s, progress = %(progress)s,
    started_at = coalesce(started_at, now()), error = null, fault = null, finished_at = null
where job_id = %(job_id)s and status <> 'completed'
"""
_COMPLETE = """
update ops.api_jobs set status = 'completed', progress = 1, step = null, result = %(result)s,
    files = %(files)s, error = null, fault = null, finished_at = now()
where job_id = %(job_id)s and status <> 'completed'
"""
_FAIL = """
update ops.api_jobs set status = 'failed', step = null, error = %(error)s, fault = %(fault)s,
    finished_at = now()
where job_id = %(job_id)s and status in ('submitted', 'running')
"""


@dataclass(frozen=True)
class Job:
    """A row.

    Attributes:
        key_id: id of the API key whose caller asked for it.
        files: by name: `key` in the content bucket, `bytes`, `sha256` and `media_type`.
        fault: whether a failure is the request's or the platform's.
    """

    job_id: str
    kind: Kind
    key_id: str
    request: dict[str, Any]
    dag_id: str
    run_id: str
    status: Literal["submitted", "running", "completed", "failed"]
    progress: float
    step: str | None
    result: dict[str, Any] | None
    files: dict[str, dict[str, Any]]
    error: str | None
    fault: Fault | None
    created_at: datetime
    finished_at: datetime | None

    @property
    def is_finished(self) -> bool:
        """Whether it is completed or failed."""
        return self.finished_at is not None


def is_job_id(text: str) -> bool:
    """Whether a text has the form of an id."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


class JobStore:
    """The jobs of one database. Every method is one transaction.

    Raises:
        ServiceUnavailableError: by every method, if Postgres does not answer.
    """

    def __init__(self, database_url: str) -> None:
        self._url = database_url

    def add(
        self, job_id: str, kind: Kind, key_id: str, request: Mapping[str, Any], dag_id: str
    ) -> tuple[Job, bool]:
        """Add a job, or find the one of that id; and whether it is new."""
        values = {
            "job_id": job_id,
            "kind": kind,
            "key_id": key_id,
            "request": Jsonb(request),
            "dag_id": dag_id,
            "run_id": f"api-{job_id}",
        }
        with transaction(self._url) as conn:
            added = query(conn, _ADD, values)
            (row,) = added or query(conn, _READ, ([job_id],))
        return Job(**row), bool(added)

    def read(self, job_ids: Iterable[str]) -> dict[str, Job]:
        """The jobs of those ids that exist."""
        with transaction(self._url) as conn:
            rows = query(conn, _READ, (list(job_ids),))
        return {row["job_id"]: Job(**row) for row in rows}

    def step(self, job_id: str, step: str, progress: float) -> None:
        """Say what is being done now."""
        self._change(_STEP, job_id=job_id, step=step, progress=progress)

    def complete(
        self, job_id: str, result: Mapping[str, Any], files: Mapping[str, Any] | None = None
    ) -> None:
        """Write the answer."""
        self._change(_COMPLETE, job_id=job_id, result=Jsonb(result), files=Jsonb(files or {}))

    def fail(self, job_id: str, error: str, fault: Fault) -> None:
        """Write why there is none; a try that comes after it may still complete the job."""
        self._change(_FAIL, job_id=job_id, error=error[:1000], fault=fault)

    def _change(self, statement: str, **values: Any) -> None:
        with transaction(self._url) as conn:
            conn.execute(statement.encode(), values)
