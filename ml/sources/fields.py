"""Reading a provider's JSON, strictly: single values, and the items of a page.

A function of a single value returns it or raises `RecordError` naming the field: what does not fit
becomes a dead letter, it is never guessed. `parse_items` makes the dead letters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from ml.exceptions import RecordError
from ml.sources.base import Page, Rejected

_BIGGEST = 2**63 - 1  # Postgres bigint
_DURATION = re.compile(
    r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?"
)
_SHOWN = 60
Item = TypeVar("Item")
Row = TypeVar("Row")


def document(body: bytes | str) -> Any:
    """Decode a JSON body; undecoded bytes may be kept in a text as lone surrogates.

    Raises:
        RecordError: if it is no JSON (NaN and Infinity included).
    """
    try:
        raw = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body
        return json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not a JSON document: {str(error)[:_SHOWN]}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """An object.

    Raises:
        RecordError: if it is none.
    """
    if not isinstance(value, dict):
        raise RecordError(f"{name} is not an object: {_shown(value)}")
    return value


def sequence(value: Any, name: str) -> list[Any]:
    """A list.

    Raises:
        RecordError: if it is none.
    """
    if not isinstance(value, list):
        raise RecordError(f"{name} is not a list: {_shown(value)}")
    return value


def text(source: Mapping[str, Any], name: str, *, required: bool = False) -> str | None:
    """A string that Postgres can store, or None where it is absent.

    Raises:
        RecordError: if it is no such string, or required and absent or blank.
    """
    value = source.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or (required and not value.strip()):
        raise RecordError(f"{name} is not a text: {_shown(value)}")
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise RecordError(f"{name} holds characters that cannot be stored")
    return value


def required_text(source: Mapping[str, Any], name: str) -> str:
    """A string that is there.

    Raises:
        RecordError: if it is absent, blank or no string.
    """
    value = text(source, name, required=True)
    assert value is not None  # noqa: S101 - for the type checker; `required` guarantees it
    return value


def count(source: Mapping[str, Any], name: str) -> int | None:
    """A whole number from 0 up, written as a number or as digits; None where it is absent.

    Raises:
        RecordError: if it is anything else.
    """
    value = source.get(name)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _BIGGEST:
        raise RecordError(f"{name} is not a count: {_shown(value)}")
    return value


def required_count(source: Mapping[str, Any], name: str) -> int:
    """A count that is there.

    Raises:
        RecordError: if it is absent or no count.
    """
    value = count(source, name)
    if value is None:
        raise RecordError(f"{name} is absent")
    return value


def moment(source: Mapping[str, Any], name: str) -> datetime | None:
    """An ISO 8601 time with a zone, in UTC; None where it is absent.

    Raises:
        RecordError: if it is anything else.
    """
    value = text(source, name)
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
        if time.tzinfo is None:
            raise ValueError
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise RecordError(f"{name} is not a time with a zone: {_shown(value)}") from None


def unix_moment(source: Mapping[str, Any], name: str) -> datetime:
    """Seconds since 1970, in UTC.

    Raises:
        RecordError: if it is absent or no such number.
    """
    seconds = required_count(source, name)
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise RecordError(f"{name} is not a time: {seconds}") from None


def seconds(source: Mapping[str, Any], name: str) -> float | None:
    """An ISO 8601 duration without months or years, in seconds; None where absent or zero.

    Live streams have `P0D`: their length is not known.

    Raises:
        RecordError: if it is anything else.
    """
    value = text(source, name)
    if value is None:
        return None
    found = _DURATION.fullmatch(value)
    if found is None:
        raise RecordError(f"{name} is not a duration: {_shown(value)}")
    units = (604_800, 86_400, 3600, 60, 1)
    total = sum(int(part or 0) * unit for part, unit in zip(found.groups(), units, strict=True))
    return float(total) or None


def flag(source: Mapping[str, Any], name: str) -> bool | None:
    """True, false, or None where it is absent.

    Raises:
        RecordError: if it is anything else.
    """
    value = source.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise RecordError(f"{name} is not true or false: {_shown(value)}")


def texts(source: Mapping[str, Any], name: str) -> list[str] | None:
    """A list of strings, or None where it is absent.

    Raises:
        RecordError: if it is anything else.
    """
    values = source.get(name)
    if values is None:
        return None
    return [required_text({name: value}, name) for value in sequence(values, name)]


def parse_items(
    page: Page,
    kind: str,
    find: Callable[[bytes], Iterable[Item]],
    read: Callable[[Item, int], Iterable[Row]],
    *,
    first: int = 0,
    shown: Callable[[Item], str] | None = None,
) -> Iterator[Row | Rejected]:
    """The rows of a page; a dead letter for the page, or for each item, that raises `RecordError`.

    Args:
        page: what to parse.
        kind: of the dead letters.
        find: the items in the body.
        read: the rows of an item, given its position.
        first: as for `parse_each`.
        shown: as for `parse_each`.
    """
    try:
        items = list(find(page.body))
    except RecordError as error:
        yield rejected_body(kind, error, page.body)
    else:
        yield from parse_each(kind, items, read, first=first, shown=shown)


def as_json(item: Any) -> str:
    """An item as JSON text in ASCII."""
    try:
        return json.dumps(item)
    except RecursionError:
        return "(nested too deeply to show; see the page in bronze)"


def parse_each(
    kind: str,
    items: Iterable[Item],
    read: Callable[[Item, int], Iterable[Row]],
    *,
    first: int = 0,
    shown: Callable[[Item], str] | None = None,
) -> Iterator[Row | Rejected]:
    """All rows of each item, or one dead letter.

    Args:
        kind: of the dead letters.
        items: what to read.
        read: the rows of an item, given its position.
        first: position of the first item.
        shown: an item as the payload of its dead letter; its JSON, if None.
    """
    for position, item in enumerate(items, first):
        try:
            rows = list(read(item, position))
        except RecordError as error:
            yield Rejected(kind, error.reason, (shown or as_json)(item), position)
        else:
            yield from rows


def rejected(kind: str, error: RecordError, item: Any, position: int) -> Rejected:
    """The dead letter of an item."""
    return Rejected(kind, error.reason, as_json(item), position)


def rejected_body(kind: str, error: RecordError, body: bytes) -> Rejected:
    """The dead letter of a whole page."""
    payload = body.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
    return Rejected(kind, error.reason, payload, 0)


def _shown(value: Any) -> str:
    return ascii(value)[:_SHOWN]
