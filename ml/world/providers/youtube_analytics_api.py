"""The YouTube Analytics API v2 of the world: reports.query for the own channel.

Parameters and shape as documented on
https://developers.google.com/youtube/analytics/reference/reports/query and
https://developers.google.com/youtube/analytics/channel_reports (read 2026-11). Of the documented
reports there are totals, those by `day`, by `video` (which must be sorted and limited to 200 rows)
and, for videos named in a filter, by both; any other query gets the answer of one that is not
supported. A report has no rows of the most recent days, and no `rows` at all where it has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from operator import itemgetter
from typing import Any

from fastapi import APIRouter, Request, Response

from ml.world import parameters as p
from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.channels import channel_id
from ml.world.faults import damage
from ml.world.own_channel import AVERAGES, COUNTS, Day, averages, hours_of, own_channel, own_day
from ml.world.providers import google, google_oauth
from ml.world.providers.google import ApiError, Params

_SERVICE = "youtubeanalytics.googleapis.com"
_PARAMETERS = frozenset({
    "currency", "dimensions", "endDate", "filters", "ids", "includeHistoricalChannelData",
    "maxResults", "metrics", "sort", "startDate", "startIndex",
})  # fmt: skip
_DIMENSIONS = frozenset({"day", "video"})
_MOST_VIDEOS = 200
_MOST_FILTERED = 500
_MOST_DAYS = 400
_LENGTH = "length"  # of all plays together; what percentages are of

Key = tuple[str, ...]
Totals = dict[str, float]


@dataclass(frozen=True)
class Query:
    """A report that is supported."""

    first: date
    last: date
    dimensions: Key
    metrics: Key
    sort: Key
    videos: frozenset[str] | None
    rows: slice


def router(world: World) -> APIRouter:
    """The route `/youtubeanalytics.googleapis.com/v2/reports`."""
    routes = APIRouter(prefix=f"/{_SERVICE}/v2")

    @routes.get("/reports")
    async def reports(request: Request) -> Response:
        call = read_call(request, world)
        try:
            _admit(call, request)
            params = google.read_parameters(request.query_params, _PARAMETERS)
            document = _document(call, _read(call, params))
        except ApiError as error:
            return await google.refuse(call, error)
        return await answer(call, lambda: encode(document))

    return routes


def _admit(call: Call, request: Request) -> None:
    if not google_oauth.has_token(call, request):
        with_key = "key" in request.query_params or "X-Goog-Api-Key" in request.headers
        raise google.login_required(_SERVICE, with_key=with_key)
    if error := google.injected(call):
        raise error


def _read(call: Call, params: Params) -> Query:
    """The query of a request.

    Raises:
        ApiError: 400 or 403, as the provider refuses it.
    """
    for name in ("ids", "startDate", "endDate", "metrics"):
        if not params.get(name):
            raise ApiError(400, "required", "Required", domain="global")
    if params["ids"] not in ("channel==MINE", f"channel=={_own_id(call)}"):
        raise google.forbidden()
    query = Query(
        first=_date(params, "startDate"),
        last=_date(params, "endDate"),
        dimensions=_names(params, "dimensions", _DIMENSIONS),
        metrics=_names(params, "metrics", frozenset({*COUNTS, *AVERAGES})),
        sort=tuple(params["sort"].split(",")) if params.get("sort") else (),
        videos=_filtered(params.get("filters", "")),
        rows=_rows(params),
    )
    if query.last < query.first:
        raise _bad("Invalid query. Query did not conform to the expectations.")
    if not {name.removeprefix("-") for name in query.sort} <= {*query.dimensions, *query.metrics}:
        raise _unsupported()
    _check_shape(query)
    return query


def _check_shape(query: Query) -> None:
    limit = query.rows.stop - query.rows.start
    if query.dimensions == ("video",) and (not query.sort or limit > _MOST_VIDEOS):
        raise _unsupported()
    if set(query.dimensions) == _DIMENSIONS and query.videos is None:
        raise _unsupported()


def _own_id(call: Call) -> str:
    return channel_id(call.world.seed, own_channel(call.world.seed))


def _names(params: Params, field: str, known: frozenset[str]) -> Key:
    names = tuple(name for name in params.get(field, "").split(",") if name)
    for name in names:
        if name not in known:
            raise _bad(f"Unknown identifier ({name}) given in field parameters.{field}.")
    return names


def _date(params: Params, name: str) -> date:
    try:
        return date.fromisoformat(params[name])
    except ValueError:
        raise _bad(f"Could not parse content ({params[name]}) of field {name}.") from None


def _filtered(text: str) -> frozenset[str] | None:
    if not text:
        return None
    name, _, ids = text.partition("==")
    videos = frozenset(ids.split(","))
    if name != "video" or ";" in ids or len(videos) > _MOST_FILTERED:
        raise _unsupported()
    return videos


def _rows(params: Params) -> slice:
    numbers = {"startIndex": "1", "maxResults": str(10**6), **params}
    for name in ("startIndex", "maxResults"):
        if not numbers[name].isascii() or not numbers[name].isdigit() or int(numbers[name]) < 1:
            raise google.invalid_value(name, f"Invalid value at '{name}' (TYPE_INT32)")
    start = int(numbers["startIndex"]) - 1
    return slice(start, start + int(numbers["maxResults"]))


def _bad(message: str) -> ApiError:
    return ApiError(400, "badRequest", message, domain="global")


def _unsupported() -> ApiError:
    return _bad(
        "The query is not supported. Check the documentation at"
        " https://developers.google.com/youtube/analytics/v2/available_reports for a list of"
        " supported queries."
    )


def _document(call: Call, query: Query) -> dict[str, Any]:
    headers = [_header(name, "DIMENSION") for name in query.dimensions]
    headers += [_header(name, "METRIC") for name in query.metrics]
    rows: list[Any] = [
        [*key, *(values[name] for name in query.metrics)]
        for key, values in ((key, _values(totals)) for key, totals in _grouped(call, query).items())
    ]
    columns = [*query.dimensions, *query.metrics]
    for name in reversed(query.sort):
        place = columns.index(name.removeprefix("-"))
        rows.sort(key=itemgetter(place), reverse=name.startswith("-"))
    rows = damage(rows[query.rows], call.faults, call.world.seed, call.address)
    document: dict[str, Any] = {"kind": "youtubeAnalytics#resultTable", "columnHeaders": headers}
    return document | ({"rows": rows} if rows else {})


def _header(name: str, kind: str) -> dict[str, str]:
    types = {"DIMENSION": "STRING", "METRIC": "INTEGER"}
    data = "FLOAT" if name == "averageViewPercentage" else types[kind]
    return {"name": name, "columnType": kind, "dataType": data}


def _grouped(call: Call, query: Query) -> dict[Key, Totals]:
    """Counts by the values of the dimensions."""
    groups: dict[Key, Totals] = {}
    for day in _available(call, query):
        watched = own_day(call.world.seed, day)
        for row, video in enumerate(watched.videos):
            if query.videos is not None and video not in query.videos:
                continue
            names = {"day": day.isoformat(), "video": video}
            group = groups.setdefault(tuple(names[name] for name in query.dimensions), {})
            _add(group, watched, row)
        for video, counts, length in _uploaded(call, day):
            if query.videos is not None and video not in query.videos:
                continue
            names = {"day": day.isoformat(), "video": video}
            group = groups.setdefault(tuple(names[name] for name in query.dimensions), {})
            for name in COUNTS:
                group[name] = group.get(name, 0) + counts[name]
            group[_LENGTH] = group.get(_LENGTH, 0.0) + length
    return groups


def _uploaded(call: Call, day: date) -> Iterator[tuple[str, dict[str, int], float]]:
    """What the uploaded videos did on a day: id, counts, and the length of all plays in minutes."""
    start, end = hours_of(day), hours_of(day + timedelta(days=1))
    for upload in call.world.uploads.complete():
        found = call.world.uploads.reception(upload)
        if found is None or found.published >= end:
            continue
        before, after = found.at(start), found.at(end)
        counts = {name: after[name] - before[name] for name in before}
        if counts["views"]:
            length = counts["views"] * upload.length_s / 60.0
            counts |= {
                "engagedViews": int(counts["views"] * p.ENGAGED_SHARE),
                "shares": int(counts["views"] * p.SHARE_RATE),
                "estimatedMinutesWatched": int(length * found.watched_share),
                "subscribersLost": int(counts["views"] * p.UNSUBSCRIBE_RATE),
            }
            yield upload.video_id, counts, length


def _available(call: Call, query: Query) -> Iterator[date]:
    """The days of the query that the provider has worked up."""
    day = max(query.first, query.last - timedelta(days=_MOST_DAYS))
    while day <= query.last:
        following = day + timedelta(days=1)
        if hours_of(following) + p.ANALYTICS_DELAY_H > call.hours:
            return
        yield day
        day = following


def _add(group: Totals, day: Day, row: int) -> None:
    for name in COUNTS:
        group[name] = group.get(name, 0) + int(day.counts[name][row])
    group[_LENGTH] = group.get(_LENGTH, 0.0) + float(day.length_minutes[row])


def _values(totals: Totals) -> dict[str, int | float]:
    counted = {name: int(totals[name]) for name in COUNTS}
    minutes = counted["estimatedMinutesWatched"]
    return counted | averages(counted["views"], minutes, totals[_LENGTH])
