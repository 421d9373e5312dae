"""A shift across a new definition is not taken for behaviour, unless it came after it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd  # noqa: TID253 - every test here has a frame
import pytest

from ml.monitoring.breaks import DefinitionBreak, judge
from ml.monitoring.drift import overall
from ml.monitoring.profile import CURRENT, profile_frame

START = datetime(2025, 5, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
BREAK = DefinitionBreak("youtube", "views", date(2025, 7, 21), "counts anew", "notes", ("%view%",))


def judged(weeks, moved_from, columns=("log_views", "title_chars"), breaks=(BREAK,)):
    """Verdicts on a window after `weeks` of reference, with a shift from some week on."""
    random = np.random.default_rng(4)
    blocks = np.repeat([*range(weeks), CURRENT], 300)
    week = np.where(blocks == CURRENT, weeks, blocks)
    values = random.normal(size=len(blocks)) + (week >= moved_from)
    frame = pd.DataFrame({name: values for name in columns})
    starts = {number: START + number * WEEK for number in range(weeks)}
    shifts, across = judge(profile_frame(frame, blocks, list(columns)), starts, list(breaks))
    return {shift.name for shift in shifts if shift.is_shifted}, across


def test_a_shift_across_the_day_is_the_definition_in_the_columns_it_reaches():
    called, across = judged(weeks=11, moved_from=11)  # the window begins on 17 July
    assert called == {"log_views", "title_chars"}
    assert across == {"log_views": BREAK}


def test_a_shift_long_after_the_day_is_behaviour():
    called, across = judged(weeks=20, moved_from=20)
    assert called == {"log_views", "title_chars"}
    assert across == {}


def test_what_moved_with_the_definition_long_ago_is_quiet_now():
    called, across = judged(weeks=20, moved_from=12, columns=("log_views",))
    assert called == set()
    assert across == {}


def test_a_break_before_the_reference_of_a_column_explains_nothing():
    early = DefinitionBreak("youtube", "views", START.date(), "counts anew", "notes", ("%",))
    called, across = judged(weeks=3, moved_from=3, columns=("log_views",), breaks=(early,))
    assert called == {"log_views"}
    assert across == {}


def test_without_a_dated_row_it_is_drift():
    called, across = judged(weeks=11, moved_from=11, breaks=())
    assert called == {"log_views", "title_chars"}
    assert across == {}


@pytest.mark.parametrize(
    ("drifted", "broken", "verdict"),
    [(1, 9, "definition_break"), (2, 0, "drift"), (1, 0, "stable"), (0, 0, "stable")],
)
def test_the_window_drifts_when_more_than_one_column_in_ten_does(drifted, broken, verdict):
    verdicts = ["drift"] * drifted + ["definition_break"] * broken
    assert overall(verdicts + ["stable"] * (10 - len(verdicts))) == verdict
