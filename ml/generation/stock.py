"""Stock photographs behind the scenes of a video: Pexels and Pixabay, where a key is set.

* Pexels: https://www.pexels.com/api/documentation/; 200 requests an hour
* Pixabay: https://pixabay.com/api/docs/; 100 a minute, its key goes nowhere but into the query

(both read 2026-11). Both licences allow pictures in videos; who made one and where it is from is
kept with the video and said below it. Answers are kept for a day, as Pixabay asks.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from PIL import Image, ImageOps, UnidentifiedImageError

from ml.exceptions import ProviderError, SourceUnavailableError, YtempireError
from ml.generation import hosted
from ml.generation.artifacts import ArtifactStore
from ml.generation.llm.retry import retrying
from ml.generation.llm.wire import Address, address
from ml.settings import Settings

if TYPE_CHECKING:
    import httpx

_KEPT_S = 86_400.0
_PER_SEARCH = 15
_MOST_BYTES = 20 * 1024 * 1024
_LEAST_SIDE = 600  # pixels of the shorter side; less is blurred at 720 lines
_MOST_PIXELS = 60_000_000


@dataclass(frozen=True)
class Photo:
    """One picture of a library.

    Attributes:
        page: where people see it.
        file: where it is fetched.
    """

    provider: str
    number: str
    author: str
    page: str
    file: str
    licence: str

    @property
    def credit(self) -> str:
        """Who made it and where it is from."""
        return f"Photo by {self.author} on {self.provider.title()}: {self.page}"


class Library(ABC):
    """One provider of photographs."""

    name = ""
    licence = ""
    url = ""
    key_field = ""
    hosts: tuple[str, ...] = ()

    def __init__(self, settings: Settings, store: ArtifactStore) -> None:
        """Take the store that keeps answers.

        Raises:
            SourceUnavailableError: if there is no key; the message names the variable.
        """
        self._settings, self._store = settings, store
        self._address = address(settings, self.url, self.key_field)
        self.sleep: Callable[[float], None] = time.sleep

    @abstractmethod
    def _ask(self, client: httpx.Client, where: Address, words: str, *, upright: bool) -> Any:
        """Send a search."""

    @abstractmethod
    def _read(self, found: Mapping[str, Any]) -> Iterator[Photo]:
        """The pictures of an answer that are large enough."""

    def search(self, words: str, *, upright: bool) -> list[Photo]:
        """Pictures for some words, the most fitting first.

        Raises:
            ProviderError: if the provider keeps failing.
            SourceUnavailableError: if it refuses the key or the request.
        """
        asked = json.dumps([words.casefold(), upright])
        key = f"stock/{self.name}/{hashlib.sha256(asked.encode()).hexdigest()[:32]}.json"
        try:
            kept = json.loads(self._store.get_text(key))
        except FileNotFoundError:
            kept = {"at": 0.0, "photos": []}
        if time.time() - kept["at"] < _KEPT_S:
            return [Photo(**each) for each in kept["photos"]]
        with hosted.client(self._address, self._settings) as client:
            answer = self._sent(lambda: self._ask(client, self._address, words, upright=upright))
        try:
            photos = list(self._read(json.loads(answer)))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ProviderError(f"{self.name}: a broken answer; retry later") from None
        told = {"at": time.time(), "photos": [asdict(photo) for photo in photos]}
        self._store.put_text(key, json.dumps(told))
        return photos

    def fetch(self, photo: Photo) -> Image.Image:
        """Download a picture.

        Raises:
            ProviderError: if it does not come, or is none.
            SourceUnavailableError: if it lies where the provider keeps no pictures.
        """
        parts = urlsplit(photo.file)
        if parts.scheme != "https" or parts.hostname not in self.hosts:
            raise SourceUnavailableError(f"{self.name}: {photo.page} has its file elsewhere")
        # Without a key: files are open to everybody.
        instead = self._settings.provider_urls.get(parts.hostname)
        url = photo.file
        if instead:
            url = f"{instead.rstrip('/')}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        with hosted.client(self._address, self._settings) as client:
            content = self._sent(lambda: client.stream("GET", url))
        try:
            with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP")) as image:
                if image.width * image.height > _MOST_PIXELS:
                    raise ProviderError(f"{self.name}: {photo.page} has too many pixels")
                return ImageOps.exif_transpose(image).convert("RGB")
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
            raise ProviderError(f"{self.name}: {photo.page} is no picture") from None

    def _sent(self, send: Callable[[], Any]) -> bytes:
        """The body of an answer, of which not more than a picture's size is read."""
        import httpx

        def once() -> bytes:
            try:
                with send() as answer:
                    body = b""
                    for piece in answer.iter_bytes():
                        body += piece
                        if len(body) > _MOST_BYTES:
                            raise SourceUnavailableError(f"{self.name}: an answer is too large")
            except httpx.HTTPError as error:
                # `from None`: the request holds the key.
                raise ProviderError(f"{self.name}: {type(error).__name__}; retry later") from None
            if answer.status_code != 200:
                raise hosted.refusal(self.name, answer, f"check {self._address.variable}")
            return body

        return retrying(self.sleep)(once)


