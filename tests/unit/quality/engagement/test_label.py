from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from ml.exceptions import TooFewRowsError
from ml.quality.engagement.dataset import digest, prepare
from ml.quality.engagement.label import fit_controls, residual, split

pd = pytest.importorskip("pandas")


def test_label_is_what_the_title_did_without_channel_and_age(rows):
    label = residual(rows, fit_controls(rows))
    loud = rows["title"].str.contains("[A-Z]{3}").to_numpy()
    # Capitals add 0.4 to the logarithm, and the noise beside them has a deviation of 0.2.
    assert label[loud].mean() - label[~loud].mean() > 1
    both = (rows["comments"] >= 5).groupby(rows["channel"]).transform("all")
    means = pd.Series(label)[both].groupby(rows["channel"][both]).mean()
    assert len(means) > 50
    assert means.abs().max() < 1e-9
    assert abs(np.corrcoef(label, np.log(rows["age_hours"]))[0, 1]) < 0.02


def test_retention_counts_where_it_is_known(rows):
    some = rows.assign(retention=np.where(rows.index % 2, 40.0 + rows.index % 7, np.nan))
    controls = fit_controls(some)
    assert set(controls.slopes) == {"likes", "comments", "retention"}
    assert np.isfinite(residual(some, controls)).all()


def test_no_channel_is_on_both_sides_and_nothing_later_is_learnt_from(rows, params):
    parts = split(rows, params, seed=1)
    assert not set(parts.train["channel"]) & set(parts.test["channel"])
    assert parts.train["known_at"].max() < parts.start <= parts.test["published_at"].min()
    again = split(rows, params, seed=1)
    pd.testing.assert_frame_equal(parts.test, again.test)
    assert set(split(rows, params, seed=2).test["channel"]) != set(parts.test["channel"])


def test_too_few_rows_say_how_many_are_needed(rows, params):
    with pytest.raises(TooFewRowsError, match=r"it needs 5000: ingest"):
        split(rows, {**params, "min_part": 5000}, seed=1)


def test_a_title_is_compared_with_those_seen_before_it_was_published(params):
    day = pd.Timestamp("2030-01-01", tz="UTC")
    times = [day + timedelta(days=days) for days in (0, 2, 3)]
    frame = pd.DataFrame(
        {
            "video_id": ["a", "b", "c"], "channel": "one", "title": ["first", "late  known", "now"],
            "category_id": 1, "language": None, "duration_s": [60, None, 90],
            "published_at": times, "first_known_at": [times[0], times[2] + timedelta(hours=1)] * 1
            + [times[2]], "known_at": day + timedelta(days=9), "age_hours": 100.0,
            "views": 5000, "likes": 10, "comments": None, "retention": None,
        }
    )  # fmt: skip
    rows = prepare(frame, params)
    assert rows["earlier_titles"].tolist() == ["", "first", "first"]
    assert rows["usual_duration_s"].tolist()[1:] == [60, 60]
    assert digest(rows) != digest(rows.assign(title="other"))
