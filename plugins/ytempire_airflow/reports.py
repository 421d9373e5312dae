"""The reports bucket as pages behind Airflow's login: gates, drift, dbt docs and analyses."""

from __future__ import annotations

from html import escape
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import HTMLResponse

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
# A report shows titles that strangers wrote: whatever runs in it runs in no origin, so that it can
# neither read Airflow's cookies nor call its API.
_HEADERS = {
    "Content-Security-Policy": "sandbox allow-scripts allow-popups",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
}
_SHOWN = 50  # of a folder, the newest first
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Reports</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
       color: #1c2128; background: #fff; }}
li {{ overflow-wrap: anywhere; }}
</style></head><body><h1>Reports</h1>
{body}
</body></html>
"""

app = FastAPI(title="ytempire reports", docs_url=None, redoc_url=None, openapi_url=None)


@app.get("/")
def overview(user: GetUserDep) -> HTMLResponse:  # noqa: ARG001 - refuses who is not logged in
    """What there is, by folder, the newest first."""
    store, bucket = _reports()
    pages = [key for key in store.list_keys(bucket) if key.endswith(".html")]
    folders = [
        _folder(name, sorted(keys, key=_moment, reverse=True))
        for name, keys in groupby(sorted(pages), key=lambda key: PurePosixPath(key).parts[0])
    ]
    body = "\n".join(folders) or "<p>There are none yet: run the main job.</p>"
    return HTMLResponse(_PAGE.format(body=body))


@app.get("/{key:path}")
def report(key: str, user: GetUserDep) -> Response:  # noqa: ARG001
    """One object of the bucket."""
    store, bucket = _reports()
    try:
        body = store.get_bytes(bucket, key)
    except FileNotFoundError:
        raise HTTPException(404, f"there is no report {key}") from None
    kind = _TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")
    return Response(body, media_type=kind, headers=_HEADERS)


def _reports() -> tuple[Any, str]:
    from ml.settings import get_settings
    from ml.storage.objects import ObjectStore

    settings = get_settings()
    return ObjectStore(settings), settings.bucket("reports")


def _moment(key: str) -> str:
    return "/".join(PurePosixPath(key).parts[-2:])  # of a gate: its run, which begins with when


def _folder(name: str, keys: list[str]) -> str:
    items = "\n".join(
        f'<li><a href="{quote(key)}" target="_blank" rel="noopener">{escape(key)}</a></li>'
        for key in keys[:_SHOWN]
    )
    more = f"<p>and {len(keys) - _SHOWN} older</p>" if len(keys) > _SHOWN else ""
    return f"<h2>{escape(name)}</h2>\n<ul>\n{items}\n</ul>{more}"