class Pexels(Library):
    """Pexels."""

    name, key_field = "pexels", "pexels_api_key"
    licence = "Pexels License (https://www.pexels.com/license/)"
    url = "https://api.pexels.com/v1/search"
    hosts = ("images.pexels.com",)

    def _ask(self, client: httpx.Client, where: Address, words: str, *, upright: bool) -> Any:
        shape = "portrait" if upright else "landscape"
        return client.stream(
            "GET",
            where.url,
            params={"query": words, "orientation": shape, "per_page": _PER_SEARCH},
            headers={"Authorization": where.key},
        )

    def _read(self, found: Mapping[str, Any]) -> Iterator[Photo]:
        for each in found["photos"]:
            if min(each["width"], each["height"]) >= _LEAST_SIDE:
                author, file = str(each["photographer"]), str(each["src"]["large2x"])
                yield Photo(
                    self.name, str(each["id"]), author, str(each["url"]), file, self.licence
                )


class Pixabay(Library):
    """Pixabay."""

    name, key_field = "pixabay", "pixabay_api_key"
    licence = "Pixabay Content License (https://pixabay.com/service/license-summary/)"
    url = "https://pixabay.com/api/"
    hosts = ("pixabay.com", "cdn.pixabay.com")
    _most_letters = 100

    def _ask(self, client: httpx.Client, where: Address, words: str, *, upright: bool) -> Any:
        return client.stream(
            "GET",
            where.url,
            params={
                "key": where.key, "q": words[: self._most_letters], "image_type": "photo",
                "orientation": "vertical" if upright else "horizontal", "safesearch": "true",
                "per_page": _PER_SEARCH,
            },
        )  # fmt: skip

    def _read(self, found: Mapping[str, Any]) -> Iterator[Photo]:
        for each in found["hits"]:
            if min(each["imageWidth"], each["imageHeight"]) >= _LEAST_SIDE:
                author, file = str(each["user"]), str(each["largeImageURL"])
                yield Photo(
                    self.name, str(each["id"]), author, str(each["pageURL"]), file, self.licence
                )


LIBRARIES: dict[str, type[Library]] = {"pexels": Pexels, "pixabay": Pixabay}


@dataclass(frozen=True)
class Grounds:
    """Photographs for scenes.

    Attributes:
        images: by the number of the scene; a scene without one is drawn.
        photos: what was used, in the same order.
        failures: of libraries, one line each.
    """

    images: dict[int, Image.Image]
    photos: dict[int, Photo]
    failures: list[str]


def grounds(
    wanted: Mapping[int, str], settings: Settings, store: ArtifactStore, *, upright: bool
) -> Grounds:
    """Find a photograph for every scene, another one each, in the order of `YTEMPIRE_STOCK_MEDIA`.

    A library that fails is left alone for this video and the next one is asked; what none has is
    not there.

    Args:
        wanted: words by the number of the scene.
        settings: with the keys.
        store: keeps what libraries answered for a day.
        upright: whether the frame is higher than wide.
    """
    found = Grounds({}, {}, [])
    for name in settings.stock_media:
        try:
            library = LIBRARIES[name](settings, store)
        except SourceUnavailableError:
            continue  # no key: it is not wanted
        try:
            for number, words in wanted.items():
                if number not in found.images:
                    _add(found, number, library, library.search(words, upright=upright))
        except YtempireError as error:
            found.failures.append(str(error))
    return found


def _add(found: Grounds, number: int, library: Library, photos: Sequence[Photo]) -> None:
    used = {(photo.provider, photo.number) for photo in found.photos.values()}
    for photo in photos:
        if (photo.provider, photo.number) not in used:
            found.images[number] = library.fetch(photo)
            found.photos[number] = photo
            return
