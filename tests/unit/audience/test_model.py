from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml.audience.loader import _load_pyfunc
from ml.audience.model import AudienceModel, Part, Workshop, load_params, segment_traits, top_items
from ml.audience.recommenders import Popularity
from ml.exceptions import ConfigurationError, MissingFeatureError


@pytest.fixture(scope="module")
def quick_params():
    params = load_params()
    network = {"embedding": 8, "epochs": 2}
    params["recommenders"] = {
        name: {**options, **(network if options["family"] in {"ncf", "two_tower"} else {})}
        for name, options in params["recommenders"].items()
    }
    return params


@pytest.fixture(scope="module")
def data(tastes):
    return tastes()


def test_every_candidate_survives_saving_and_loading(data, quick_params, tmp_path):
    workshop = Workshop(data, quick_params)
    for name in workshop.candidates():
        model = workshop.model(name)
        model.save(tmp_path / name)
        loaded = _load_pyfunc(str(tmp_path / name))
        assert np.array_equal(loaded.score(data), model.score(data)), name


def test_only_unseen_topics_are_recommended_best_first(data, quick_params):
    model = Workshop(data, quick_params).model("ials_sequential")
    found = model.recommend(data, 5)
    taken = {(data.users[u], data.items[i]) for u, i in zip(data.user, data.item, strict=True)}
    assert len(found) == 5 * len(data.users)
    assert not taken & set(zip(found["segment_id"], found["topic_id"], strict=True))
    assert found.groupby("segment_id")["score"].is_monotonic_decreasing.all()
    assert found["rank"].tolist()[:5] == [1, 2, 3, 4, 5]


def test_only_the_items_asked_for_are_recommended(data, quick_params):
    model = Workshop(data, quick_params).model("ease")
    assert set(model.recommend(data, 5, among={"i001", "i002"})["topic_id"]) <= {"i001", "i002"}


def test_unknown_user_gets_what_is_popular(data, quick_params):
    model = Workshop(data, quick_params).model("ials_sequential")
    [*found] = model.recommend(data.only(("nobody",)), 3)["topic_id"]
    popular = data.counts()
    assert [popular[data.items.index(item)] for item in found] == sorted(popular)[:-4:-1]


def test_item_without_interactions_comes_last(data, quick_params):
    cold = data.take(data.item != 7)
    model = Workshop(cold, quick_params).model("ease")
    assert (model.score(cold).argmin(axis=1) == 7).all()


def test_items_of_another_catalogue_come_last_too(data, quick_params):
    model = Workshop(data, quick_params).model("ease")
    wider = replace(data, items=(*data.items, "new"))
    scores = model.score(wider)
    assert scores.shape == (len(data.users), len(data.items) + 1)
    assert (scores.argmin(axis=1) == len(data.items)).all()


def test_weights_decide_between_parts(data):
    best = Popularity()
    liked, other = data.counts(), data.counts()[::-1]
    for weight, leader in ((3.0, liked), (0.1, other)):
        parts = [
            Part("one", best, {"counts": liked}, weight),
            Part("two", best, {"counts": other}, 1.0),
        ]
        top = AudienceModel(parts, data.items, liked).score(data)[0].argmax()
        assert leader[top] >= np.sort(leader)[-3]


def test_without_an_order_nothing_that_needs_one_is_a_candidate(tastes, quick_params):
    names = Workshop(tastes(ordered=False), quick_params).candidates()
    assert {"ease", "ials", "ease_ials", "two_tower"} <= set(names)
    assert not {"sequential", "ease_recent", "ials_sequential"} & set(names)


def test_option_that_does_not_exist_is_named(data, quick_params):
    wrong = {**quick_params, "recommenders": {"ease": {"family": "ease", "lambda": 3}}}
    with pytest.raises(ConfigurationError, match="recommender ease has a family or option"):
        Workshop(data, wrong).model("ease")


def test_missing_time_is_refused_and_does_not_count_as_the_latest(data, quick_params):
    import pandas as pd

    model = Workshop(data, quick_params).model("popularity")
    frame = pd.DataFrame({"segment_id": "s", "topic_id": list(data.items[:2]), "time": [1.0, None]})
    with pytest.raises(MissingFeatureError, match="time"):
        model.predict(frame)


def test_segment_says_country_niche_and_language():
    assert segment_traits("US/gaming/en") == ("country=US", "niche=gaming", "language=en")


def test_top_items_breaks_ties_by_index():
    scores = np.array([[1, 3, 3, 2, 0], [0, 0, 0, 0, 0]], dtype=np.float32)
    assert top_items(scores, 3).tolist() == [[1, 2, 3], [0, 1, 2]]
