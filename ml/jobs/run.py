"""Does the work of a job. This is the whole task of a DAG.

Killed anywhere it can be run again: files are keyed by the job and the first result stays.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ml.exceptions import FatalError, RequestError
from ml.generation.artifacts import ArtifactStore, sha256_of
from ml.serving.job_store import OUR_FAULT, JobStore, Kind
from ml.settings import Settings, get_settings

log = logging.getLogger(__name__)

# The function that does each kind, imported where it runs: it may load a language model.
_WORK: Mapping[Kind, str] = {
    "generate_script": "ml.jobs.script:write_script",
    "synthesize_voice": "ml.jobs.voice:synthesize",
    "generate_thumbnail": "ml.jobs.thumbnails:draw",
    "assess_quality": "ml.jobs.assessment:assess",
}
_MEDIA_TYPES = {
    ".mp3": "audio/mpeg", ".wav": "audio/wav", ".ogg": "audio/ogg", ".jpg": "image/jpeg",
}  # fmt: skip


@dataclass
class Task:
    """What a kind of work gets, and where it puts its files.

    Attributes:
        report: says what is being done and which share of it is done.
        work: an empty folder that is removed afterwards.
    """

    job_id: str
    settings: Settings
    store: ArtifactStore
    report: Callable[[str, float], None]
    work: Path
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """The same for every try of a job."""
        return int(hashlib.sha256(self.job_id.encode()).hexdigest()[:8], 16)

    def keep(self, path: Path) -> str:
        """Store a finished file, and return the path of the API under which its caller gets it."""
        key = f"jobs/{self.job_id}/{path.name}"
        self.store.put_file(key, path)
        self.files[path.name] = {
            "key": key,
            "bytes": path.stat().st_size,
            "sha256": sha256_of(path),
            "media_type": _MEDIA_TYPES[path.suffix],
        }
        return f"/ml/v1/jobs/{self.job_id}/files/{path.name}"


def run_job(kind: Kind, job_id: str, *, settings: Settings | None = None) -> None:
    """Do what the job's row asks for and write the result to it.

    Raises:
        RequestError: if the request cannot be fulfilled; the row says why.
        FatalError: if the platform cannot do it as it is set up; only the log says why.
        YtempireError: if something is away; trying again may help.
    """
    from tempfile import TemporaryDirectory

    from ml.generation.records import content_store

    settings = settings or get_settings()
    jobs = JobStore(settings.require("database_url"))
    found = jobs.read([job_id]).get(job_id)
    if found is None or found.kind != kind:
        raise FatalError(f"there is no job {job_id} of {kind}; jobs are added by the HTTP API")
    if found.status == "completed":
        log.info("job %s is completed already", job_id)
        return
    module, _, function = _WORK[kind].partition(":")
    jobs.step(job_id, "starting", 0.0)
    with TemporaryDirectory(prefix=f"ytempire-{kind}-") as folder:
        task = Task(
            job_id,
            settings,
            content_store(settings),
            lambda step, progress: jobs.step(job_id, step, progress),
            Path(folder),
        )
        try:
            answer: BaseModel = getattr(import_module(module), function)(task, found.request)
        except RequestError as error:
            jobs.fail(job_id, str(error), "request")
            raise
        except FatalError:
            jobs.fail(job_id, OUR_FAULT, "platform")
            raise
        jobs.complete(job_id, answer.model_dump(mode="json", by_alias=True), task.files)


def record_failure(job_id: str) -> None:
    """Say that a job has used up its tries."""
    JobStore(get_settings().require("database_url")).fail(job_id, OUR_FAULT, "platform")
