"""Long work: scripts, voices, thumbnails, assessments, and how they are.

The answer comes as soon as the run is done: with 200 if that is within the route's time, else a 202
says where to ask. `Prefer: wait=5` shortens that time, `Prefer: respond-async` answers at once
(RFC 7240); a request that is repeated with the same `Idempotency-Key` is the same job.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Response, WebSocket, WebSocketDisconnect
from pydantic import BaseModel

from ml.serving.assessments import ModelScores, assessment, text_checks
from ml.serving.job_schemas import JobState
from ml.serving.job_store import Job, Kind, is_job_id
from ml.serving.own_files import ForeignAddressError, content_key
from ml.serving.routes import work_examples as examples
from ml.serving.routes.predictions import Api, record_texts, score_texts
from ml.serving.security import ApiError, Caller, require
from ml.serving.services import Services, services
from ml.serving.work_schemas import (
    Assessment,
    AssessRequest,
    ScriptAnswer,
    ScriptRequest,
    ThumbnailAnswer,
    ThumbnailRequest,
    VoiceAnswer,
    VoiceRequest,
)
from ml.storage.objects import ObjectStore

router = APIRouter(tags=["work"])
Creator = Annotated[Caller, Depends(require("generate"))]
JobId = Annotated[
    str,
    Path(
        pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        examples=["8b1b2b1e-7f0a-4a52-9d7e-0d0c0b1a2f3e"],
    ),
]
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])")
_POLICY_MODEL = "quality_policy"


class Following:
    """Headers of a request for long work: how long to wait, and which job it is."""

    def __init__(
        self,
        prefer: Annotated[
            str, Header(max_length=100, description="`wait=SECONDS` or `respond-async`")
        ] = "",
        idempotency_key: Annotated[
            str, Header(max_length=100, description="the same one is the same job")
        ] = "",
    ) -> None:
        self.idempotency_key = idempotency_key or None
        self._prefer = prefer.lower()

    def seconds(self, most: float) -> float:
        """How long to wait, at most as long as the settings allow."""
        if "respond-async" in self._prefer:
            return 0.0
        wanted = _WAIT.search(self._prefer)
        return min(most, float(wanted[1])) if wanted else most


Follow = Annotated[Following, Depends()]


@router.post(
    "/generate/script", response_model=ScriptAnswer, responses=examples.work(examples.SCRIPT)
)
async def generate_script(
    body: ScriptRequest, api: Api, caller: Creator, following: Follow
) -> Response:
    """A script about a topic, told from what the platform measured of it."""
    return await _worked("generate_script", body, api, caller, following)


@router.post(
    "/synthesize/voice", response_model=VoiceAnswer, responses=examples.work(examples.VOICE)
)
async def synthesize_voice(
    body: VoiceRequest, api: Api, caller: Creator, following: Follow
) -> Response:
    """A text as speech. Providers that are not set up are refused, not replaced."""
    return await _worked("synthesize_voice", body, api, caller, following)


@router.post(
    "/generate/thumbnail",
    response_model=ThumbnailAnswer,
    responses=examples.work(examples.THUMBNAIL),
)
async def generate_thumbnail(
    body: ThumbnailRequest, api: Api, caller: Creator, following: Follow
) -> Response:
    """Variants of a thumbnail, with their technical scores."""
    return await _worked("generate_thumbnail", body, api, caller, following)


@router.post(
    "/assess/quality",
    response_model=Assessment,
    responses={
        **examples.work(examples.ASSESSMENT),
        404: {"description": "The file is of a job that the caller does not have"},
    },
)
async def assess_quality(
    body: AssessRequest, api: Api, caller: Creator, following: Follow
) -> Response:
    """Scores of a script, by the policy model at once, or of a file of this platform, by a run."""
    if not getattr(body.content_data, _part(body)):
        raise ApiError(422, "invalid_request", f"content_data.{_part(body)} is missing")
    if body.content_type == "script":
        if api.champions.is_served(_POLICY_MODEL):
            return _json((await _assess_text(body, api, caller)).model_dump_json(by_alias=True))
    else:
        await _check_address(body, api, caller)
    return await _worked("assess_quality", body, api, caller, following)


@router.get("/jobs/{job_id}", responses=examples.shown(examples.JOB))
async def job(job_id: JobId, api: Api, caller: Creator) -> JobState:
    """How work is that the caller has asked for, with its result once it is completed."""
    return state_of(await own_job(job_id, api, caller))


@router.get(
    "/jobs/{job_id}/files/{name}",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {"example": "(the file)"}}},
        404: {"description": "The caller has no such job, or it no such file"},
    },
)
async def file(
    job_id: JobId,
    name: Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")],
    api: Api,
    caller: Creator,
) -> Response:
    """A file that work of the caller has made."""
    entry = (await own_job(job_id, api, caller)).files.get(name)
    if entry is None:
        raise ApiError(404, "not_found", f"the job has no file {name!r}")
    bucket = api.settings.bucket("content")
    content = await asyncio.to_thread(
        ObjectStore(api.settings).get_bytes, bucket, str(entry["key"])
    )
    headers = {"ETag": f'"{entry["sha256"]}"', "Cache-Control": "private, max-age=86400"}
    return Response(content, media_type=entry["media_type"], headers=headers)


@router.websocket("/jobs/{job_id}/events")
async def events(
    socket: WebSocket,
    job_id: str,
    caller: Creator,
    api: Annotated[Services, Depends(services)],
) -> None:
    """The document of `/jobs/{job_id}` at every change, until the work has ended."""
    await send_events(socket, job_id, api, caller)


async def send_events(socket: WebSocket, job_id: str, api: Services, caller: Caller) -> None:
    """Send a job's state to a caller that owns it, at every change."""
    job = await own_job(job_id, api, caller)
    await socket.accept()
    gone = asyncio.create_task(_until_gone(socket))
    try:
        async for state in api.jobs.follow(job):
            if gone.done():
                return
            await socket.send_text(state_of(state).model_dump_json())
        await socket.close()
    except WebSocketDisconnect:
        return
    finally:
        gone.cancel()


