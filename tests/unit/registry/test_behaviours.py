"""Behavioural tests of the probes, on models that do and do not behave."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from ml.registry.probes import probe_of

UPVOTES = np.arange(2, 42, dtype=np.float64)


def figures(name, model, inputs):
    """Figure of each test, by kind and name."""
    found = probe_of(name).behaviours(model, inputs)
    return {(each.kind, each.name): each.figure for each in found}


class Curve:
    """A story's probability as a function of some of its columns."""

    def __init__(self, probability):
        self._probability = probability

    def predict(self, frame):
        return frame[[]].assign(reach_probability=self._probability(frame))


@pytest.fixture
def stories():
    """40 stories that entered with 2 upvotes, one of them without a known entry."""
    import pandas as pd

    frame = pd.DataFrame(
        {
            "upvotes": UPVOTES,
            "entry_upvotes": 2.0,
            "log_upvotes": np.log(UPVOTES),
            "log_growth_since_entry": np.log(UPVOTES / 2),
            "comments_per_upvote": 6 / UPVOTES,
            "upvotes_per_h": (UPVOTES - 2) / 2,
            "upvotes_per_h_since_entry": UPVOTES - 2,
        }
    )
    frame.loc[3, ["entry_upvotes", "log_growth_since_entry"]] = np.nan
    return frame


TRIPLE = ("directional", "3 times the upvotes of the first hour")


def test_more_upvotes_may_not_lower_a_story(stories):
    rises = Curve(lambda rows: 1 - 1 / rows["upvotes"])
    falls = Curve(lambda rows: 0.5 - rows["upvotes_per_h"] / 210)
    assert figures("trend_story", rises, stories)[TRIPLE] == 1
    # A story without a gain, and those whose gain is too small to matter, do not fall.
    assert figures("trend_story", falls, stories)[TRIPLE] == 11 / 40


def test_what_follows_from_upvotes_follows_them(stories):
    """Columns that contradict each other would test the model on what cannot be."""
    asked = []

    def seen(rows):
        asked.append(rows)
        return rows["upvotes"] / 1000

    figures("trend_story", Curve(seen), stories)
    more = asked[-1].drop(index=3)
    assert more["upvotes"].tolist() == [3 * each - 4 for each in stories["upvotes"].drop(index=3)]
    assert np.allclose(more["log_upvotes"], np.log(more["upvotes"]))
    assert np.allclose(more["log_growth_since_entry"], np.log(more["upvotes"] / 2))
    assert np.allclose(more["comments_per_upvote"], 6 / more["upvotes"])
    assert np.allclose(more["upvotes_per_h"], (more["upvotes"] - 2) / 2)
    assert np.allclose(more["upvotes_per_h_since_entry"], more["upvotes"] - 2)
    unknown = asked[-1].loc[3]
    assert unknown["upvotes"] == stories["upvotes"][3]


class Lists:
    """Recommends to each segment, from the topics that it took to and its name."""

    def __init__(self, offered):
        self._offered = offered

    def predict(self, frame):
        import pandas as pd

        rows = [
            {"segment_id": name, "topic_id": topic, "rank": rank, "score": -rank}
            for name, taken in frame.groupby("segment_id")["topic_id"]
            for rank, topic in enumerate(self._offered(name, set(taken)), start=1)
        ]
        return pd.DataFrame(rows)


CATALOGUE = {kind: [f"{kind}{number}" for number in range(8)] for kind in ("a", "b")}


@pytest.fixture
def segments():
    """Two that like one kind of topic, two that like the other."""
    import pandas as pd

    rows = [
        {"segment_id": f"s{number}", "topic_id": topic, "time": float(time)}
        for number, kind in enumerate("abba")
        for time, topic in enumerate(CATALOGUE[kind][: 3 + number])
    ]
    return pd.DataFrame(rows)


LENT = ("directional", "the longest history of all")
NEW = ("minimum_functionality", "offers what is new")


def more_of_the_kind(name, taken):
    kind = min(taken)[0]
    return [topic for topic in CATALOGUE[kind] if topic not in taken]


