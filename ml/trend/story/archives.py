"""M5 on front pages that no champion has seen, in a platform that is there for nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ml import features, warehouse
from ml.exceptions import TooFewRowsError
from ml.measures import calibration_table
from ml.settings import Settings
from ml.streaming.tables import STORIES
from ml.trend.story.dataset import entry_query, first_hours, has_reached, has_stayed, outcomes
from ml.trend.story.evaluate import measure

if TYPE_CHECKING:
    import pandas as pd

    from ml.trend.story.model import StoryModel

_LONG_AGO = datetime(2006, 10, 1, tzinfo=UTC)  # Hacker News' first month


@dataclass(frozen=True)
class ArchiveFigures:
    """What a model reaches on the stories of a platform.

    Attributes:
        rows: stories that came with at most 30 upvotes and whose 48 hours are over.
        first: when the first hour of the earliest of them was over, and `last` of the latest.
        figures: M5 of the model, with `baselines`; `served_` figures are about all of them, the
            others about those that were seen three times or more.
        curve: `calibration_table` of the latter.
    """

    rows: int
    first: datetime
    last: datetime
    figures: dict[str, Any]
    curve: list[tuple[float, float, int]]


def measure_archive(model: StoryModel, as_of: datetime, settings: Settings) -> ArchiveFigures:
    """Make the features of what was imported, as production does, and measure the model on them.

    Args:
        model: with the baselines of its own training.
        as_of: "now" of that platform.
        settings: lead to a database that holds nothing but the imported files.

    Raises:
        TooFewRowsError: if there are no stories of both kinds with an outcome.
        MissingFeatureError: if a story lacks a required feature.
    """
    frame = _frame(model, as_of, settings)
    kept = frame[has_stayed(frame)]
    if not 0 < has_reached(kept).sum() < len(kept):
        raise TooFewRowsError(
            f"of {len(frame)} stories that came to the front page with at most 30 upvotes"
            f" {len(kept)} were seen three times or more, {has_reached(kept).sum()} of these with"
            " 100 upvotes; it needs both kinds, and 48 hours after them: give more front pages"
        )
    measured = measure(model, frame)
    said = model.predict(kept)["reach_probability"].to_numpy()
    at = frame["event_timestamp"]
    return ArchiveFigures(
        rows=len(frame),
        first=at.min().to_pydatetime(),
        last=at.max().to_pydatetime(),
        figures={**measured.pop("model"), "baselines": measured},
        curve=calibration_table(has_reached(kept), said),
    )


def _frame(model: StoryModel, as_of: datetime, settings: Settings) -> pd.DataFrame:
    features.apply(settings)
    STORIES.append_new(settings)
    warehouse.run_dbt(["run", "--select", "+story_profile"], as_of=as_of, settings=settings)
    entries = entry_query(_LONG_AGO, as_of, synthetic=False)
    labels = outcomes(entries, as_of, settings)
    if labels.empty:
        raise TooFewRowsError("no story has 48 hours of front pages after it: give more of them")
    service = model.specification.feature_service
    return first_hours(entries, service, settings).merge(labels, on="story_id")
