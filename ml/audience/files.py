"""Interactions from files: the formats of MovieLens, with or without header and times."""

from __future__ import annotations

import csv
import gzip
import io
import lzma
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from ml.audience.interactions import Held, Interactions, interactions
from ml.exceptions import FatalError

if TYPE_CHECKING:
    import pandas as pd

_NAMES = {
    "user": ("user", "userid", "user_id", "uid", "segment_id"),
    "item": ("item", "itemid", "item_id", "iid", "movieid", "movie_id", "topic_id"),
    "time": ("time", "timestamp", "ts", "observed_at"),
}
_FORMAT = "give the columns user, item, rating, timestamp (the last two may be absent)"


@dataclass(frozen=True)
class Case:
    """Training rows and what has to be ranked.

    Attributes:
        data: training rows; users and items of the other two files are in its catalogue.
        held: what was held out.
        negatives: items beside each held-out one, shape (rows, most); -1 stands for none.
        new_users: users to rank for that have no training row.
        new_items: items to rank that have none.
    """

    data: Interactions
    held: Held
    negatives: npt.NDArray[np.intp]
    new_users: int
    new_items: int


def read_rows(path: Path) -> pd.DataFrame:
    """Read columns `user`, `item` (text) and, where the file has it, `time` (number).

    Raises:
        FatalError: if there is no such column or a value is none.
    """
    import pandas as pd

    with _opened(path) as lines:
        first = lines.readline().lstrip("\ufeff")
        delimiter = "\t" if "\t" in first else ";" if ";" in first else ","
        cells = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), [])]
        names = _columns(cells, path)
        header = not _is_number(cells[-1])
        body = lines if header else _chained(first, lines)
        frame = pd.read_csv(
            body, sep=delimiter, header=None, usecols=list(names.values()), dtype=str
        )
    frame = frame.rename(columns={place: name for name, place in names.items()})
    if frame.empty or frame[["user", "item"]].isna().any(axis=None):
        raise FatalError(f"{path.name}: a row lacks its user or item; {_FORMAT}")
    if "time" in frame:
        times = pd.to_numeric(frame["time"], errors="coerce")
        if times.isna().any():
            bad = frame["time"][times.isna()].iloc[0]
            raise FatalError(
                f"{path.name}: column timestamp holds {bad!r}; give seconds since 1970 or leave"
                " the column out"
            )
        frame["time"] = times.astype("float64")
    return frame.assign(user=frame["user"].str.strip(), item=frame["item"].str.strip())


def read_case(train: Path, test: Path, negatives: Path) -> Case:
    """Read the three files of a leave-one-out check.

    Raises:
        FatalError: if a file cannot be read or the test and the negatives do not belong together.
    """
    rows, wanted = read_rows(train), read_rows(test)
    lists = _read_negatives(negatives)
    pairs = list(dict.fromkeys(zip(wanted["user"], wanted["item"], strict=True)))
    missing = [pair for pair in pairs if pair not in lists]
    if missing:
        user, item = missing[0]
        raise FatalError(
            f"{negatives.name} has no line ({user},{item}), which {test.name} asks for"
            f" ({len(missing)} such); give one line per row of the test file"
        )
    ranked = {item for _, item in pairs} | {item for pair in pairs for item in lists[pair]}
    # What is held out must not have been learned from.
    out = set(pairs)
    kept = np.array([pair not in out for pair in zip(rows["user"], rows["item"], strict=True)])
    data = interactions(
        cast("pd.DataFrame", rows[kept]), users=[user for user, _ in pairs], items=sorted(ranked)
    )
    if not len(data):
        raise FatalError(f"{train.name} has no row that is not in {test.name}; nothing to learn")
    place_u = {name: index for index, name in enumerate(data.users)}
    place_i = {name: index for index, name in enumerate(data.items)}
    widest = max(len(lists[pair]) for pair in pairs)
    table = np.full((len(pairs), widest), -1, dtype=np.intp)
    for row, pair in enumerate(pairs):
        table[row, : len(lists[pair])] = [place_i[item] for item in lists[pair]]
    held = Held(
        user=np.array([place_u[user] for user, _ in pairs], dtype=np.intp),
        item=np.array([place_i[item] for _, item in pairs], dtype=np.intp),
    )
    new_users = len({user for user, _ in pairs} - set(rows["user"]))
    return Case(data, held, table, new_users, len(ranked - set(rows["item"])))


def _read_negatives(path: Path) -> dict[tuple[str, str], list[str]]:
    """Negative items by (user, item)."""
    lists: dict[tuple[str, str], list[str]] = {}
    with _opened(path) as lines:
        for number, line in enumerate(lines, start=1):
            cells = [cell.strip() for cell in line.lstrip("\ufeff").rstrip("\r\n").split("\t")]
            if cells == [""]:
                continue
            pair = [part.strip() for part in cells[0].strip("()").split(",")]
            others = [cell for cell in cells[1:] if cell]
            if not cells[0].startswith("(") or len(pair) != 2 or not others:
                raise FatalError(
                    f"{path.name}, line {number}: the first column has to be (user,item), followed"
                    " by negative items, separated by tabs"
                )
            lists[pair[0], pair[1]] = [item for item in others if item != pair[1]]
    return lists


def _columns(cells: list[str], path: Path) -> dict[str, int]:
    """Place of each column, by the header or by the order user, item, rating, timestamp."""
    if len(cells) < 2:
        raise FatalError(f"{path.name}: has no column item; {_FORMAT}")
    if _is_number(cells[-1]):
        names = {"user": 0, "item": 1}
        return names | {"time": 3} if len(cells) > 3 else names
    lowered = [cell.lower() for cell in cells]
    found = {
        name: lowered.index(alias)
        for name, aliases in _NAMES.items()
        for alias in aliases
        if alias in lowered
    }
    for name in ("user", "item"):
        if name not in found:
            raise FatalError(
                f"{path.name}: has no column {name} (there are {', '.join(cells[:8])}); {_FORMAT}"
            )
    return found


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    """Text of the file, unpacked; whatever goes wrong in reading names the file."""
    opener: Any = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            yield lines
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise FatalError(f"{path}: cannot be read ({reason}); {_FORMAT}") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _chained(first: str, rest: Iterable[str]) -> IO[str]:
    return io.StringIO(first + "".join(rest))
