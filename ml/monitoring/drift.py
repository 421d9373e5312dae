"""Drift of the champion: what it sees and says, its training window against the last week.

Counts are taken in Postgres and our tests decide (`ml.monitoring.shift`). Verdicts go to
`ml.drift_reports` and `ml.drift_columns`, measures of outcomes to `ml.model_performance_metrics`
and `ml.slice_metrics`, the page to the reports bucket.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import psycopg

from ml.exceptions import FatalError
from ml.monitoring import breaks, outcomes, page, records
from ml.monitoring.outcomes import Performance
from ml.monitoring.profile import CURRENT, ColumnProfile, profile_frame, profile_relation
from ml.monitoring.shift import ColumnShift
from ml.monitoring.windows import Windows, create_watched, sample, title_axes
from ml.registry import releases
from ml.registry.releases import Release
from ml.settings import Settings, get_settings
from ml.storage.objects import ObjectStore
from ml.storage.postgres import transaction
from ml.trend.video.matrix import model_input
from ml.trend.video.train import NAME

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

CURRENT_WINDOW = timedelta(days=7)
# Data drift in more than one feature in ten is the early-warning indicator.
DRIFT_SHARE = 0.10
_SAMPLE_ROWS = 2000
_TITLES = 4000
_AXES = 8
_MIN_ROWS = 30
# Beyond the number of any block of a training window.
_FIRST_UNSEEN = 1_000_000
_SOURCE = "youtube"
Verdict = Literal["stable", "drift", "definition_break"]


@dataclass(frozen=True)
class DriftReport:
    """The verdict.

    Attributes:
        drift_share: share of the compared columns that drifted; those across a break of their
            definition do not count.
        verdict: `drift` if that is more than `DRIFT_SHARE`; `definition_break` if it is so only
            with those across a break.
        report_key: HTML page in the reports bucket.
        performance: measures on the videos whose labels arrived in the current window; empty
            where there are too few.
        has_decayed: whether accuracy is significantly below that of the test slice.
        trained_as_of: "now" of the champion's training.
    """

    drift_report_id: str
    model_version: str
    reference: tuple[datetime, datetime]
    current: tuple[datetime, datetime]
    reference_rows: int
    current_rows: int
    columns_checked: int
    columns_drifted: int
    drift_share: float
    verdict: Verdict
    report_key: str
    drifted: tuple[str, ...]
    across_breaks: tuple[str, ...]
    performance: Mapping[str, float]
    has_decayed: bool
    trained_as_of: datetime


@dataclass(frozen=True)
class _Found:
    shifts: list[ColumnShift]
    aspects: Mapping[str, str]
    across: Mapping[str, breaks.DefinitionBreak]
    rows: tuple[int, int]
    frames: tuple[pd.DataFrame, pd.DataFrame]

    def verdicts(self) -> dict[str, Verdict]:
        return {shift.name: self._verdict(shift) for shift in self.shifts}

    def _verdict(self, shift: ColumnShift) -> Verdict:
        if not shift.is_shifted:
            return "stable"
        return "definition_break" if shift.name in self.across else "drift"


def run_drift_report(as_of: datetime, settings: Settings | None = None) -> DriftReport:
    """Compare what the champion sees and says with its training.

    The reference is the champion's training window, the current window the seven days before
    `as_of`; of both the first prediction of each video, at most 20,000 chosen by a hash of the id.
    What it says is compared with what it said of its test slice: of rows that it has learnt it says
    other things. Where the window leaves too little of that slice, predictions are not compared.
    The report of one champion and moment is always the same row and object.

    Raises:
        FatalError: if there is no champion, or too few rows in one of the windows.
    """
    settings = settings or get_settings()
    model, release = releases.load_champion(NAME, settings)
    windows = Windows(
        _time(release, "train_start"), _time(release, "train_end"), as_of - CURRENT_WINDOW, as_of
    )
    url = settings.require("database_url")
    with transaction(url) as conn:
        current = (windows.current_start, as_of)
        performance = outcomes.measure(conn, model, release, current, settings)
        found = _watch(conn, model, release, windows)
    verdicts = found.verdicts()
    report = report_of(release, windows, found.rows, verdicts, found.across, performance)
    title = (
        f"{NAME} {release.version}: the week before {as_of:%Y-%m-%d %H:%M} UTC against its training"
    )
    html = page.render(title, found.shifts, verdicts, *found.frames)
    ObjectStore(settings).put_bytes(
        settings.bucket("reports"), report.report_key, html, "text/html; charset=utf-8"
    )
    records.write(report, found.shifts, found.aspects, verdicts, performance, release, settings)
    for name, broken in found.across.items():
        log.info("%s: %s on %s (%s)", name, broken.change, broken.broke_on, broken.told_by)
    log.info("drift of %s %s: %s, %s", NAME, release.version, report.verdict, report.drifted)
    return report


def _time(release: Release, tag: str) -> datetime:
    return datetime.fromisoformat(release.tags[tag])


def _watch(conn: psycopg.Connection, model: Any, release: Release, windows: Windows) -> _Found:
    columns = tuple(model.metadata.get_input_schema().input_names())
    synthetic = release.tags["is_synthetic"] == "true"
    relation = create_watched(conn, windows, columns, synthetic=synthetic)
    profiles = profile_relation(conn, relation)
    rows = _rows(profiles[0])
    aspects = {profile.name: "feature" for profile in profiles}
    drawn = sample(conn, _SAMPLE_ROWS)
    titles = title_axes(conn, _AXES, _TITLES)
    unseen = replace(
        windows,
        start=_time(release, "test_start"),
        end=_time(release, "test_end"),
        first_block=_FIRST_UNSEEN,
    )
    create_watched(conn, unseen, columns, synthetic=synthetic)
    said = sample(conn, _SAMPLE_ROWS)
    said = said.assign(
        prediction=model.predict(model_input(said, columns))["probability"].to_numpy()
    )
    axes = [name for name in titles if name != "block"]
    for aspect, frame, names in (("prediction", said, ["prediction"]), ("embedding", titles, axes)):
        if names:
            profiles += profile_frame(frame, frame["block"].to_numpy(), names)
        aspects |= dict.fromkeys(names, aspect)
    known = breaks.read_breaks(conn, _SOURCE, windows.start, windows.as_of)
    starts = {
        **windows.block_starts([int(block) for block in profiles[0].blocks]),
        **unseen.block_starts([int(block) for block in said["block"].unique()]),
    }
    shifts, across = breaks.judge(profiles, starts, known)
    return _Found(shifts, aspects, across, rows, _frames(drawn, said))


def _frames(drawn: pd.DataFrame, said: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A sample of the reference and one of the window, as they are drawn: column by column."""
    before = drawn[drawn["block"] != CURRENT].reset_index(drop=True)
    unseen = said.loc[said["block"] != CURRENT, "prediction"].reset_index(drop=True)
    return before.assign(prediction=unseen), said[said["block"] == CURRENT]


