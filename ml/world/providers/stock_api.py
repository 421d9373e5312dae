"""The photographs of the world: Pexels and Pixabay, with drawn pictures in the place of theirs.

Addresses, headers, fields and errors are those of the providers' documentation (see
`ml.generation.stock`, read 2026-11). A picture is a gradient of its own, as large as it says.

Faults beside those of every provider: `malformed` leaves the list out of a search, and sends text
in the place of a picture.
"""

from __future__ import annotations

import hmac
import io
import re
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from PIL import Image

from ml.world import noise
from ml.world.answers import Call, World, answer, encode, read_call

_JPEG = {"Content-Type": "image/jpeg"}
_FOUND = 500  # pictures for any words
_AUTHORS = ("Mara Lind", "Jonas Weber", "Ana Sousa", "Kenji Mori", "Ruth Okafor")
_SHAPES = {
    "landscape": (1880, 1253), "portrait": (1253, 1880), "square": (1300, 1300),
    "horizontal": (1280, 853), "vertical": (853, 1280), "all": (1280, 853),
}  # fmt: skip
_FILE = re.compile(r"(\d{1,9})-(\d{2,4})x(\d{2,4})\.jpg")


def router(world: World) -> APIRouter:
    """The routes of both, and of their pictures."""
    routes = APIRouter()
    _add_pexels(routes, world)
    _add_pixabay(routes, world)
    return routes


def _add_pexels(routes: APIRouter, world: World) -> None:
    @routes.get("/api.pexels.com/v1/search")
    async def search(request: Request) -> Response:
        call, asked = read_call(request, world), request.query_params
        if fault := call.status_fault():
            return await answer(call, lambda: b"", *fault)
        if not _opens(request.headers.get("Authorization"), world):
            return await answer(call, lambda: encode({"error": "Unauthorized"}), 401)
        words, shape = asked.get("query", ""), asked.get("orientation", "landscape")
        if not words or shape not in _SHAPES:
            return await answer(call, lambda: encode({"status": 400, "code": "Bad Request"}), 400)
        size, count = _SHAPES[shape], min(80, int(asked.get("per_page", 15)))
        body: dict[str, Any] = {
            "page": 1, "per_page": count, "total_results": _FOUND,
            "photos": [_pexels_photo(world, words, place, size) for place in range(count)],
        }  # fmt: skip
        if "malformed" in call.faults:
            body.pop("photos")
        return await answer(call, lambda: encode(body))

    @routes.get("/images.pexels.com/photos/{number}/{file}")
    async def picture(request: Request, number: int, file: str) -> Response:  # noqa: ARG001
        return await _picture(read_call(request, world), file)


def _pexels_photo(world: World, words: str, place: int, size: tuple[int, int]) -> dict[str, Any]:
    number = _number(world, f"pexels:{words.casefold()}", place)
    author = _AUTHORS[number % len(_AUTHORS)]
    user = author.lower().replace(" ", "-")
    file = f"https://images.pexels.com/photos/{number}/{number}-{size[0]}x{size[1]}.jpg"
    return {
        "id": number, "width": 3 * size[0], "height": 3 * size[1],
        "url": f"https://www.pexels.com/photo/{number}/", "photographer": author,
        "photographer_url": f"https://www.pexels.com/@{user}", "photographer_id": number % 977,
        "avg_color": f"#{number % 0xFFFFFF:06X}",
        "src": {
            name: f"{file}?auto=compress&cs=tinysrgb"
            for name in ("original", "large2x", "large", "medium", "small", "portrait",
                         "landscape", "tiny")
        },
        "liked": False, "alt": f"{words}, picture {place + 1}",
    }  # fmt: skip


def _add_pixabay(routes: APIRouter, world: World) -> None:
    @routes.get("/pixabay.com/api/")
    async def search(request: Request) -> Response:
        call, asked = read_call(request, world), request.query_params
        if fault := call.status_fault():
            return await _plain(call, "refused", *fault)
        if not _opens(asked.get("key"), world):
            return await _plain(call, "[ERROR 400] Invalid or missing API key.", 400)
        words, shape = asked.get("q", ""), asked.get("orientation", "all")
        if len(words) > 100:
            return await _plain(call, '[ERROR 400] "q" is too long.', 400)
        if shape not in _SHAPES:
            return await _plain(call, '[ERROR 400] "orientation" is out of valid range.', 400)
        size, count = _SHAPES[shape], min(200, max(3, int(asked.get("per_page", 20))))
        body: dict[str, Any] = {
            "total": _FOUND, "totalHits": _FOUND,
            "hits": [_pixabay_hit(world, words, place, size) for place in range(count)],
        }  # fmt: skip
        if "malformed" in call.faults:
            body.pop("hits")
        return await answer(call, lambda: encode(body))

    @routes.get("/pixabay.com/get/{file}")
    async def picture(request: Request, file: str) -> Response:
        return await _picture(read_call(request, world), file)


def _pixabay_hit(world: World, words: str, place: int, size: tuple[int, int]) -> dict[str, Any]:
    number = _number(world, f"pixabay:{words.casefold()}", place)
    file = f"https://pixabay.com/get/{number}-{size[0]}x{size[1]}.jpg"
    return {
        "id": number, "pageURL": f"https://pixabay.com/photos/picture-{number}/", "type": "photo",
        "tags": words, "previewURL": file, "webformatURL": file, "largeImageURL": file,
        "imageWidth": 3 * size[0], "imageHeight": 3 * size[1], "imageSize": 2_000_000,
        "views": number % 90_000, "downloads": number % 50_000, "likes": number % 900,
        "comments": number % 90, "user_id": number % 977,
        "user": _AUTHORS[number % len(_AUTHORS)].replace(" ", ""), "userImageURL": "",
    }  # fmt: skip


def _number(world: World, stream: str, place: int) -> int:
    return 1_000_000 + noise.pick(world.seed, stream, place, 9_000_000)


def _opens(key: str | None, world: World) -> bool:
    return hmac.compare_digest((key or "").encode(), world.api_key.encode())


async def _plain(
    call: Call, text: str, status: int, headers: dict[str, str] | None = None
) -> Response:
    """An error as Pixabay sends it: plain text."""
    return await answer(
        call, text.encode, status, {"Content-Type": "text/plain; charset=UTF-8", **(headers or {})}
    )


async def _picture(call: Call, file: str) -> Response:
    if fault := call.status_fault():
        return await answer(call, lambda: b"", *fault)
    match = _FILE.fullmatch(file)
    if match is None:
        return await answer(call, lambda: b"", 404)
    number, width, height = (int(part) for part in match.groups())
    content = b"no picture" if "malformed" in call.faults else _drawn(number, width, height)
    return await answer(call, lambda: content, 200, _JPEG)


def _drawn(number: int, width: int, height: int) -> bytes:
    """Two colours that flow into each other, and bright spots."""
    random = np.random.default_rng(number)
    ends = random.uniform(30, 255, (2, 3))
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    share = (0.5 + 0.5 * np.sin(6 * (x * random.uniform(0.3, 1) + y)))[..., None]
    pixels = ends[0] + (ends[1] - ends[0]) * share
    target = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8), "RGB").save(target, "JPEG", quality=80)
    return target.getvalue()
