"""The page of videos behind Airflow's login: plan, what runs, what waits for a person, what is out.

Whatever a video says was written by a model from strangers' titles: all of it is escaped, nothing
on these pages runs a script, and nothing is loaded from elsewhere.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from html import escape
from typing import Annotated, Any
from urllib.parse import quote

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import FastAPI, Header, HTTPException, Response
from fastapi.responses import HTMLResponse, StreamingResponse

_TYPES = {
    "video.mp4": "video/mp4",
    "thumbnail.jpg": "image/jpeg",
    "captions.srt": "text/plain; charset=utf-8",
    "script.json": "application/json",
    "gate.json": "application/json",
    "manifest.json": "application/json",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline';"
        " frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 76rem;
       padding: 0 1rem; color: #1c2128; background: #fff; }}
h2 {{ margin: 2rem 0 .5rem; font-size: 1.2rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0;
         border-bottom: 1px solid #d8dee4; overflow-wrap: anywhere; }}
th {{ font-weight: 600; color: #57606a; }}
th:first-child {{ width: 16rem; }}
.cards {{ display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); }}
.card {{ border: 1px solid #d8dee4; border-radius: 8px; overflow: hidden; }}
a.card {{ text-decoration: none; }}
.card div {{ padding: .6rem .8rem; }}
.card img, .card .none {{ display: block; width: 100%; aspect-ratio: 16 / 9; background: #eaeef2; }}
.small {{ color: #57606a; font-size: .87rem; }}
video {{ width: 100%; max-width: 54rem; background: #000; }}
pre {{ background: #f6f8fa; padding: .8rem; overflow: auto; max-height: 32rem; }}
a {{ color: #0550ae; }}
</style></head><body>
{body}
</body></html>
"""

app = FastAPI(title="ytempire videos", docs_url=None, redoc_url=None, openapi_url=None)


@app.get("/")
def overview(user: GetUserDep) -> HTMLResponse:  # noqa: ARG001 - refuses who is not logged in
    """All videos, by what is to be done about them."""
    from ml.publishing.overview import videos

    with _connect() as conn:
        rows = videos(conn)

    def of(*states: str) -> list[dict[str, Any]]:
        return [row for row in rows if row["status"] in states]

    body = "<h1>Videos</h1>" + "".join((
        _cards("Waiting for a person (held by the gate)", of("held")),
        _table("Being made", of("generating")),
        _table("Planned", of("scheduled")),
        _cards("Out", of("published")),
        _cards("Taken down or rejected", of("unpublished", "rejected")),
        _table("Failed or cancelled", of("failed", "cancelled")),
    ))  # fmt: skip
    return _page("Videos", body)


@app.get("/{video_id}")
def one(video_id: str, user: GetUserDep) -> HTMLResponse:  # noqa: ARG001
    """One video: player, scores, reasons, cost, provenance."""
    from ml.publishing.overview import video

    with _connect() as conn:
        row = video(conn, video_id)
    if row is None:
        raise HTTPException(404, "there is no such video")
    return _page(row["title"] or row["topic"], _details(row) + _proof(video_id, row["manifest"]))


@app.get("/{video_id}/{name}")
def file(
    video_id: str,
    name: str,
    user: GetUserDep,  # noqa: ARG001
    wanted: Annotated[str | None, Header(alias="Range")] = None,
) -> Response:
    """A file of a finished video, whole or the range that a player asks for."""
    from ml.publishing.overview import file_of
    from ml.settings import get_settings
    from ml.storage.objects import ObjectStore

    if name not in _TYPES:
        raise HTTPException(404, "there is no such file")
    with _connect() as conn:
        entry = file_of(conn, video_id, name)
    if entry is None:
        raise HTTPException(404, "there is no such file")
    size = int(entry["bytes"])
    bounds = _bounds(wanted, size)
    first, last = bounds or (0, size - 1)
    settings = get_settings()
    try:
        chunks = ObjectStore(settings).read_range(
            settings.bucket("content"), entry["key"], first, last
        )
    except FileNotFoundError:
        raise HTTPException(404, "the file is not in the bucket") from None
    headers = _HEADERS | {"Accept-Ranges": "bytes", "Content-Length": str(last - first + 1)}
    if bounds:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return StreamingResponse(
        chunks, 206 if bounds else 200, headers=headers, media_type=_TYPES[name]
    )


