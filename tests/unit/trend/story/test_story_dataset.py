from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from psycopg import sql

from ml.exceptions import MissingFeatureError, TooFewRowsError
from ml.trend.story.dataset import check_required, entry_query, load_params, split_in_time

PARAMS = load_params()


def test_no_outcome_of_a_part_is_known_after_the_next_begins(stories):
    split = split_in_time(stories, PARAMS)
    parts = [split.train, split.validation, split.test]
    for earlier, later in pairwise(parts):
        assert earlier["label_known_at"].max() < later["event_timestamp"].min()
    assert len(split.test) == pytest.approx(0.2 * len(stories), abs=1)
    # Of 1,500 hours only two gaps of two days are left out.
    assert sum(map(len, parts)) == pytest.approx(len(stories) - 2 * 47, abs=3)


def test_part_without_both_kinds_is_refused_and_says_which(stories):
    split = split_in_time(stories, PARAMS)
    late = stories["event_timestamp"] >= split.test["event_timestamp"].min()
    calm = stories.assign(most_upvotes=stories["most_upvotes"].where(~late, 50))
    with pytest.raises(TooFewRowsError, match=r"of the test part that stayed 0 reached 100"):
        split_in_time(calm, PARAMS)


def test_story_that_lacks_a_required_feature_is_named(stories):
    check_required(stories, ["upvotes", "rank"])
    broken = stories.assign(rank=stories["rank"].where(stories["story_id"] != "00007"))
    with pytest.raises(MissingFeatureError, match=r"story 00007 \(1 stories in all\) has no rank"):
        check_required(broken, ["upvotes", "rank"])


def test_entries_are_bounded_by_what_was_known_an_hour_after(stories):
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    query = entry_query(moment, moment, synthetic=True)
    assert isinstance(query, sql.Composed)
    text = query.as_string()
    assert "is_synthetic = true" in text
    assert "entry_upvotes <= 30" in text
    assert "2030-01-01" in text
