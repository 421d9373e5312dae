"""The labelled texts: titles by channel, comments by video, tweets; and labelled comments to test.

Files of `<data folder>/quality`, described in the docstrings of the functions that read them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml.exceptions import FatalError, SourceUnavailableError
from ml.quality.policy.texts import Task, clean

if TYPE_CHECKING:
    import pandas as pd

LABELS = Path(__file__).parent / "labels" / "toxicity_comments.csv"
_PARAMS = Path(__file__).parent / "params" / "quality_policy.yaml"
_TITLES, _TWEETS, _COMMENTS = "youtube_clickbait.csv.gz", "hate_offensive.csv.gz", "youtube_spam_"
_MIN_LABELLED = 300
_NEITHER = 2  # class of a tweet that is neither hate nor offensive

Folds = Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]


@dataclass(frozen=True)
class TextSet:
    """Labelled texts of one task.

    Attributes:
        texts: cleaned for the task.
        labels: 0 or 1, shape (n,).
        groups: who wrote a text or where: channel, video; tweets are groups of one.
        embedded: positions of the texts that the sentence encoder reads, shape (m,).
    """

    task: Task
    texts: npt.NDArray[np.object_]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.object_]
    embedded: npt.NDArray[np.intp]

    def frame(self) -> pd.DataFrame:
        """Rows `task`, `text`, `label`, `group`."""
        import pandas as pd

        columns = {"text": self.texts, "label": self.labels, "group": self.groups}
        return pd.DataFrame({"task": self.task, **columns})

    def digest(self) -> str:
        """Sha256 of texts, labels and groups."""
        rows = zip(self.texts, self.labels.tolist(), self.groups, strict=True)
        return hashlib.sha256(json.dumps(list(rows)).encode()).hexdigest()


@dataclass(frozen=True)
class QualityData:
    """What there is to train and test on.

    Attributes:
        sets: training texts by task.
        comments: comments with labels of toxicity, only ever tested on.
    """

    sets: dict[Task, TextSet]
    comments: TextSet

    def digest(self) -> str:
        """Sha256 of everything."""
        parts = [*(one.digest() for one in self.sets.values()), self.comments.digest()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def load_params() -> dict[str, Any]:
    """Read the parameters kept in the repository."""
    import yaml

    values: dict[str, Any] = yaml.safe_load(_PARAMS.read_text())
    return values


def read_data(data_dir: Path | None, params: dict[str, Any]) -> QualityData:
    """Read the labelled texts below `data_dir`.

    Raises:
        SourceUnavailableError: if there is no folder of labelled texts.
        FatalError: if a file is missing, or too few comments carry a label of toxicity.
    """
    folder = data_dir / "quality" if data_dir else None
    if folder is None or not folder.is_dir():
        raise SourceUnavailableError(
            "no labelled text is configured: set YTEMPIRE_DATA_DIR to a folder that has"
            f" quality/{_TITLES}, quality/{_COMMENTS}*.csv and quality/{_TWEETS}"
        )
    tasks = params["tasks"]
    comments = _read_comments(folder)
    return QualityData(
        {
            "clickbait": _read_titles(_existing(folder / _TITLES), tasks["clickbait"]),
            "spam": _text_set("spam", comments, "CONTENT", "CLASS", "file", tasks["spam"]),
            "toxicity": _read_tweets(_existing(folder / _TWEETS), tasks["toxicity"]),
        },
        _read_labelled(comments),
    )


def folds(data: TextSet, params: dict[str, Any], seed: int) -> Folds:
    """Train and test positions, no group on both sides.

    Each video in turn is the test where there are few groups; otherwise one draw of groups.
    """
    from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold

    if len(np.unique(data.groups)) < 10:  # a handful of videos: each in turn
        yield from LeaveOneGroupOut().split(data.texts, data.labels, data.groups)
        return
    splitter = StratifiedGroupKFold(
        round(1 / params["test_share"]), shuffle=True, random_state=seed
    )
    yield next(iter(splitter.split(data.texts, data.labels, data.groups)))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FatalError(f"{path} is missing; the quality scorer is trained on it")
    return path


def _read_titles(path: Path, params: dict[str, Any]) -> TextSet:
    """Titles (`video_title`) with the label of their channel (`channel_id`, `clickbait`)."""
    import pandas as pd

    frame = pd.read_csv(path, usecols=["channel_id", "video_title", "clickbait"]).dropna()
    return _text_set("clickbait", frame, "video_title", "clickbait", "channel_id", params)


def _read_comments(folder: Path) -> pd.DataFrame:
    """Comments (`COMMENT_ID`, `CONTENT`, `CLASS`: 1 is spam), a file a video."""
    import pandas as pd

    paths = sorted(folder.glob(f"{_COMMENTS}*.csv"))
    if len(paths) < 2:
        raise FatalError(f"{folder} has {len(paths)} files {_COMMENTS}*.csv; two videos are needed")
    return pd.concat([pd.read_csv(path).assign(file=path.name) for path in paths])


def _read_tweets(path: Path, params: dict[str, Any]) -> TextSet:
    """Tweets (`tweet`, `class`: 0 hate, 1 offensive, 2 neither); the first two are toxic.

    The two are one label because raters told them apart by dialect more than by harm (Sap et al.
    2019, The risk of racial bias in hate speech detection).
    """
    import pandas as pd

    frame = pd.read_csv(path, usecols=["class", "tweet"])
    frame["toxic"] = (frame["class"] != _NEITHER).astype(int)
    frame["text"] = [clean(text, "toxicity") for text in frame["tweet"]]
    frame = frame[frame["text"].str.len() > 2].drop_duplicates("text").copy()
    # All hate, then offensive tweets in the order of a hash: the same ones in every run.
    frame["order"] = [hashlib.sha256(text.encode()).hexdigest() for text in frame["text"]]
    frame = frame.sort_values(["class", "order"]).groupby("toxic").head(params["rows_per_label"])
    return _text_set("toxicity", frame, "text", "toxic", "text", params)


def _read_labelled(comments: pd.DataFrame) -> TextSet:
    """The comments that `labels/toxicity_comments.csv` labels, by id."""
    import pandas as pd

    labels = pd.read_csv(LABELS).set_index("comment_id")["toxic"]
    known = comments[comments["COMMENT_ID"].isin(labels.index)]
    toxic = labels.reindex(known["COMMENT_ID"]).to_numpy()
    if len(known) < _MIN_LABELLED or len(set(toxic)) < 2:
        raise FatalError(
            f"only {len(known)} of the comments have a label in {LABELS}; {_MIN_LABELLED} of both"
            " kinds are needed to measure toxicity"
        )
    everything = {"embedded_per_group": len(known)}
    known = known.assign(toxic=toxic)
    return _text_set("toxicity", known, "CONTENT", "toxic", "file", everything)


def _text_set(
    task: Task, frame: pd.DataFrame, text: str, label: str, group: str, params: dict[str, Any]
) -> TextSet:
    texts = np.array([clean(str(value), task) for value in frame[text]], dtype=object)
    labels = frame[label].to_numpy().astype(np.int64)
    groups = frame[group].to_numpy().astype(object)
    # Tweets have no author: of each label a number is embedded instead.
    within = labels if len(np.unique(groups)) > len(texts) / 2 else groups
    return TextSet(task, texts, labels, groups, _some(texts, within, params["embedded_per_group"]))


def _some(
    texts: npt.NDArray[np.object_], within: npt.NDArray[Any], count: int
) -> npt.NDArray[np.intp]:
    """Positions of `count` texts of each group: those whose hash is smallest."""
    import pandas as pd

    order = pd.Series([hashlib.sha256(text.encode()).hexdigest() for text in texts])
    rank = order.groupby(within).rank(method="first")
    return np.flatnonzero(rank.to_numpy() <= count)
