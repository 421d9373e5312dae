"""Columns of text become typed columns; every row that does not fit gets a reason.

All of it is columnar: a check is one pass of Arrow over a column, and no Python runs per row
unless a row is bad.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from ml.sources.archives.reading import Reject, TextBatch

TIMESTAMP = pa.timestamp("us", "UTC")
_DAY_US = 86_400_000_000

# 15 digits are exact as a double and far above any count of views.
_COUNT = r"^\s*\d{1,15}(\.0*)?\s*$"
_DECIMAL = r"^\s*\d{1,12}(\.\d*)?\s*$"
_UNKNOWN = r"^\s*(?i:nan|null|none|n/a|\\n)?\s*$"
_TIME = (
    r"^[12]\d{3}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?"
    r"(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)?)?$"
)
# Arrow writes none of the control characters of JSON strings for us.
_CONTROL = r"[\x00-\x1f]"


@dataclass(frozen=True)
class Rows:
    """Rows that are ready for their table, and the rejects found on the way.

    Attributes:
        table: columns of the raw table that vary by row, and `position`.
        rejects: rows that cannot be used.
    """

    table: pa.RecordBatch
    rejects: list[Reject]


@dataclass
class Columns:
    """The columns of a batch, with the first reason per row why it cannot be used."""

    batch: TextBatch
    _reason: pa.Array = field(init=False)

    def __post_init__(self) -> None:
        self._reason = pa.nulls(len(self.batch.rows), pa.string())

    def __len__(self) -> int:
        return len(self.batch.rows)

    def reject(self, bad: pa.Array, reason: str) -> None:
        """Note `reason` for the rows where `bad` is true and none is noted yet."""
        new = pc.and_(pc.fill_null(bad, False), pc.is_null(self._reason))
        self._reason = pc.if_else(new, pa.scalar(reason), self._reason)

    def text(self, *names: str) -> pa.Array:
        """The first of these columns that the file has, empty as null; all null without it."""
        for name in names:
            values = self.batch.column(name)
            if values is not None:
                return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
        return pa.nulls(len(self), pa.string())

    def word(self, *names: str, pattern: str, what: str) -> pa.Array:
        """A required text without spaces around it that matches `pattern`."""
        values = pc.utf8_trim_whitespace(self.text(*names))
        self.reject(pc.is_null(values), f"{names[0]} is empty")
        self.reject(pc.invert(pc.match_substring_regex(values, pattern)), f"{names[0]} {what}")
        return values

    def count(self, *names: str, required: bool = False, most: int = 10**15) -> pa.Array:
        """Whole numbers from 0 to `most`, also written "12.0"; null where unknown."""
        numbers = self._number(names, _COUNT, "is not a count", required).cast(pa.int64())
        self.reject(pc.greater(numbers, most), f"{names[0]} is too large")
        return pc.if_else(pc.greater(numbers, most), pa.scalar(None, pa.int64()), numbers)

    def seconds(self, *names: str) -> pa.Array:
        """Decimal numbers from 0; null where unknown."""
        return self._number(names, _DECIMAL, "is not a number", required=False)

    def _number(self, names: tuple[str, ...], pattern: str, fault: str, required: bool) -> pa.Array:
        values, known = self._known(names, required)
        good = pc.match_substring_regex(values, pattern)
        self.reject(pc.and_(known, pc.invert(good)), f"{names[0]} {fault}")
        trimmed = pc.utf8_trim_whitespace(pc.if_else(good, values, pa.scalar(None, pa.string())))
        return trimmed.cast(pa.float64())

    def time(self, *names: str, required: bool = False) -> pa.Array:
        """ISO dates and times, UTC where no zone is given; null where unknown."""
        values, known = self._known(names, required)
        times = timestamps(values)
        self.reject(pc.and_(known, pc.is_null(times)), f"{names[0]} is not a time")
        return times

    def _known(self, names: tuple[str, ...], required: bool) -> tuple[pa.Array, pa.Array]:
        values = self.text(*names)
        known = pc.invert(pc.fill_null(pc.match_substring_regex(values, _UNKNOWN), True))
        if required:
            self.reject(pc.invert(known), f"{names[0]} is empty")
        return values, known

    def flag(self, *names: str) -> pa.Array:
        """True or false in the spellings of pandas, R and SQL; null where it is neither."""
        values = pc.utf8_lower(pc.utf8_trim_whitespace(self.text(*names)))
        yes = pc.is_in(values, pa.array(["true", "t", "1", "1.0"]))
        no = pc.is_in(values, pa.array(["false", "f", "0", "0.0"]))
        return pc.if_else(pc.or_(yes, no), yes, pa.scalar(None, pa.bool_()))

    def rows(self, values: Mapping[str, pa.Array], schema: pa.Schema) -> Rows:
        """Keep the rows without a reason, shaped as `schema`; the others become rejects."""
        columns = {**values, "position": pa.array(self.batch.positions, pa.int64())}
        table = pa.RecordBatch.from_arrays(
            [columns[item.name].cast(item.type) for item in schema], schema=schema
        )
        kept = table.filter(pc.is_null(self._reason))
        return Rows(kept, sorted([*self.batch.rejects, *self._rejects()], key=_position))

    def _rejects(self) -> Iterable[Reject]:
        bad = pc.indices_nonzero(pc.is_valid(self._reason)).to_pylist()
        for index, reason in zip(bad, self._reason.take(pa.array(bad, pa.int64())), strict=True):
            fields = dict(zip(self.batch.header, self.batch.rows[index], strict=True))
            payload = json.dumps(fields, ensure_ascii=False)
            yield Reject(self.batch.positions[index], reason.as_py(), payload)


def _position(reject: Reject) -> int:
    return reject.position


def timestamps(values: pa.Array) -> pa.Array:
    """ISO dates and times as UTC timestamps; null where a text is none."""
    values = pc.utf8_trim_whitespace(values)
    good = pc.match_substring_regex(values, _TIME)
    iso = pc.if_else(good, values, pa.scalar(None, pa.string()))
    iso = pc.replace_substring_regex(iso, r"^(.{10})$", r"\1T00:00:00")
    iso = pc.replace_substring_regex(iso, r"(\.\d{6})\d+", r"\1")
    zoned = pc.match_substring_regex(iso, r"[T ].*(Z|[+-][\d:]+)$")
    iso = pc.if_else(zoned, iso, pc.binary_join_element_wise(iso, "Z", ""))
    try:
        return iso.cast(TIMESTAMP)
    except pa.ArrowInvalid:  # 30 February, 25 o'clock: rare, so one by one
        return pa.array([_timestamp(value) for value in iso.to_pylist()], TIMESTAMP)


def _timestamp(value: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if value else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment else None


def end_of_day(times: pa.Array) -> pa.Array:
    """Midnight after each time: when a daily list of that day is known."""
    days = pc.floor_temporal(times, unit="day").cast(pa.int64())
    return pc.add(days, _DAY_US).cast(TIMESTAMP)


def json_objects(fields: Mapping[str, pa.Array]) -> pa.Array:
    """One JSON object per row, as text, from columns of texts and whole numbers."""
    parts: list[pa.Array | str] = []
    for name, values in fields.items():
        encoded = _json_strings(values) if values.type == pa.string() else values.cast(pa.string())
        parts.append(("," if parts else "{") + json.dumps(name) + ":")
        parts.append(pc.fill_null(encoded, "null"))
    return pc.binary_join_element_wise(*parts, "}", "")


def _json_strings(values: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring_regex(values, _CONTROL)).as_py():
        encoded = [None if value is None else json.dumps(value) for value in values.to_pylist()]
        return pa.array(encoded, pa.string())
    escaped = pc.replace_substring(pc.replace_substring(values, "\\", "\\\\"), '"', '\\"')
    return pc.binary_join_element_wise('"', escaped, '"', "")
