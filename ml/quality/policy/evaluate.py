"""How well the registered `quality_policy` ranks the labelled texts of a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml.exceptions import ArchiveError, FatalError
from ml.quality.policy.model import BASELINE, PolicyModel
from ml.quality.policy.texts import TASKS, Task
from ml.quality.policy.train import NAME
from ml.registry import releases
from ml.settings import Settings, get_settings
from ml.sources.archives.files import decompressed, reading

if TYPE_CHECKING:
    import pandas as pd

_BATCH = 1000
_YES = frozenset({"1", "true", "yes", "y", "spam", "clickbait", "toxic", "offensive", "hate"})


def evaluate_file(
    task: Task,
    file: Path,
    text_column: str,
    label_column: str,
    *,
    settings: Settings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Area under the ROC curve of the champion, and of its baseline, on the texts of a file.

    Args:
        task: `clickbait`, `spam` or `toxicity`.
        file: comma- or tab-separated with a header, plain or compressed.
        text_column: column of the texts; rows without a text or a label are left out.
        label_column: column of the labels: 0 and 1, or two words of which one says yes.
        settings: those of the process by default.
        progress: called with the number of texts scored and of all.

    Returns:
        `model`, `version`, `rows`, `skipped`, `auc` and `M8` by task, with `baselines`.

    Raises:
        FatalError: if the task is unknown, a column is missing, the labels are not of two kinds, or
            there is no champion.
        ArchiveError: if the file cannot be read.
    """
    texts, labels, skipped = labelled_texts(task, file, text_column, label_column)
    loaded, release = releases.load_champion(NAME, settings or get_settings())
    figures = measure(loaded.get_raw_model(), task, texts, labels, progress)
    return {
        "model": NAME,
        "version": release.version,
        "rows": len(texts),
        "skipped": skipped,
        "M8": {task: figures},
        "auc": figures["auc"],
    }


def labelled_texts(
    task: Task, file: Path, text_column: str, label_column: str
) -> tuple[list[str], npt.NDArray[np.int64], int]:
    """Texts and labels (0 or 1) of a file, and how many rows lack either.

    Raises:
        FatalError: if the task is unknown, a column is missing or the labels are not of two kinds.
        ArchiveError: if the file cannot be read.
    """
    if task not in TASKS:
        raise FatalError(f"unknown task {task!r}; use one of {', '.join(TASKS)}")
    frame = read_table(file, (text_column, label_column))
    kept = frame[(frame[text_column].str.strip() != "") & (frame[label_column].str.strip() != "")]
    labels = binary(kept[label_column].str.strip().tolist(), label_column)
    return kept[text_column].tolist(), labels, len(frame) - len(kept)


def measure(
    model: PolicyModel,
    task: Task,
    texts: Sequence[str],
    labels: npt.NDArray[np.int64],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """`auc` of a model on labelled texts, and of its `baselines`."""
    scores, plain = [], []
    for start in range(0, len(texts), _BATCH):
        score, baseline = model.margins(task, texts[start : start + _BATCH])
        scores.append(score)
        plain.append(baseline)
        if progress:
            progress(min(start + _BATCH, len(texts)), len(texts))
    baselines = {BASELINE: {"auc": _auc(labels, np.concatenate(plain))}}
    return {"auc": _auc(labels, np.concatenate(scores)), "baselines": baselines}


def read_table(file: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read those columns of a separated file as text, an empty cell as an empty text.

    Raises:
        FatalError: if a column is missing; the message names those that exist.
        ArchiveError: if the file is missing, damaged or empty.
    """
    import pandas as pd

    with reading(file), decompressed(file) as stream:
        content = stream.read()
    text = content.decode("utf-8-sig", errors="replace")
    header = text.split("\n", 1)[0]
    separator = "\t" if header.count("\t") > header.count(",") else ","
    names = next(csv.reader([header.rstrip("\r")], delimiter=separator), [])
    if not names:
        raise ArchiveError(f"{file} is empty; it needs a header with {', '.join(columns)}")
    absent = [name for name in columns if name not in names]
    if absent:
        raise FatalError(f"{file} has no column {', '.join(absent)}; it has {', '.join(names)}")
    try:
        return pd.read_csv(
            io.StringIO(text), sep=separator, usecols=list(columns), dtype=str,
            keep_default_na=False,
        )  # fmt: skip
    except ValueError as error:
        raise ArchiveError(f"{file} is no table: {str(error).strip()[:200]}") from error


def binary(values: list[str], column: str) -> npt.NDArray[np.int64]:
    """Labels as 0 and 1, shape (n,).

    Raises:
        FatalError: if they are not of two kinds, or nothing tells which one is yes.
    """
    normal = [_normal(value) for value in values]
    kinds = sorted(set(normal))
    if len(kinds) != 2:
        shown = ", ".join(kinds[:6]) or "nothing"
        raise FatalError(f"column {column} must hold two kinds of labels, such as 0 and 1: {shown}")
    positive = [kind for kind in kinds if kind in _YES]
    if len(positive) != 1:
        raise FatalError(
            f"column {column} holds {kinds[0]} and {kinds[1]}, and one of them must be a yes: 1,"
            " true, yes or the name of the task"
        )
    return np.array([value == positive[0] for value in normal], dtype=np.int64)


def _normal(value: str) -> str:
    """A whole number may be written as 1 or 1.0."""
    return value.lower().removesuffix(".0")


def _auc(labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores))
