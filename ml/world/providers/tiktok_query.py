"""Queries and video objects of TikTok's Research API.

https://developers.tiktok.com/doc/research-api-specs-query-videos (read 2026-11): `and`, `or` and
`not` are lists of conditions, at least one of them not empty; a condition has a field, an operation
and values.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.world import noise, shorts
from ml.world import parameters as p
from ml.world.clock import moment
from ml.world.social import social, text, topic_count
from ml.world.texts import share

FIELDS = frozenset({
    "id", "video_description", "create_time", "region_code", "share_count", "view_count",
    "like_count", "comment_count", "music_id", "hashtag_names", "username", "effect_ids",
    "playlist_id", "voice_to_text", "is_stem_verified", "video_duration",
})  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "EQ": operator.eq, "GT": operator.gt, "GTE": operator.ge, "LT": operator.lt,
    "LTE": operator.le,
}  # fmt: skip
_OPERATIONS = (*_COMPARE, "IN")
_LENGTHS = {"SHORT": (0, 15), "MID": (15, 60), "LONG": (60, 300), "EXTRA_LONG": (300, 10**6)}

Bools = npt.NDArray[np.bool_]


class InvalidQueryError(ValueError):
    """A query that TikTok refuses."""


def select(query: Any, every: shorts.Shorts) -> shorts.Shorts:
    """The videos that a query selects, in their order.

    Raises:
        InvalidQueryError: if it is no query.
    """
    if not isinstance(query, dict) or not any(query.get(n) for n in ("and", "or", "not")):
        raise InvalidQueryError("The query must hold a non-empty and, or or not list")
    parts = {name: _conditions(query.get(name, []), every) for name in ("and", "or", "not")}
    found = np.ones(len(every.ids), dtype=np.bool_)
    for mask in parts["and"]:
        found &= mask
    if parts["or"]:
        found &= np.logical_or.reduce(parts["or"])
    for mask in parts["not"]:
        found &= ~mask
    return every.take(np.flatnonzero(found))


def _conditions(conditions: Any, every: shorts.Shorts) -> list[Bools]:
    if not isinstance(conditions, list):
        raise InvalidQueryError("Conditions must be a list")
    masks = []
    for condition in conditions:
        if not isinstance(condition, dict):
            raise InvalidQueryError("A condition must be an object")
        values = condition.get("field_values")
        if not isinstance(values, list) or not values:
            raise InvalidQueryError("field_values must be a non-empty list")
        if condition.get("operation") not in _OPERATIONS:
            raise InvalidQueryError(f"Invalid operation: {condition.get('operation')}")
        masks.append(_mask(str(condition.get("field_name")), condition["operation"], values, every))
    return masks


def _mask(field: str, operation: str, values: list[Any], every: shorts.Shorts) -> Bools:
    """Which videos meet a condition."""
    wanted = [str(value) for value in values]
    if field == "create_date":
        return _compare(operation, _dates(every), [int(v) if v.isdigit() else 0 for v in wanted])
    if operation not in ("EQ", "IN"):
        raise InvalidQueryError(f"Operation {operation} is not supported for {field}")
    if field == "region_code":
        codes = list(p.REGIONS)
        known = [codes.index(value) for value in wanted if value in codes]
        return np.asarray(np.isin(every.region, known))
    if field == "video_id":
        return np.asarray(np.isin(every.number, [int(v) for v in wanted if v.isdigit()]))
    if field == "video_length":
        spans = [_LENGTHS[value] for value in wanted if value in _LENGTHS]
        hits = [(every.seconds >= low) & (every.seconds < high) for low, high in spans]
        return np.asarray(np.logical_or.reduce([np.zeros(len(every.ids), dtype=np.bool_), *hits]))
    if field in ("keyword", "hashtag_name"):
        tables = [_texts_with(value.lower(), tag=field == "hashtag_name") for value in wanted]
        hits = [table[every.wording, every.template] for table in tables]
        return np.asarray(np.logical_or.reduce(hits) & ~every.untitled)
    raise InvalidQueryError(f"Invalid field name: {field}")


def _compare(operation: str, column: noise.Ints, values: list[int]) -> Bools:
    if operation == "IN":
        return np.asarray(np.isin(column, values))
    return np.asarray(_COMPARE[operation](column, values[0]))


def _dates(every: shorts.Shorts) -> noise.Ints:
    """The day of creation as YYYYMMDD."""
    days = np.floor(every.created / p.HOURS_PER_DAY).astype(np.int64)
    written = {
        int(day): int(f"{p.WORLD_START + timedelta(days=int(day)):%Y%m%d}")
        for day in np.unique(days)
    }
    return np.array([written[int(day)] for day in days], dtype=np.int64)


@lru_cache(maxsize=512)
def _texts_with(wanted: str, *, tag: bool) -> Bools:
    """Which descriptions hold a word or phrase, or a hashtag, by wording and template."""
    templates = range(len(social().templates["tiktok"]))

    def holds(number: int, template: int) -> bool:
        said = text("tiktok", number, template)
        return wanted in _hashtags(said) if tag else wanted in said.lower()

    flat = [[holds(number, template) for template in templates] for number in range(topic_count())]
    return np.array(flat, dtype=np.bool_)


def _hashtags(said: str) -> list[str]:
    return [word[1:].lower() for word in said.split() if word.startswith("#")]


def videos(seed: int, shown: shorts.Shorts, hours: float, fields: set[str]) -> list[dict[str, Any]]:
    """Video objects with the wanted fields; what a video has not is absent."""
    measured = shorts.counts(shown, hours)
    result = []
    for row in range(len(shown.ids)):
        every = _described(seed, shown, row) | {
            "view_count": int(measured.views[row]),
            "like_count": int(measured.likes[row]),
            "comment_count": int(measured.comments[row]),
            "share_count": int(measured.shares[row]),
        }
        result.append({name: every[name] for name in sorted(fields & every.keys())})
    return result


def _described(seed: int, shown: shorts.Shorts, row: int) -> dict[str, Any]:
    entity = int(shown.ids[row])
    said = text("tiktok", int(shown.wording[row]), int(shown.template[row]))
    shown_text = "" if shown.untitled[row] else said
    every: dict[str, Any] = {
        "id": int(shown.number[row]),
        "video_description": shown_text,
        "create_time": int(moment(float(shown.created[row])).timestamp()),
        "region_code": list(p.REGIONS)[int(shown.region[row])],
        "music_id": 7 * 10**18 + noise.pick(seed, "short:music", entity, 4000),
        "hashtag_names": _hashtags(shown_text),
        "username": f"maker{noise.pick(seed, 'short:maker', entity, 20_000)}",
        "effect_ids": [],
        "is_stem_verified": False,
        "video_duration": int(shown.seconds[row]),
    }
    if share(seed, "short:spoken", entity) < p.TIKTOK_SPOKEN:
        every["voice_to_text"] = said.split("#")[0].strip()
    return every
