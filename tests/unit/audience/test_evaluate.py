from __future__ import annotations

import gzip

import numpy as np
import pytest

from ml.audience.evaluate import (
    choose,
    evaluate_files,
    hit_and_gain,
    measure,
    sample_negatives,
    sampled_ranks,
)
from ml.audience.files import read_rows
from ml.audience.interactions import Held, hold_out, interactions
from ml.audience.model import Workshop, load_params
from ml.exceptions import FatalError


@pytest.fixture
def params():
    return {**load_params(), "sampled_negatives": 20}


@pytest.fixture
def files(tastes, tmp_path):
    return _files(tastes, tmp_path)


def _files(tastes, folder):
    """Train, test and negatives as the check on one's own files takes them."""
    data = tastes()
    rest, held = hold_out(data, 0)
    negatives = sample_negatives(rest, held, 15, seed=3)
    train, test, lists = (folder / name for name in ("train.rating.gz", "test", "negative"))
    with gzip.open(train, "wt") as out:
        for user, item, time in zip(rest.user, rest.item, rest.time, strict=True):
            out.write(f"{data.users[user]}\t{data.items[item]}\t5\t{int(time)}\n")
    names = [
        (data.users[user], data.items[item])
        for user, item in zip(held.user, held.item, strict=True)
    ]
    test.write_text("".join(f"{user}\t{item}\t5\t99\n" for user, item in names))
    lists.write_text(
        "".join(
            "\t".join([f"({user},{item})", *(data.items[other] for other in row)]) + "\n"
            for (user, item), row in zip(names, negatives, strict=True)
        )
    )
    return train, test, lists


def test_measures_follow_the_ranks():
    hit, gain = hit_and_gain(np.array([0.0, 1.0, 9.0, 10.0]))
    assert hit == 0.75
    assert gain == pytest.approx((1 + 1 / np.log2(3) + 1 / np.log2(11)) / 4)


def test_equal_scores_share_their_places():
    scores = np.array([[1.0, 1.0, 1.0, 0.0]], dtype=np.float32)
    held = Held(user=np.array([0]), item=np.array([0]))
    assert sampled_ranks(scores, held, np.array([[1, 2, 3]])).tolist() == [1.0]
    assert sampled_ranks(scores, held, np.array([[1, -1, 3]])).tolist() == [0.5]


def test_negatives_are_new_to_the_user_and_distinct(tastes):
    rest, held = hold_out(tastes(), 0)
    drawn = sample_negatives(rest, held, 20, seed=1)
    taken = rest.matrix().toarray()[held.user] > 0
    taken[np.arange(len(held.item)), held.item] = True
    assert not np.take_along_axis(taken, drawn, axis=1).any()
    assert all(len(set(row)) == 20 for row in drawn.tolist())
    assert np.array_equal(drawn, sample_negatives(rest, held, 20, seed=1))


def test_chosen_candidate_beats_popularity_on_what_it_has_not_seen(tastes, params):
    rest, held = hold_out(tastes(users=120), 0)
    winner, figures = choose(rest, params, allowed=["popularity", "ease", "sequential"])
    assert figures[winner]["ndcg_at_10"] == max(f["ndcg_at_10"] for f in figures.values())
    workshop = Workshop(rest, params)
    own, popular = (measure(workshop.model(n), rest, held, params) for n in (winner, "popularity"))
    for metric in ("ndcg_at_10", "full_ndcg_at_10", "coverage", "novelty"):
        assert own[metric] > popular[metric], metric
    assert set(own) == set(popular)


@pytest.fixture(scope="module")
def answer(tastes, tmp_path_factory):
    said: list[str] = []
    found = evaluate_files(*_files(tastes, tmp_path_factory.mktemp("files")), progress=said.append)
    assert any("chosen on validation" in line for line in said)
    return found


def test_files_are_evaluated_twice_with_the_same_figures(files, answer):
    first = answer
    assert first["rows"] == 60
    assert first["ndcg_at_10"] == first["M7"]["ndcg_at_10"]
    assert set(first["M7"]["baselines"]) == {"popularity", "item_knn", "ease", "ials"}
    assert first["ndcg_at_10"] > first["M7"]["baselines"]["popularity"]["ndcg_at_10"] + 0.1
    assert evaluate_files(*files) == first


