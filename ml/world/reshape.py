"""Changes to any provider's JSON: what no longer has the shape or the meaning that it had.

Nothing here knows a provider: fields are found by their names and by how their values look, at any
depth. The choice of a field is a hash of its name, so that it is the same one in every answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from ml.world import noise

Pair = tuple[str, Any]
Change = Callable[[str, Any], Pair | None]

_IDENTITY = frozenset({
    "article", "full_name", "guid", "id", "id_str", "link", "name", "objectid", "permalink",
    "query", "url", "video_id",
})  # fmt: skip
_NAMING = frozenset({"title", "text", "headline", "video_description", "name", "article", "query"})
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?")
_COMPACT = re.compile(r"\d{8}T\d{6}Z")
_TIME_NAME = re.compile(
    r"(?:^|_)(?:time|date|created|updated|edited|published|utc|timestamp|at)(?:_|$)"
    r"|(?:Time|Date|At)$"
)
_NEWS = {"contentSignals": {"version": 2, "labels": ["new"]}}  # a field nobody has heard of
_SECONDS = (1e9, 4e9)  # what a number of seconds since 1970 looks like, 2001 to 2096
_MILLISECONDS = (1e12, 4e12)


def rewrite(value: Any, change: Change) -> Any:
    """Rebuild a document with every named scalar as `change` gives it, without those it drops."""
    if isinstance(value, dict):
        pairs = (_rewritten(name, item, change) for name, item in value.items())
        return dict(pair for pair in pairs if pair is not None)
    if isinstance(value, list):
        return [rewrite(item, change) for item in value]
    return value


def _rewritten(name: str, item: Any, change: Change) -> Pair | None:
    if isinstance(item, dict):
        return name, rewrite(item, change)
    if not isinstance(item, list):
        return change(name, item)
    kept = []
    for part in item:
        pair = (name, rewrite(part, change)) if _is_nested(part) else change(name, part)
        if pair is not None:
            kept.append(pair[1])
    return name, kept


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list)


def is_number(value: Any) -> bool:
    """Whether a value is a number, or digits as some providers write their counts."""
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and len(value) < 19
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_time(name: str, value: Any) -> bool:
    """Whether a field holds a moment."""
    if isinstance(value, str):
        return bool(_ISO.fullmatch(value) or _COMPACT.fullmatch(value))
    if not is_number(value) or not _TIME_NAME.search(name):
        return False
    return any(low < value < high for low, high in (_SECONDS, _MILLISECONDS))


# --- A row that is wrong -------------------------------------------------------------------------


def broken(item: Any, variant: int) -> Any:
    """One of the ways in which a row can be wrong; always another value than `item`."""
    if not isinstance(item, dict):
        return {"unexpected": item}
    ways: tuple[Change, ...] = (_no_identity, _no_title, _no_number, _no_time)
    for way in ways[variant % 5 :]:
        if (damaged := rewrite(item, way)) != item:
            return damaged
    return f"row {item.get('id')}"


def _no_identity(name: str, value: Any) -> Pair | None:
    return None if name.lower() in _IDENTITY else (name, value)


def _no_title(name: str, value: Any) -> Pair:
    return name, None if name.lower() in _NAMING else value


def _no_number(name: str, value: Any) -> Pair:
    return name, "many" if is_number(value) and not is_time(name, value) else value


def _no_time(name: str, value: Any) -> Pair:
    return name, "yesterday" if is_time(name, value) else value


# --- Clocks, definitions, schemas ----------------------------------------------------------------


def skewed(document: Any, seconds: float) -> Any:
    """A document with every moment in it shifted."""
    return rewrite(document, lambda name, value: (name, shifted(name, value, seconds)))


def shifted(name: str, value: Any, seconds: float) -> Any:
    """A moment that much later, written as it was; any other value as it is."""
    if not is_time(name, value):
        return value
    if not isinstance(value, str):
        whole = round(seconds * (1000 if value > _SECONDS[1] else 1))
        return value + whole
    step = timedelta(seconds=round(seconds))
    if _COMPACT.fullmatch(value):
        return (datetime.fromisoformat(value) + step).strftime("%Y%m%dT%H%M%SZ")
    day, between, clock, fraction, zone = _ISO.fullmatch(value).groups()  # type: ignore[union-attr]
    moved = datetime.fromisoformat(f"{day}T{clock}+00:00") + step
    return moved.strftime(f"%Y-%m-%d{between}%H:%M:%S") + (fraction or "") + (zone or "")


def redefined(document: Any, field: str, factor: float) -> Any:
    """A document in which a measure counts something else: its values times a factor."""

    def change(name: str, value: Any) -> Pair:
        if name != field or not is_number(value):
            return name, value
        if isinstance(value, float):
            return name, value * factor
        scaled = round(int(value) * factor)
        return name, str(scaled) if isinstance(value, str) else scaled

    return rewrite(document, change)


HOWS = ("rename", "missing", "retype", "new")


def drifted(document: Any, seed: int, how: str = "", field: str = "") -> Any:
    """A document of a later version of the schema.

    Args:
        document: any JSON.
        seed: the world's.
        how: one of `HOWS`; by default all of them, each with another field.
        field: the one that changes (another name, by default), wherever it is. Otherwise it is a
            scalar of the rows, and the frame around them stays: providers announce a new frame as a
            new version.
    """
    if field:
        return _drift_one(document, how or "rename", field)
    hows = (how,) if how else HOWS
    rows = _rows(document)
    if rows is None:
        return _drift_rows([document], seed, hows)[0] if isinstance(document, dict) else document
    return _with_rows(document, rows, _drift_rows(rows, seed, hows))


def _rows(value: Any) -> list[Any] | None:
    """The rows of a page: its longest list of objects or of lists, the outermost of equals."""
    if not _is_nested(value):
        return None
    inner = value.values() if isinstance(value, dict) else value
    found = [value] if isinstance(value, list) and any(map(_is_nested, value)) else []
    found += [rows for rows in map(_rows, inner) if rows is not None]
    return max(found, key=len, default=None)


def _with_rows(value: Any, old: list[Any], new: list[Any]) -> Any:
    if value is old:
        return new
    if isinstance(value, dict):
        return {name: _with_rows(item, old, new) for name, item in value.items()}
    return [_with_rows(item, old, new) for item in value] if isinstance(value, list) else value


def _drift_rows(rows: list[Any], seed: int, hows: tuple[str, ...]) -> list[Any]:
    names = set(_scalars(rows))
    for how in hows:
        if how == "new":
            rows = [{**row, **_NEWS} if isinstance(row, dict) else row for row in rows]
        elif names:
            chosen = min(names, key=lambda name: noise.stream_key(seed, f"drift:{how}:{name}"))
            names = names - {chosen} or names
            rows = _drift_one(rows, how, chosen)
    return rows


def _scalars(value: Any) -> Iterator[str]:
    """Names of the scalars of objects, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _scalars(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if _is_nested(item):
                yield from _scalars(item)
            else:
                yield name


def _drift_one(value: Any, how: str, field: str) -> Any:
    if isinstance(value, list):
        return [_drift_one(item, how, field) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for name, item in value.items():
        if name != field:
            result[name] = _drift_one(item, how, field)
        elif how != "missing":
            result[other_name(name) if how == "rename" else name] = (
                retyped(item) if how == "retype" else item
            )
    return result


def other_name(name: str) -> str:
    """The name in the other spelling: `viewCount` and `view_count`."""
    if "_" in name.strip("_"):
        first, *rest = name.split("_")
        return first + "".join(part.capitalize() for part in rest)
    spelled = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
    return spelled if spelled != name else f"{name}_v2"


def retyped(value: Any) -> Any:
    """The value as another type: numbers as texts and the other way round, the rest in a box."""
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if is_number(value):
        return int(value)
    return {"value": value}
