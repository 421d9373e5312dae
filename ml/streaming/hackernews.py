"""Hacker News: what has changed of late.

Firebase API v0 as documented on https://github.com/HackerNews/API (read 2026-11): `updates` has the
ids of the items and the names of the users that have changed, without saying how far back.

A look is one page of the stream `stories`, in the shape that the source's own parser reads, so that
a replay from bronze needs no stream: stories with their place on the front page, as the scheduled
ingest has them. Beside them the page holds, as they came, the list and what is left out on purpose:
comments, which change nothing about a story that its own next update does not say.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ml.exceptions import ProviderError, RecordError
from ml.settings import Settings
from ml.sources import fields
from ml.sources.access import Access
from ml.sources.base import NOWHERE, Page
from ml.sources.hackernews import STORIES, HackerNewsSource
from ml.sources.http import Fetched, HttpClient
from ml.streaming.base import Look
from ml.streaming.tables import STORIES as FEATURES

log = logging.getLogger(__name__)

_MOST = 1000  # items of one look; what still changes is on the next list
_OTHERS = frozenset({"comment", "pollopt"})


class HackerNewsUpdates:
    """The stream of `updates`; nothing but connections outlives a look.

    Args:
        settings: say where the provider is asked.
        access: makes the client; of the present, without a moment for the simulated world.
    """

    every_s = 5.0
    table = FEATURES

    def __init__(self, settings: Settings, access: Access | None = None) -> None:
        self.source = HackerNewsSource(settings)
        self._http = (access or Access(settings)).client(self.source)

    def look(self, seen: str) -> Look | None:
        """The items of the list, or None if it is the one that was seen last.

        Raises:
            ProviderError: if the provider fails, or sends something else than its lists.
            SourceUnavailableError: if it refuses the request.
        """
        updates = self._http.get("updates.json")
        digest = hashlib.sha256(updates.body).hexdigest()
        if digest == seen:
            return None
        changed = _list(updates, "items")
        if len(changed) > _MOST:
            log.warning("%s items have changed, %s of them are read", len(changed), _MOST)
        top = self._http.get("topstories.json")
        places = {number: place for place, number in enumerate(_ids(_list(top))[:STORIES], start=1)}
        # What is no id cannot be asked for; the parser rejects it.
        stories: list[dict[str, Any]] = [{"id": each} for each in changed if not _is_id(each)]
        others = []
        for entry in _fetched(self._http, _ids(changed)[:_MOST], self.source.spec.parallel):
            if _type(entry) in _OTHERS:
                others.append(entry)
            else:
                stories.append({"rank": places.get(entry["id"]), **entry})
        found = {"stories": stories, "others": others, "updates": _text(updates.body)}
        page = Page(
            stream="stories",
            region=NOWHERE,
            number=0,
            body=json.dumps(found).encode(),
            request=f"{updates.request}#items",
            fetched_at=updates.fetched_at,
        )
        return Look(digest, (page,))


def _fetched(http: HttpClient, ids: list[int], parallel: int) -> Iterator[dict[str, Any]]:
    """Each item as the parser wants it; one that cannot be had is without a body.

    Raises:
        ProviderError: if none can be had.
    """

    def fetch(number: int) -> Fetched | ProviderError:
        try:
            return http.get(f"item/{number}.json")
        except ProviderError as error:
            return error

    with ThreadPoolExecutor(parallel) as pool:
        answers = list(pool.map(fetch, ids))
    failed = [answer for answer in answers if isinstance(answer, ProviderError)]
    if failed and len(failed) == len(answers):
        raise failed[0]
    for number, answer in zip(ids, answers, strict=True):
        if isinstance(answer, ProviderError):
            yield {"id": number, "error": str(answer)}
        else:
            at = answer.fetched_at.isoformat()
            yield {"id": number, "observed_at": at, "body": _text(answer.body)}


def _list(answer: Fetched, name: str = "") -> list[Any]:
    """A list, or the list of that name in an object.

    Raises:
        ProviderError: if there is none.
    """
    try:
        value = fields.document(answer.body)
        found = fields.mapping(value, "the answer").get(name) if name else value
    except RecordError as error:
        raise ProviderError(f"{error.reason} on {answer.request}; retry later") from error
    if not isinstance(found, list):
        raise ProviderError(f"no list on {answer.request}; retry later")
    return found


def _ids(values: list[Any]) -> list[int]:
    """The item ids among them, each once."""
    return list(dict.fromkeys(filter(_is_id, values)))


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _type(entry: dict[str, Any]) -> Any:
    """The type of an item; None where it cannot be told, which is for the parser to reject."""
    try:
        return fields.mapping(fields.document(entry["body"]), "item").get("type")
    except (KeyError, RecordError):
        return None


def _text(body: bytes) -> str:
    return body.decode("utf-8", "surrogateescape")