def test_unknown_users_and_items_are_ranked_and_counted(files):
    train, test, lists = files
    test.write_text(test.read_text() + "stranger\ti001\t5\t1\n")
    lists.write_text(lists.read_text() + "(stranger,i001)\ti002\tnew_item\n")
    found = evaluate_files(train, test, lists)
    assert (found["rows"], found["M7"]["users_without_history"]) == (61, 1)
    assert found["M7"]["items_without_history"] == 1


def test_test_rows_in_the_training_file_are_not_learned_from(files, answer):
    train, test, lists = files
    with gzip.open(train, "at") as out:
        out.write(test.read_text())
    assert evaluate_files(train, test, lists) == answer


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("1\t2\t5\t100\n1\t3\t5\t101\n", ["user", "item", "time"]),
        ("userId,itemId,rating\n1,2,5.0\n1,3,5.0\n", ["user", "item"]),
        ("\ufefftimestamp,item,user\n100,2,1\n101,3,1\n", ["user", "item", "time"]),
        ("1,2\n1,3\n", ["user", "item"]),
    ],
)
def test_formats_of_rows(text, columns, tmp_path):
    path = tmp_path / "rows"
    path.write_text(text)
    frame = read_rows(path)
    assert sorted(frame) == sorted(columns)
    assert frame["user"].tolist() == ["1", "1"]
    assert frame["item"].tolist() == ["2", "3"]
    assert (interactions(frame).time is not None) == ("time" in columns)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user,film,rating\n1,2,5\n", "no column item.*film"),
        ("1\n2\n", "no column item"),
        ("1\t2\t5\tyesterday\n", "no column user"),
        ("user,item,timestamp\n1,2,soon\n", "timestamp holds 'soon'"),
        ("user,item\n1,\n", "lacks its user or item"),
        ("", "no column item"),
    ],
)
def test_wrong_rows_are_refused_by_name(text, message, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(FatalError, match=message):
        read_rows(path)


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.csv.xz", "rows.csv"])
def test_file_that_is_no_text_is_refused_in_one_line(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"\xff\xfe\x00\x81" * 8)
    with pytest.raises(FatalError, match=r"rows\.csv.*cannot be read") as refused:
        read_rows(path)
    assert "\n" not in str(refused.value)


def test_wrong_negatives_are_refused_by_line(files):
    train, test, lists = files
    lists.write_text("1\t2\t3\n")
    with pytest.raises(FatalError, match=r"line 1: the first column has to be \(user,item\)"):
        evaluate_files(train, test, lists)


def test_missing_negatives_and_files_are_named(files, tmp_path):
    train, test, lists = files
    lists.write_text("(u000,i000)\ti001\n")
    with pytest.raises(FatalError, match=r"negative has no line"):
        evaluate_files(train, test, lists)
    with pytest.raises(FatalError, match=r"absent.*cannot be read"):
        evaluate_files(tmp_path / "absent", test, lists)


def test_goal_is_reached_on_movielens(data_dir):
    data = interactions(read_rows(data_dir / "movielens-100k" / "train.rating.gz"))
    rows, held = hold_out(data, 0)
    workshop, params = Workshop(rows, load_params()), load_params()
    own, ease, ials = (
        measure(workshop.model(name), rows, held, params)
        for name in ("ials_sequential", "ease", "ials")
    )
    assert own["hr_at_10"] >= 0.75
    assert own["ndcg_at_10"] >= 0.49
    assert own["ndcg_at_10"] > max(ease["ndcg_at_10"], ials["ndcg_at_10"])


def test_file_without_times_is_ranked_better_than_by_popularity(data_dir):
    data = interactions(read_rows(data_dir / "movielens-small" / "train.csv.gz"))
    assert data.time is None
    rows, held = hold_out(data, 0)
    workshop, params = Workshop(rows, load_params()), load_params()
    ease, popular = (measure(workshop.model(n), rows, held, params) for n in ("ease", "popularity"))
    assert ease["ndcg_at_10"] > popular["ndcg_at_10"] + 0.05
