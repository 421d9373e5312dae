"""What the trees see of a title.

How it is written, how that differs from the channel's earlier titles, how near its meaning is to
theirs, and the meaning itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml.quality.style import STYLE, style

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]
Vectors = Mapping[str, npt.NDArray[np.float32]]

INPUTS = ("title", "earlier_titles", "duration_s", "usual_duration_s", "category_id")
_KINDS = {
    "official": r"\bofficial\b",
    "music": r"\b(?:music|mv|m/v|clip|audio|lyrics?|visualizer|song)\b",
    "trailer": r"\b(?:trailer|teaser|promo)\b",
    "live": r"\b(?:live|stream|directo|en vivo|ao vivo)\b",
    "joint": r"\b(?:feat|ft|x|with)\b",
    "serial": r"\b(?:ep|episode|part|capitulo|parte|bölüm|cap)\b",
    "shorts": r"#shorts?\b",
    "hashtag": r"#\w",
}
_PATTERNS = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _KINDS.values())
_SCRIPTS = {
    "latin": "[a-zA-Z]",
    "cyrillic": "[\u0400-\u04ff]",
    "arabic": "[\u0600-\u06ff]",
    "indic": "[\u0900-\u0dff]",
    "east_asian": "[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]",
    "digits": "[0-9]",
}
_LETTERS = tuple(re.compile(pattern) for pattern in _SCRIPTS.values())
WRITING = (*STYLE, *_KINDS, *_SCRIPTS)
PLAIN = (
    *WRITING,
    *(f"{name}_to_channel" for name in WRITING),
    "log_duration", "log_duration_to_channel", "category_id", "earlier_titles",
)  # fmt: skip
NEARNESS = ("nearness_to_channel", "nearness_to_nearest", "nearness_to_last")


def writing(titles: Sequence[str]) -> Array:
    """How titles are written, shape (n, len(WRITING))."""
    words = [[float(bool(pattern.search(title))) for pattern in _PATTERNS] for title in titles]
    shares = [
        [len(pattern.findall(title)) / max(len(title), 1) for pattern in _LETTERS]
        for title in titles
    ]
    return np.hstack([style(titles), np.array(words), np.array(shares)])


def plain(frame: pd.DataFrame) -> Array:
    """Features without any learnt encoder, shape (n, len(PLAIN)), NaN where nothing is known."""
    titles, histories = _texts(frame)
    unique = sorted({*titles, *(title for history in histories for title in history)})
    place = {title: row for row, title in enumerate(unique)}
    table = writing(unique)
    own = table[[place[title] for title in titles]]
    usual = np.array(
        [
            table[[place[title] for title in history]].mean(axis=0)
            if history
            else np.full(len(WRITING), np.nan)
            for history in histories
        ]
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = np.log(frame["duration_s"].to_numpy(dtype=float).clip(min=1))
        lengths_before = np.log(frame["usual_duration_s"].to_numpy(dtype=float).clip(min=1))
    rest = [
        lengths,
        lengths - lengths_before,
        frame["category_id"].to_numpy(dtype=float),
        np.array([len(history) for history in histories], dtype=float),
    ]
    return np.column_stack([own, own - usual, *rest])


def nearness(frame: pd.DataFrame, vectors: Vectors) -> Array:
    """Cosines with the mean, the nearest and the last of the earlier titles, shape (n, 3)."""
    rows = []
    for title, history in zip(*_texts(frame), strict=True):
        if not history:
            rows.append([np.nan] * len(NEARNESS))
            continue
        before = np.stack([vectors[name] for name in history])
        cosines = before @ vectors[title]
        length = float(np.linalg.norm(before.mean(axis=0)))
        rows.append([cosines.mean() / max(length, 1e-6), cosines.max(), cosines[-1]])
    return np.array(rows, dtype=np.float64)


def meaning(frame: pd.DataFrame, vectors: Vectors) -> npt.NDArray[np.float32]:
    """Sentence embeddings of the titles, shape (n, 384)."""
    return np.stack([vectors[title] for title in frame["title"]])


def titles_of(frame: pd.DataFrame) -> list[str]:
    """Every title that these rows need an embedding of, each once."""
    titles, histories = _texts(frame)
    return sorted({*titles, *(title for history in histories for title in history)})


def _texts(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    histories = [[t for t in text.split("\n") if t.strip()] for text in frame["earlier_titles"]]
    return frame["title"].tolist(), histories


def as_input(frame: pd.DataFrame) -> Any:
    """The inputs of the model as its signature types them."""
    numbers = ("duration_s", "usual_duration_s", "category_id")
    return frame[list(INPUTS)].astype(
        {**dict.fromkeys(numbers, "float64"), "title": str, "earlier_titles": str}
    )