def _bounds(wanted: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte of one range; None for the whole file.

    Another unit, or several ranges, are no range that we know, and ignored (RFC 9110, 14.2).

    Raises:
        HTTPException: 416 if there is no such range.
    """
    found = _RANGE.fullmatch(wanted.strip()) if wanted else None
    if found is None:
        return None
    first, last = 0, -1
    if found[1]:
        first, last = int(found[1]), min(int(found[2] or size), size - 1)
    elif found[2]:
        first, last = max(size - int(found[2]), 0), size - 1
    if first > last:
        raise HTTPException(416, "no such range", headers={"Content-Range": f"bytes */{size}"})
    return first, last


def _connect() -> Any:
    from ml.storage.postgres import connect

    return connect()


def _page(title: str, body: str) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=escape(title), body=body), headers=_HEADERS)


def _cards(heading: str, rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    cards = "".join(_card(row) for row in rows)
    return f'<h2>{escape(heading)}</h2><div class="cards">{cards}</div>'


def _card(row: dict[str, Any]) -> str:
    link = quote(row["video_id"])
    name = escape(row["title"] or row["topic"])
    picture = (
        f'<img src="{link}/thumbnail.jpg" alt="" loading="lazy">'
        if row["files"] and "thumbnail.jpg" in row["files"]
        else '<span class="none"></span>'
    )
    score = (row["scores"] or {}).get("overall")
    about = [row["channel_id"], row["status"]]
    about += [f"score {score:.2f}"] if score is not None else []
    about += [f"${row['cost_usd']}"]
    about += [f"{count} views after {when}" for when, count in (row["views"] or {}).items()]
    text = escape(" · ".join(str(part) for part in about))
    return (
        f'<a class="card" href="{link}">{picture}<div>{name}<br>'
        f'<span class="small">{text}</span></div></a>'
    )


def _table(heading: str, rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    lines = "".join(
        "<tr>"
        f'<td><a href="{quote(row["video_id"])}">{escape(row["topic"])}</a></td>'
        f"<td>{escape(row['channel_id'])}</td><td>{_number(row['interest_at_publish'])}</td>"
        f"<td>{row['publish_at']:%Y-%m-%d %H:%M}</td>"
        f"<td>{escape(row['last_stage'] or '')}</td><td>{escape(row['status_reason'] or '')}</td>"
        "</tr>"
        for row in rows
    )
    heads = ("topic", "channel", "interest", "to be out", "last stage", "why")
    head = "".join(f"<th>{each}</th>" for each in heads)
    return f"<h2>{escape(heading)}</h2><table><tr>{head}</tr>{lines}</table>"


def _details(row: dict[str, Any]) -> str:
    link = quote(row["video_id"])
    player = (
        f'<video controls preload="metadata" poster="{link}/thumbnail.jpg"'
        f' src="{link}/video.mp4"></video>'
        if row["files"]
        else ""
    )
    shown = ("status", "status_reason", "channel_id", "topic", "rank", "forecast",
             "interest_at_publish", "audience_score", "publish_at", "destination", "url",
             "published_at", "duration_s", "cost_usd")  # fmt: skip
    facts = "".join(
        f"<tr><th>{name.replace('_', ' ')}</th><td>{_text(row[name])}</td></tr>"
        for name in shown
        if row[name] is not None
    )
    scores = "".join(
        f"<tr><th>{escape(name)}</th><td>{_text(value)}</td></tr>"
        for name, value in (row["scores"] or {}).items()
    )
    costs = "".join(
        f"<tr><td>{escape(cost['stage'])}</td><td>{escape(cost['provider'])}</td>"
        f"<td>{_number(cost['seconds'])}</td><td>{cost['cost_usd']}</td></tr>"
        for cost in row["costs"]
    )
    files = " · ".join(
        f'<a href="{link}/{name}" target="_blank" rel="noopener">{name}</a>'
        for name in _TYPES
        if row["files"] and name in row["files"]
    )
    return (
        f'<p><a href=".">All videos</a></p><h1>{escape(row["title"] or row["topic"])}</h1>'
        f"{player}<p>{files}</p><h2>About it</h2><table>{facts}</table>"
        f"<h2>Scores</h2><table>{scores}</table>"
        "<h2>Cost</h2><table><tr><th>stage</th><th>provider</th><th>seconds</th><th>dollars</th>"
        f"</tr>{costs}</table><h2>Provenance</h2>"
    )


def _proof(video_id: str, manifest: str | None) -> str:
    if manifest is None:
        return "<p>Its manifest is written when it is finished.</p>"
    with suppress(ValueError):  # that somebody has changed is shown as it is
        manifest = json.dumps(json.loads(manifest), indent=1, ensure_ascii=False)
    # Reading every file to verify it takes too long for a page.
    command = f"<code>ytempire provenance {escape(video_id)}</code>"
    return f"<p>As it was recorded; {command} verifies it.</p><pre>{escape(manifest)}</pre>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def _text(value: Any) -> str:
    return escape(f"{value:,.3f}" if isinstance(value, float) else str(value))
