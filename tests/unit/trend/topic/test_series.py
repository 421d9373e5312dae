from __future__ import annotations

import numpy as np
import pytest

from ml.trend.topic.series import Panel, Windows, build_panel, windows_at


def rows(*entries: tuple):
    import pandas as pd

    frame = pd.DataFrame(entries, columns=["source", "series", "at", "volume"])
    return frame.assign(at=pd.to_datetime(frame["at"], utc=True))


def test_a_day_without_items_is_zero_only_where_the_source_was_read():
    panel = build_panel(
        rows(("a", "x", "2026-01-01", 3), ("a", "y", "2026-01-03", 1), ("b", "z", "2026-01-02", 5))
    )
    assert panel.names == ("x", "y", "z")
    np.testing.assert_array_equal(
        panel.values, [[3, np.nan, 0], [0, np.nan, 1], [np.nan, 5, np.nan]]
    )


def test_a_volume_that_is_not_known_hides_all_that_follows():
    panel = build_panel(
        rows(
            ("a", "x", "2026-01-01", 3),
            ("a", "x", "2026-01-02", np.nan),
            ("a", "x", "2026-01-03", 4),
        )
    )
    np.testing.assert_array_equal(panel.values, [[3, np.nan, np.nan]])


def test_series_whose_past_was_known_late_is_left_out_until_then(panel):
    known = panel.known.copy()
    known[0, 50] += 10
    late = Panel(panel.names, panel.values, known, panel.start)
    found = windows_at(late, [55, 60, 79], length=56, min_recent=1)
    assert {int(o) - panel.start for o in found.origin[found.series == 0]} == {60, 79}
    assert (found.series == 1).sum() == 3


def test_window_holds_nothing_of_its_future(panel):
    [early] = windows_at(panel, [60], length=56, min_recent=1).only([2]).history
    changed = panel.values.copy()
    changed[:, 61:] = 999
    other = Panel(panel.names, changed, panel.known, panel.start)
    found = windows_at(other, [60], length=56, min_recent=1).only([2])
    np.testing.assert_array_equal(early, found.history[0])
    assert (found.outcome() == 999).all()


def test_quiet_series_are_left_out_and_the_loudest_are_kept(panel):
    recent = panel.values[:, 33:61].sum(axis=1)
    found = windows_at(panel, [60], length=56, min_recent=np.sort(recent)[3], max_series=2)
    assert set(found.series) == set(np.argsort(-recent)[:2])


def test_thinned_windows_take_turns_at_the_series(panel):
    thin = windows_at(panel, range(60, 64), length=56, min_recent=1, thin=4)
    assert len(thin) == len(panel.names)
    assert set(thin.series) == set(range(len(panel.names)))


def test_rise_is_a_volume_above_the_usual_one_of_48_hours():
    history = np.tile([1.0, 1, 1, 1, 1, 5, 5], 8)[None, :]
    future = np.array([[5.0, 4, 0, 0, 0, 0, 0], [6.0, 5, 0, 0, 0, 0, 0]])
    windows = Windows(np.repeat(history, 2, axis=0), np.array([1, 1]), np.array([0, 1]), future)
    # Of 27 overlapping pairs of days 4 are 10, 7 are 6 and the rest are 2.
    assert windows.rise_threshold()[0] == pytest.approx(6.0)
    np.testing.assert_array_equal(windows.rises(), [1, 1])
    low = Windows(history, np.array([1]), np.array([0]), np.array([[3.0, 3, 9, 9, 9, 9, 9]]))
    np.testing.assert_array_equal(low.rises(), [0])


def test_windows_without_a_future_say_so(panel):
    known = windows_at(panel, [60], length=56, min_recent=1)
    ahead = Windows(known.history, known.origin, known.series, None)
    with pytest.raises(ValueError, match="no future"):
        ahead.rises()
