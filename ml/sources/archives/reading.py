"""From an archive file to batches of rows, all values still text.

Public archives are damaged in every way a spreadsheet and a broken download can think of, so a row
that cannot be split becomes a reject and the file goes on. Only a file that gives nothing at all
raises.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa

from ml.exceptions import ArchiveError
from ml.sources.archives.files import decompressed, detect_encoding, lines, reading, sha256_of

_BATCH_LINES = 20_000
# With fewer rows than this the last column has no shape that a cut value could be compared with.
_SHAPE_ROWS = 20
_PAYLOAD_CHARS = 16_384
_LINE_ENDS = ("\n", "\r")
_CUT = "the file ends inside this row"
_NOT_NUMERIC = re.compile(r"[^\d.:TZ+ -]")


@dataclass(frozen=True)
class Reject:
    """A row that cannot be used.

    Attributes:
        position: its first line in the decompressed file, from 1 (the header).
        reason: why, in words.
        payload: the row itself.
    """

    position: int
    reason: str
    payload: str


@dataclass(frozen=True)
class TextBatch:
    """Some rows of a file.

    Attributes:
        header: column names, lower case.
        rows: the rows, each as long as the header.
        positions: first line of each row.
        rejects: the rows between them that could not be split.
    """

    header: tuple[str, ...]
    rows: list[list[str]]
    positions: list[int]
    rejects: list[Reject]

    def column(self, name: str) -> pa.Array | None:
        """The texts of a column, the first of that name; None if the file has none."""
        if name not in self.header:
            return None
        index = self.header.index(name)
        return pa.array([row[index] for row in self.rows], pa.string())


@dataclass(frozen=True)
class CsvFile:
    """An archive file that was read to its end once and found whole.

    Attributes:
        path: where it lies.
        sha256: hash of its bytes as they lie there.
        size_bytes: their number.
        encoding: `utf-8-sig` or `cp1252`.
        header: column names, lower case.
    """

    path: Path
    sha256: str
    size_bytes: int
    encoding: str
    header: tuple[str, ...]

    @classmethod
    def inspect(cls, path: Path) -> CsvFile:
        """Read a file to its end once.

        Raises:
            ArchiveError: if it is missing, damaged or empty.
        """
        with reading(path):
            size, encoding = path.stat().st_size, detect_encoding(path)
            return cls(path, sha256_of(path), size, encoding, read_header(path, encoding))

    def batches(self, row_start: re.Pattern[str] | None = None) -> Iterator[TextBatch]:
        """Yield the rows in order.

        Args:
            row_start: what the first line of a row looks like. After a quote that is never closed,
                reading resumes at the next such line: one bad row takes no other with it.

        Raises:
            ArchiveError: if the file was damaged since it was inspected.
        """
        with reading(self.path), decompressed(self.path) as stream:
            text = _Lines(lines(stream, self.encoding))
            next(csv.reader(text))
            splitter = _Splitter(text, self.header, row_start)
            while (batch := splitter.next_batch()) is not None:
                yield batch


def read_header(path: Path, encoding: str = "utf-8-sig") -> tuple[str, ...]:
    """Column names of a file, lower case.

    Raises:
        ArchiveError: if it is missing, damaged, empty or no CSV file.
    """
    with reading(path), decompressed(path) as stream:
        try:
            first = next(csv.reader(lines(stream, encoding)))
        except StopIteration:
            raise ArchiveError(f"{path} is empty; download it again") from None
        except csv.Error as error:
            raise ArchiveError(f"{path} is not a CSV file ({error})") from error
    return tuple(name.strip().lower() for name in first)


class _Lines:
    """Lines that remember what was taken, and can be given some back."""

    def __init__(self, source: Iterator[str]) -> None:
        self._source = source
        self._back: deque[str] = deque()
        self.taken: list[str] = []
        self.exhausted = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._source, None)
        if line is None:
            self.exhausted = True
            raise StopIteration
        self.taken.append(line)
        return line

    def block(self, size: int) -> list[str]:
        """Up to `size` lines at once, not remembered."""
        lines = [self._back.popleft() for _ in range(min(size, len(self._back)))]
        lines.extend(islice(self._source, size - len(lines)))
        return lines

    def give_back(self, rest: Sequence[str]) -> None:
        self._back.extendleft(reversed(rest))
        self.exhausted = False


class _Splitter:
    """Splits lines into rows: a block at a time where all is well, row by row where it is not."""

    def __init__(
        self, source: _Lines, header: tuple[str, ...], row_start: re.Pattern[str] | None
    ) -> None:
        self._source = source
        self._header = header
        self._line = len(source.taken) + 1
        self._row_start = row_start

    def next_batch(self) -> TextBatch | None:
        """The rows of the next block of lines, or None at the end."""
        block = self._source.block(_BATCH_LINES)
        if not block:
            return None
        batch = self._fast(block) or self._careful(block)
        if not block[-1].endswith(_LINE_ENDS):
            _reject_cut_value(batch)
        return batch

    def _fast(self, block: list[str]) -> TextBatch | None:
        """A block of one good row a line; None if it is anything else."""
        try:
            rows = list(csv.reader(block, strict=True))
        except csv.Error:
            return None
        if len(rows) != len(block) or set(map(len, rows)) != {len(self._header)}:
            return None
        first, self._line = self._line, self._line + len(block)
        return TextBatch(self._header, rows, list(range(first, self._line)), [])

    def _careful(self, block: list[str]) -> TextBatch:
        batch = TextBatch(self._header, [], [], [])
        end = self._line + len(block)
        self._source.give_back(block)
        while self._line < end and not self._source.exhausted:
            self._one(batch)
        return batch

    def _one(self, batch: TextBatch) -> None:
        """Read one row into `batch`."""
        taken = self._source.taken = []
        try:
            row = next(csv.reader(self._source), [])
            reason = self._fault(row)
        except csv.Error as error:
            row, reason = [], f"not CSV: {error}"
        used = self._resume() if reason else len(taken)
        if reason:
            payload = "".join(taken[:used])[:_PAYLOAD_CHARS]
            batch.rejects.append(Reject(self._line, reason, payload))
        elif row:
            batch.rows.append(row[: len(self._header)])
            batch.positions.append(self._line)
        self._line += used

    def _fault(self, row: list[str]) -> str:
        """Why a row cannot be used, or nothing."""
        taken, width = self._source.taken, len(self._header)
        if self._source.exhausted and _is_unterminated(taken):
            return _CUT
        if not row or len(row) == width or (len(row) > width and not any(row[width:])):
            return ""
        if len(row) < width and not taken[-1].endswith(_LINE_ENDS):
            return _CUT
        return f"has {len(row)} columns, not {width}"

    def _resume(self) -> int:
        """Give back the lines from the next start of a row on; return how many are kept."""
        taken = self._source.taken
        for index in range(1, len(taken)):
            if self._row_start is not None and self._row_start.match(taken[index]):
                self._source.give_back(taken[index:])
                return index
        return len(taken)


def _is_unterminated(taken: list[str]) -> bool:
    try:
        list(csv.reader(taken, strict=True))
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False


def _reject_cut_value(batch: TextBatch) -> None:
    """Move a last row without a line end to the rejects if its last value was cut.

    Only a column of numbers or times tells: a value of a shape that no other has ("11" where the
    others are "11.0") is a cut one.
    """
    values = [row[-1] for row in batch.rows]
    others = [value for value in values[:-1] if not _NOT_NUMERIC.search(value)]
    if len(others) < max(_SHAPE_ROWS, 0.9 * len(values)):
        return
    pattern = r"\d" if len({re.sub(r"\d", "0", value) for value in others}) == 1 else r"\d+"
    if re.sub(pattern, "0", values[-1]) not in {re.sub(pattern, "0", value) for value in others}:
        row, position = batch.rows.pop(), batch.positions.pop()
        batch.rejects.append(Reject(position, _CUT, ",".join(row)))