async def _until_gone(socket: WebSocket) -> None:
    """Read, and drop, what the other side sends until it hangs up."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def own_job(job_id: str, api: Services, caller: Caller, kind: Kind | None = None) -> Job:
    """A job that the caller has asked for.

    Raises:
        ApiError: 404 if there is none, or it is another's.
    """
    found = await api.jobs.find(job_id) if is_job_id(job_id) else None
    if found is None or found.key_id != caller.id or kind not in (None, found.kind):
        raise ApiError(404, "not_found", "you have no such job")
    return found


def state_of(job: Job) -> JobState:
    """A job as its caller sees it."""
    base = f"/ml/v1/jobs/{job.job_id}"
    return JobState(
        job_id=job.job_id,
        kind=job.kind,
        status=job.status,
        progress=round(job.progress, 3),
        step=job.step,
        created_at=job.created_at,
        finished_at=job.finished_at,
        status_url=base if job.kind != "train" else f"/ml/v1/train/{job.job_id}/status",
        events_url=f"{base}/events" if job.kind != "train" else f"/ml/v1/train/{job.job_id}/events",
        result=job.result,
        error=job.error,
    )


async def _worked(
    kind: Kind, body: BaseModel, api: Services, caller: Caller, following: Following
) -> Response:
    request = body.model_dump(mode="json", exclude_none=True)
    job = await api.jobs.submit(kind, kind, caller.id, request, following.idempotency_key)
    if job.request != request:
        raise ApiError(422, "idempotency_key_reused", "the key was used with another request")
    job = await api.jobs.wait(job, following.seconds(api.settings.api_wait_s))
    state = state_of(job)
    headers = {"Location": state.status_url}
    if job.status == "completed":
        return _json(json.dumps(job.result), headers)
    if job.status == "failed":
        status = 422 if job.fault == "request" else 503
        raise ApiError(status, "job_failed", job.error or "", headers=headers)
    return _json(state.model_dump_json(), headers | {"Retry-After": "2"}, 202)


async def _assess_text(body: AssessRequest, api: Services, caller: Caller) -> Assessment:
    script = body.content_data.script or ""
    served, rows, latency_ms = await score_texts(api, caller, _POLICY_MODEL, [script])
    scores = ModelScores(rows[0], served.release.name, served.release.version)
    prediction_id = record_texts(
        api, served, "assess/quality", {"script": script}, {"scores": rows}, latency_ms
    )
    checks = await asyncio.to_thread(text_checks, script)
    return assessment(prediction_id, body, checks, scores, api.settings.gate_min_score)


async def _check_address(body: AssessRequest, api: Services, caller: Caller) -> None:
    """Let a caller read videos of the platform and what its own jobs have made, nothing else."""
    try:
        key = content_key(getattr(body.content_data, _part(body)), api.settings)
    except ForeignAddressError as error:
        raise ApiError(422, "foreign_address", str(error)) from error
    folder, job_id, *_ = key.split("/")
    if folder == "jobs":
        await own_job(job_id, api, caller)


def _part(body: AssessRequest) -> str:
    return "script" if body.content_type == "script" else f"{body.content_type}_url"


def _json(content: str, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    return Response(content, status, headers=headers, media_type="application/json")
