"""The YouTube Reporting API v1 of the world: daily reports of how often thumbnails were shown.

Jobs, reports and downloads as documented on
https://developers.google.com/youtube/reporting/v1/reports (read 2026-11), of the one report type
`channel_reach_basic_a1`: date, channel_id, video_id, video_thumbnail_impressions and
video_thumbnail_impressions_ctr by Pacific day, without rows of nothing. The first reports come two
days after their job was created, for up to 30 days before it, and one for each day from then on.
Only what was uploaded through the API is in them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from starlette.datastructures import QueryParams

from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.channels import channel_id
from ml.world.clock import iso, moment
from ml.world.own_channel import hours_of, own_channel
from ml.world.providers import google, google_oauth
from ml.world.providers.google import ApiError

_SERVICE = "youtubereporting.googleapis.com"
_TYPE = "channel_reach_basic_a1"
_COLUMNS = (
    "date", "channel_id", "video_id", "video_thumbnail_impressions",
    "video_thumbnail_impressions_ctr",
)  # fmt: skip
_JOB = "reach-1"
_DAYS_BEFORE = 30
_DELAY_H = 48.0
_PER_PAGE = 20  # whatever a caller wants: the documentation lets the server give fewer
_PACIFIC = ZoneInfo("America/Los_Angeles")


def router(world: World) -> APIRouter:
    """The routes below `/youtubereporting.googleapis.com/v1`."""
    routes = APIRouter(prefix=f"/{_SERVICE}/v1")

    async def respond(request: Request) -> Response:
        call = read_call(request, world)
        try:
            if not google_oauth.has_token(call, request):
                raise google.login_required(_SERVICE, with_key=False)
            if error := google.injected(call):
                raise error
            path = request.url.path.partition("/v1/")[2]
            if path.startswith("media/"):
                text = _report(call, path.rpartition("/")[2])
                return await answer(call, lambda: text, headers={"Content-Type": "text/csv"})
            document = await _document(call, request, path)
        except ApiError as error:
            return await google.refuse(call, error)
        return await answer(call, lambda: encode(document))

    routes.add_api_route("/jobs", respond, methods=["GET", "POST"])
    routes.add_api_route("/jobs/{job}/reports", respond, methods=["GET"])
    routes.add_api_route("/media/{name:path}", respond, methods=["GET"])
    return routes


async def _document(call: Call, request: Request, path: str) -> dict[str, Any]:
    uploads = call.world.uploads
    if path.endswith("/reports"):
        if uploads.reporting_since is None or path != f"jobs/{_JOB}/reports":
            raise _missing()
        base = f"{request.url.scheme}://{request.url.netloc}/{_SERVICE}/v1"
        since = request.query_params.get("startTimeAtOrAfter", "")
        reports = [
            each for each in _listed(call, base) if not since or each["startTime"] >= since[:19]
        ]
        return _page(reports, request.query_params)
    if request.method == "POST":
        if f'"{_TYPE}"' not in (await request.body()).decode("utf-8", "replace"):
            raise ApiError(400, "badRequest", "Invalid value at 'job.report_type_id'.",
                           domain="global", with_status=True)  # fmt: skip
        if uploads.reporting_since is not None:
            raise ApiError(409, "alreadyExists", "Requested entity already exists", domain="global")
        uploads.reporting_since = call.hours
        uploads.save()
        return _job(call.hours)
    return {} if uploads.reporting_since is None else {"jobs": [_job(uploads.reporting_since)]}


def _page(reports: list[dict[str, Any]], params: QueryParams) -> dict[str, Any]:
    start = google.page_offset(params["pageToken"]) if "pageToken" in params else 0
    page: dict[str, Any] = (
        {"reports": reports[start : start + _PER_PAGE]} if reports[start:] else {}
    )
    if reports[start + _PER_PAGE :]:
        page["nextPageToken"] = google.page_token(start + _PER_PAGE)
    return page


def _job(since: float) -> dict[str, Any]:
    return {"id": _JOB, "reportTypeId": _TYPE, "name": "reach", "createTime": iso(since)}


def _listed(call: Call, base: str) -> Iterator[dict[str, Any]]:
    """The reports that there are by now, the newest first."""
    since = call.world.uploads.reporting_since or 0.0
    if call.hours < since + _DELAY_H:
        return
    first = moment(since).astimezone(_PACIFIC).date() - timedelta(days=_DAYS_BEFORE)
    day = moment(call.hours - _DELAY_H).astimezone(_PACIFIC).date() - timedelta(days=1)
    while day >= first:
        start, end = hours_of(day), hours_of(day + timedelta(days=1))
        name = day.isoformat()
        yield {
            "id": name, "jobId": _JOB, "startTime": iso(start), "endTime": iso(end),
            "createTime": iso(max(end, since) + _DELAY_H),
            "downloadUrl": f"{base}/media/CHANNEL/jobs/{_JOB}/reports/{name}?alt=media",
        }  # fmt: skip
        day -= timedelta(days=1)


def _report(call: Call, name: str) -> bytes:
    try:
        day = date.fromisoformat(name)
    except ValueError:
        raise _missing() from None
    if call.world.uploads.reporting_since is None:
        raise _missing()
    own = channel_id(call.world.seed, own_channel(call.world.seed))
    start, end = hours_of(day), hours_of(day + timedelta(days=1))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for upload in call.world.uploads.complete():
        found = call.world.uploads.reception(upload)
        if found is None or found.published >= end:
            continue
        before, after = found.at(start), found.at(end)
        shown = after["impressions"] - before["impressions"]
        if shown:
            clicks = (after["views"] - before["views"]) / shown
            rows.writerow(
                (f"{datetime(day.year, day.month, day.day, tzinfo=_PACIFIC):%Y%m%d}", own,
                 upload.video_id, shown, round(clicks, 6))
            )  # fmt: skip
    return text.getvalue().encode()


def _missing() -> ApiError:
    return ApiError(
        404, "notFound", "Requested entity was not found.", domain="global", with_status=True
    )
