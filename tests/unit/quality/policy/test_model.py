from __future__ import annotations

import json

import numpy as np
import pytest

from ml.exceptions import FatalError, SourceUnavailableError
from ml.quality.policy import evaluate
from ml.quality.policy.dataset import LABELS, folds, load_params, read_data
from ml.quality.policy.model import PolicyModel
from ml.quality.policy.predict import score_texts
from ml.quality.policy.train import fit_all
from ml.settings import Settings

pd = pytest.importorskip("pandas")

PARAMS = load_params()


@pytest.fixture(scope="module")
def trained(quality_folder, tmp_path_factory):
    """Data and outcomes of a training on a few made-up texts."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("state"), data_dir=quality_folder)
    data = read_data(quality_folder, PARAMS)
    return data, fit_all(data, PARAMS, settings), settings


@pytest.fixture(scope="module")
def model(trained):
    return PolicyModel({task: outcome.classifier for task, outcome in trained[1].items()})


def test_no_group_is_on_both_sides(trained):
    for task, texts in trained[0].sets.items():
        for train, test in folds(texts, PARAMS["tasks"][task], seed=1):
            assert not set(texts.groups[train]) & set(texts.groups[test])
            assert set(texts.labels[test]) == {0, 1}


def test_what_was_saved_scores_the_same(model, tmp_path):
    texts = ["You WON'T believe this cat!", "Council meets in May", "subscribe to my channel", "😀"]
    model.save(tmp_path)
    before, after = score_texts(model, texts), score_texts(PolicyModel.load(tmp_path), texts)
    pd.testing.assert_frame_equal(before, after)
    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert kinds == {".json", ".npz"}
    assert before[["clickbait", "spam", "toxicity"]].stack().between(0, 1).all()
    nothing = model.predict(pd.DataFrame({"text": []}))
    assert (len(nothing), list(nothing)) == (0, list(before))


def test_training_twice_gives_the_same_figures(trained):
    data, outcomes, settings = trained
    again = fit_all(data, PARAMS, settings)
    for task, outcome in outcomes.items():
        assert again[task].auc == pytest.approx(outcome.auc, abs=1e-6)
        assert again[task].classifier.curve == pytest.approx(outcome.classifier.curve, abs=1e-6)


def test_the_telling_words_raise_the_score(model):
    scores = score_texts(
        model, ["10 AMAZING facts you won't believe", "Minutes of the council", "click my channel",
                "lovely song", "you stupid idiot", "good morning to all"],
    )  # fmt: skip
    assert scores["clickbait"][0] > scores["clickbait"][1]
    assert scores["spam"][2] > scores["spam"][3]
    assert scores["toxicity"][4] > scores["toxicity"][5]


def test_no_texts_give_no_rows(model):
    assert len(score_texts(model, [])) == 0


def test_without_labelled_text_it_says_what_to_set(tmp_path):
    for folder in (None, tmp_path):
        with pytest.raises(SourceUnavailableError, match="YTEMPIRE_DATA_DIR"):
            read_data(folder, PARAMS)


def test_labels_hold_ids_and_no_text():
    labels = pd.read_csv(LABELS)
    assert list(labels) == ["file", "comment_id", "toxic", "certain"]
    assert labels["comment_id"].is_unique
    assert len(labels) >= 300
    assert labels["toxic"].sum() >= 40
    assert labels["comment_id"].str.fullmatch(r"[\w-]{20,60}").all()


@pytest.mark.parametrize(
    ("yes", "no"), [("1", "0"), ("1.0", "0.0"), ("spam", "ham"), ("True", "False")]
)
def test_evaluates_files_of_many_kinds(model, tmp_path, yes, no):
    rows = [("click my channel now", yes), ("lovely song", no), ("", no), ("click my page", yes)]
    file = tmp_path / "comments.csv.gz"
    pd.DataFrame(rows, columns=["said", "kind"]).to_csv(file, index=False, sep="\t")
    texts, labels, skipped = evaluate.labelled_texts("spam", file, "said", "kind")
    assert (len(texts), labels.tolist(), skipped) == (3, [1, 0, 1], 1)
    seen = []
    figures = evaluate.measure(
        model, "spam", texts, labels, progress=lambda done, of: seen.append((done, of))
    )
    assert figures["auc"] == 1.0
    assert 0 <= figures["baselines"]["tfidf_logistic"]["auc"] <= 1
    assert seen == [(3, 3)]
    json.dumps(figures)


@pytest.mark.parametrize(
    ("columns", "labels", "message"),
    [
        (("text", "nope"), ["1", "0"], "no column nope; it has text, label"),
        (("text", "label"), ["1", "1"], "two kinds of labels"),
        (("text", "label"), ["0", "2"], "one of them must be a yes"),
        (("text", "label"), ["a", "b"], "one of them must be a yes"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path, columns, labels, message):
    file = tmp_path / "f.csv"
    pd.DataFrame({"text": ["one", "two"], "label": labels}).to_csv(file, index=False)
    with pytest.raises(FatalError, match=message) as error:
        evaluate.labelled_texts("spam", file, *columns)
    assert "\n" not in str(error.value)


def test_an_unknown_task_and_an_absent_file_are_refused(tmp_path):
    with pytest.raises(FatalError, match="clickbait, spam, toxicity"):
        evaluate.labelled_texts("humour", tmp_path / "f.csv", "a", "b")
    with pytest.raises(FatalError, match="does not exist"):
        evaluate.labelled_texts("spam", tmp_path / "f.csv", "a", "b")


def test_the_real_data_is_read_whole(data_dir):
    data = read_data(data_dir, PARAMS)
    assert len(np.unique(data.sets["clickbait"].groups)) > 100
    assert len(data.comments.texts) >= 300
    assert 40 <= data.comments.labels.sum() < len(data.comments.texts) / 2