def by_name_alone(name, taken):
    kind = "a" if name in ("s0", "s3") else "b"
    return [topic for topic in CATALOGUE[kind] if topic not in taken]


def against_the_history(name, taken):
    """Offers to a borrower of the longest history, which is one of a, what its owner is not."""
    kind = min(taken)[0]
    borrowed = name != "s3" and len(taken) == 6
    return CATALOGUE["b" if borrowed else kind]


def test_lists_follow_histories_and_offer_what_is_new(segments):
    good = figures("audience_preference", Lists(more_of_the_kind), segments)
    assert (good[NEW], good[LENT]) == (1, 1)


def test_lists_that_repeat_what_was_taken_are_told(segments):
    repeats = figures("audience_preference", Lists(lambda _, taken: sorted(taken)), segments)
    assert repeats[NEW] == 0


def test_lists_that_do_not_follow_histories_are_told(segments):
    found = figures("audience_preference", Lists(against_the_history), segments)
    assert found[LENT] == pytest.approx(2 / 3)  # one of the three was like it before


class Estimates:
    """An estimate from the length of a title, in an interval of a given width around it."""

    def __init__(self, below, above, strips):
        self._below, self._above, self._strips = below, above, strips

    def predict(self, frame):
        lengths = [len(title.strip() if self._strips else title) for title in frame["title"]]
        said = frame[[]].assign(percentile=np.array(lengths) / 100, signals="{}")
        return said.assign(
            low=said["percentile"] - self._below, high=said["percentile"] + self._above
        )


SPACE = ("invariance", "white space around a title")
HELD = ("minimum_functionality", "a width that holds it")


@pytest.mark.parametrize(
    ("below", "above", "strips", "space", "held"),
    [(0.1, 0.2, True, 1, 1), (0.1, 0.2, False, 0, 1), (-0.1, 0.2, True, 1, 0), (0, 0, True, 1, 0)],
)
def test_an_estimate_lies_in_its_interval_whatever_space_is_around_a_title(
    below, above, strips, space, held
):
    import pandas as pd

    titles = pd.DataFrame({"title": ["a walk", "the best of the year", "why?"]})
    found = figures("quality_engagement", Estimates(below, above, strips), titles)
    assert (found[SPACE], found[HELD]) == (space, held)


class Words:
    """Adds up words, and gives reasons that need not be its own."""

    def __init__(self, adds, says=None):
        self._adds, self._says = adds, says or adds

    def predict(self, frame):
        rows = [re.findall(r"\w+", title.lower()) for title in frame["title"]]
        told = [
            {f"word: {word}": value for word, value in self._says.items() if word.split()[0] in row}
            for row in rows
        ]
        percentile = [0.5 + sum(self._adds.get(word, 0) for word in row) for row in rows]
        said = frame[[]].assign(percentile=percentile, signals=[json.dumps(one) for one in told])
        return said.assign(low=said["percentile"] - 0.1, high=said["percentile"] + 0.1)


REASON = ("directional", "without the word that raised it most")


@pytest.fixture
def titles():
    import pandas as pd

    return pd.DataFrame({"title": ["How to bake bread", "LIVE: how, to be fair", "A walk"]})


def test_a_title_without_the_word_that_raised_it_is_not_placed_higher(titles):
    assert figures("quality_engagement", Words({"bake": 0.2}), titles)[REASON] == 1
    lies = Words({"bake": -0.2}, says={"bake": 0.2})
    assert figures("quality_engagement", lies, titles)[REASON] == 0


def test_a_reason_of_two_words_is_found_across_a_comma_and_one_that_lowers_is_none(titles):
    asked = []

    class Seen(Words):
        def predict(self, frame):
            asked.append(frame["title"].tolist())
            return super().predict(frame)

    figures("quality_engagement", Seen({"how to": 0.1, "walk": -0.1}), titles)
    assert [title.split() for title in asked[-1]] == [["bake", "bread"], ["LIVE:", "be", "fair"]]


def test_a_model_that_gives_no_words_as_reasons_is_not_tried_without_them(titles):
    told = figures("quality_engagement", Estimates(0.1, 0.1, strips=True), titles)
    assert REASON not in told