def _rows(profile: ColumnProfile) -> tuple[int, int]:
    """Rows of reference and window.

    Raises:
        FatalError: if one has too few.
    """
    is_current = profile.blocks == CURRENT
    rows = (int(profile.rows[~is_current].sum()), int(profile.rows[is_current].sum()))
    for count, name in zip(rows, ("training", "current"), strict=True):
        if count < _MIN_ROWS:
            raise FatalError(
                f"the {name} window has {count} videos, a drift report needs {_MIN_ROWS}:"
                " ingest more days"
            )
    return rows


def report_of(
    release: Release,
    windows: Windows,
    rows: tuple[int, int],
    verdicts: Mapping[str, Verdict],
    across: Mapping[str, breaks.DefinitionBreak],
    performance: Performance,
) -> DriftReport:
    """The verdict on a champion, from those on its columns.

    Args:
        release: the champion.
        windows: what was compared.
        rows: how many the reference and the window have.
        verdicts: by column, one at least.
        across: breaks that explain a shift, by column.
        performance: measures of outcomes.
    """
    as_of, name = windows.as_of, release.name
    identity = hashlib.sha256(
        f"{name}/{release.mlflow_version}/{as_of.isoformat()}".encode()
    ).hexdigest()[:32]
    drifted = tuple(sorted(each for each, verdict in verdicts.items() if verdict == "drift"))
    return DriftReport(
        drift_report_id=identity,
        model_version=release.version,
        reference=(windows.start, windows.end),
        current=(windows.current_start, as_of),
        reference_rows=rows[0],
        current_rows=rows[1],
        columns_checked=len(verdicts),
        columns_drifted=len(drifted),
        drift_share=len(drifted) / len(verdicts),
        verdict=overall(list(verdicts.values())),
        report_key=f"drift/model={name}/as_of={as_of:%Y-%m-%dT%H%M%SZ}/{identity}.html",
        drifted=drifted,
        across_breaks=tuple(sorted(across)),
        performance=performance.overall,
        has_decayed=performance.has_decayed,
        trained_as_of=_time(release, "as_of") if "as_of" in release.tags else windows.start,
    )


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a window, from those on its columns."""
    drifted, broken = verdicts.count("drift"), verdicts.count("definition_break")
    if drifted > DRIFT_SHARE * len(verdicts):
        return "drift"
    return "definition_break" if drifted + broken > DRIFT_SHARE * len(verdicts) else "stable"
