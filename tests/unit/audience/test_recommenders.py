from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml.audience.interactions import hold_out, interactions
from ml.audience.neural import NeuralCf, TwoTower
from ml.audience.recommenders import Ease, Ials, ItemKnn, Popularity, Sequential

FAMILIES = {
    "item_knn": ItemKnn(neighbours=10, shrink=1),
    "ease": Ease(l2=5),
    "ials": Ials(factors=8, unobserved=0.1, l2=0.01, rounds=5),
    "sequential": Sequential(shrink=1),
    "gmf": NeuralCf("gmf", embedding=8, epochs=12, batch=128, rate=0.02),
    "mlp": NeuralCf("mlp", embedding=8, epochs=40, batch=128, rate=0.02),
    "neumf": NeuralCf("neumf", embedding=8, epochs=12, batch=128, rate=0.02),
    "two_tower": TwoTower(embedding=16, epochs=20, batch=64, rate=0.02, temperature=0.2),
}


def mean_rank(family, rest, held):
    """Mean share of items that score above the held-out one; 0.5 is chance."""
    scores = family.score(family.fit(rest), rest)[held.user]
    own = np.take_along_axis(scores, held.item[:, None], axis=1)
    return float((scores > own).mean())


@pytest.mark.parametrize("name", ["item_knn", "ease", "ials", "sequential", "two_tower"])
def test_family_that_folds_histories_in_finds_the_taste_of_a_user(name, tastes):
    rest, held = hold_out(tastes(), seed=0)
    assert mean_rank(FAMILIES[name], rest, held) < 0.3
    assert mean_rank(Popularity(), rest, held) > 0.35


@pytest.mark.parametrize("name", ["gmf", "mlp", "neumf"])
def test_network_that_knows_users_prefers_their_taste(name, tastes):
    data, family = tastes(users=100), FAMILIES[name]
    scores = np.where(data.matrix().toarray() > 0, np.nan, family.score(family.fit(data), data))
    lead = np.nanmean(scores[:, ::2], axis=1) - np.nanmean(scores[:, 1::2], axis=1)
    even = np.arange(len(data.users)) % 2 == 0
    assert (lead[even] > 0).mean() > 0.8
    assert (lead[~even] < 0).mean() > 0.8


def test_network_has_no_opinion_on_a_user_it_does_not_know(tastes):
    data = tastes(users=20)
    arrays = FAMILIES["gmf"].fit(data)
    assert not FAMILIES["gmf"].score(arrays, data.only(("nobody",))).any()


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_fitting_again_gives_the_same_scores(name, tastes):
    data, family = tastes(users=20), FAMILIES[name]
    first, again = (family.score(family.fit(data), data) for _ in range(2))
    assert np.array_equal(first, again)


def test_order_of_a_history_tells_what_comes_next(tastes):
    rest, held = hold_out(tastes(users=200), seed=0)
    unordered = replace(rest, time=None)
    family = Sequential(shrink=1)
    assert mean_rank(family, rest, held) < 0.8 * mean_rank(family, unordered, held)


@pytest.mark.parametrize(("users", "items"), [(30, 60), (90, 40)])
def test_ease_is_the_same_from_either_side(users, items, tastes):
    data = tastes(users=users, items=items)
    scores = Ease(l2=7.0).score(Ease(l2=7.0).fit(data), data)
    dense = data.matrix().toarray()
    inverse = np.linalg.inv(dense.T @ dense + 7.0 * np.eye(dense.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    assert scores == pytest.approx(dense @ weights, abs=1e-4)


def test_ials_solves_the_normal_equations(tastes):
    data = tastes(users=12, items=20)
    family = Ials(factors=4, unobserved=0.2, l2=0.05, power=0.5, rounds=3)
    items = family.fit(data)["items"]
    row = data.matrix().toarray()[0]
    penalty = 0.05 * (row.sum() + 0.2 * len(items)) ** 0.5
    normal = items.T @ np.diag(row + 0.2) @ items + penalty * np.eye(4)
    expected = items @ np.linalg.solve(normal, items.T @ row)
    assert family.score({"items": items}, data)[0] == pytest.approx(expected, abs=1e-5)


def test_new_history_counts_without_training(tastes):
    import pandas as pd

    data = tastes()
    arrays = FAMILIES["ease"].fit(data)
    odd = pd.DataFrame({"user": "new", "item": [f"i{n:03d}" for n in (1, 3, 5)], "time": 1.0})
    fresh = interactions(odd).on_catalogue(data.items)
    scores = FAMILIES["ease"].score(arrays, fresh)[0]
    assert scores[7::2].mean() > scores[6::2].mean()


def test_text_places_an_item_that_nobody_took_to(tastes):
    data = tastes(users=100)
    # Even and odd items are two tastes, and their texts say which.
    vectors = np.eye(2)[np.arange(len(data.items)) % 2]
    cold = data.take(data.item != 10)
    family = FAMILIES["two_tower"]
    blind = replace(cold, vectors=None)
    told = replace(cold, vectors=vectors)
    even = np.arange(len(data.users)) % 2 == 0

    def preference(rows):
        scores = family.score(family.fit(rows), rows)[:, 10]
        return scores[even].mean() - scores[~even].mean()

    assert preference(told) > 0.1 > preference(blind)


def test_traits_place_a_user_without_a_history(tastes):
    data = tastes(users=100)
    traits = {name: (f"taste={i % 2}",) for i, name in enumerate(data.users)}
    family = FAMILIES["two_tower"]
    arrays = family.fit(replace(data, traits=traits))
    newcomers = replace(
        data.only(("even", "odd")), traits={"even": ("taste=0",), "odd": ("taste=1",)}
    )
    scores = family.score(arrays, newcomers)
    assert scores[0, ::2].mean() > scores[0, 1::2].mean()
    assert scores[1, ::2].mean() < scores[1, 1::2].mean()
