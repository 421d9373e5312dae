from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from ml.quality.policy.dataset import LABELS

pd = pytest.importorskip("pandas")

_BAIT = ("10 AMAZING {}s you won't believe!", "This {} will SHOCK you!!", "Top 5 scary {}s ever")
_NEWS = ("Council discusses {} budget", "How a {} works | Lecture", "The {} report, May edition")
_SPAM = (
    "click my channel for {} videos",
    "subscribe to my {} page please",
    "free {} at my channel",
)
_HAM = ("lovely {} song", "i like the {} part", "who else came for the {}")
_RUDE = ("you stupid {} idiot", "shut up you ugly {}", "fucking {} trash people")
_KIND = ("good morning {} friends", "the {} game is tonight", "thanks for the nice {}")
_THINGS = [
    "cat", "dog", "car", "house", "river", "phone", "apple", "train", "garden", "planet", "robot",
    "castle", "guitar", "bridge", "camera", "pizza", "horse", "island", "jacket", "kettle",
]  # fmt: skip


def _texts(patterns: tuple[str, ...]) -> list[str]:
    return [pattern.format(thing) for thing, pattern in itertools.product(_THINGS, patterns)]


@pytest.fixture(scope="session")
def quality_folder(tmp_path_factory) -> Path:
    """A data folder with a few made-up texts in the format of the real files."""
    folder = tmp_path_factory.mktemp("data") / "quality"
    folder.mkdir()
    titles = [(_channel(i, 1), t, 1) for i, t in enumerate(_texts(_BAIT))]
    titles += [(_channel(i, 0), t, 0) for i, t in enumerate(_texts(_NEWS))]
    frame = pd.DataFrame(titles, columns=["channel_id", "video_title", "clickbait"])
    frame.to_csv(folder / "youtube_clickbait.csv.gz", index=False)
    tweets = [(1, f"RT @a: {text}") for text in _texts(_RUDE)] + [(2, t) for t in _texts(_KIND)]
    pd.DataFrame(tweets, columns=["class", "tweet"]).to_csv(
        folder / "hate_offensive.csv.gz", index=False
    )
    _comments(folder)
    return folder.parent


def _channel(number: int, label: int) -> str:
    return f"channel-{label}-{number % 10}"


def _comments(folder: Path) -> None:
    """Comments under ids that the repository labels: rude ones under those labelled toxic."""
    labels = pd.read_csv(LABELS).sort_values("toxic", ascending=False).head(360)
    rude, rest = _texts(_RUDE), _texts(_SPAM) + _texts(_HAM)
    texts = [rude[i % len(rude)] if toxic else rest[i % len(rest)]
             for i, toxic in enumerate(labels["toxic"])]  # fmt: skip
    spam = [int("channel" in text or "page" in text) for text in texts]
    frame = pd.DataFrame({"COMMENT_ID": labels["comment_id"], "CONTENT": texts, "CLASS": spam})
    for number, rows in enumerate(np.array_split(np.arange(len(frame)), 3)):
        one = frame.iloc[np.arange(number, len(frame), 3)] if len(rows) else frame
        one.to_csv(folder / f"youtube_spam_{number}.csv", index=False)
