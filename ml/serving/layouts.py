"""Where features lie in the online store, and how what lies there is read."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property, lru_cache
from importlib.machinery import PathFinder
from importlib.metadata import distribution
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

from ml.exceptions import ConfigurationError, FatalError

_DOUBLE = struct.Struct("<d")


class UnknownFeatureError(FatalError):
    """A request names a service, view or feature that is not registered."""


@dataclass(frozen=True)
class Layout:
    """Where the features of a request lie.

    Attributes:
        source: the service or references that were asked for.
        join_key: name of the entity's key, such as `video_id`.
        names: features in Feast's order.
        fields: hash fields: the features in that order, then the event time of each view.
        views: name and time to live of each view; None lives for ever.
        required: features that may not be missing, with their place.
        head, tail: what stands in a Redis key before and after the entity's id.
    """

    source: str
    join_key: str
    names: tuple[str, ...]
    fields: tuple[bytes, ...]
    views: tuple[tuple[str, timedelta | None], ...]
    required: tuple[tuple[str, int], ...]
    head: bytes
    tail: bytes

    def key(self, entity_id: str) -> bytes:
        """Redis key of an entity, as Feast's serialisation version 3 writes a text key."""
        encoded = entity_id.encode()
        return b"".join((self.head, struct.pack("<I", len(encoded)), encoded, self.tail))

    def command(self, entity_id: str) -> bytes:
        """HMGET of all fields, in Redis' own protocol."""
        before, after = self._constant
        key = self.key(entity_id)
        return b"%s$%d\r\n%s\r\n%s" % (before, len(key), key, after)

    @cached_property
    def _constant(self) -> tuple[bytes, bytes]:
        before = b"*%d\r\n$5\r\nHMGET\r\n" % (len(self.fields) + 2)
        return before, b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in self.fields)


@dataclass(frozen=True)
class Row:
    """The stored features of one entity, still encoded.

    Attributes:
        cells: one per field of the layout, None where nothing is stored.
    """

    layout: Layout
    entity_id: str
    cells: tuple[bytes | None, ...]

    @property
    def stamp(self) -> bytes:
        """What changes when any view of the entity is written anew."""
        return b"|".join(cell or b"" for cell in self.cells[len(self.layout.names) :])

    def values(self) -> dict[str, Any]:
        """Features by name, None where there is none."""
        return {
            name: decode(cell) for name, cell in zip(self.layout.names, self.cells, strict=False)
        }

    def event_times(self) -> dict[str, datetime | None]:
        """Event time by view."""
        times = self.cells[len(self.layout.names) :]
        return {
            view: event_time(cell) for (view, _), cell in zip(self.layout.views, times, strict=True)
        }

    def missing(self, as_of: datetime | None) -> list[str]:
        """Required features without a value, and views older than they may be at `as_of`."""
        absent = [name for name, place in self.layout.required if not self.cells[place]]
        ages = self.event_times()
        for view, ttl in self.layout.views:
            seen = ages[view]
            if as_of is not None and ttl and seen is not None and as_of - seen > ttl:
                absent.append(f"{view} (last of {seen.isoformat()}, too old)")
        return absent


def decode(cell: bytes | None) -> Any:
    """The value of a serialised `feast.types.Value`; None for nothing and for null."""
    if not cell:
        return None
    if cell[0] == 0x29:  # field 5, double_val
        return _DOUBLE.unpack_from(cell, 1)[0]
    if cell[0] == 0x20 and len(cell) == 2 and cell[1] < 0x80:  # field 4, a small int64_val
        return cell[1]
    if cell[0] == 0x38:  # field 7, bool_val
        return cell[1] == 1
    return _decode_any(cell)


def _decode_any(cell: bytes) -> Any:
    value = _value_type().FromString(cell)
    kind = value.WhichOneof("val")
    if kind in (None, "null_val"):
        return None
    found = getattr(value, kind)
    return list(found.val) if kind.endswith("list_val") else found


@cache
def _value_type() -> Any:
    """`feast.types.Value` by its file: a request must not wait seconds for all of Feast."""
    folder = Path(str(distribution("feast").locate_file("feast/protos/feast/types")))
    found = PathFinder.find_spec("Value_pb2", [str(folder)])
    if found is None or found.loader is None:
        raise ConfigurationError(f"{folder} has no Value_pb2.py; install the pinned packages")
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module.Value


@lru_cache(maxsize=4096)
def event_time(cell: bytes | None) -> datetime | None:
    """The time of a serialised `google.protobuf.Timestamp`, to the second."""
    if not cell or cell[0] != 0x08:  # field 1, seconds since 1970
        return None
    seconds = shift = 0
    for byte in cell[1:]:
        seconds |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return datetime.fromtimestamp(seconds, UTC)
