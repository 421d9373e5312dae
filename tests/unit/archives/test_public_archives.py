"""The real files, with counts that were taken from them by hand."""

from __future__ import annotations

from collections import Counter

import pytest

from ml.sources.archives import open_archives

KNOWN = [
    ("youtube-trending", "youtube-2017/US_2017-09_10.csv.gz", 8000, {}),
    ("youtube-trending", "youtube-2017/GB_2017-09_10.csv.gz", 7995,
     {"video_id was destroyed by a spreadsheet": 115, "date is not a day": 1}),
    ("youtube-trending", "youtube-2025-2026/countries/US.csv.xz", 8624, {}),
    ("hackernews-snapshots", "hackernews/items.csv.xz", 45607, {"title is empty": 13}),
    ("github-trending", "github-trending/github_trending_daily.csv.xz", 27594, {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "read", "reasons"), KNOWN)
def test_real_archives_give_the_known_counts(data_dir, name, path, read, reasons):
    (archive,) = open_archives(name, [data_dir / path])
    chunks = list(archive.chunks())
    found = Counter(item.reason for chunk in chunks for item in chunk.rows.rejects)
    assert sum(chunk.rows_read for chunk in chunks) == read
    assert found == reasons


def test_days_of_2017_run_without_a_gap_over_september_and_october(data_dir):
    (archive,) = open_archives("youtube-trending", [data_dir / "youtube-2017/GB_2017-09_10.csv.gz"])
    seen = Counter(
        f"{day:%m-%d}"
        for chunk in archive.chunks()
        for day in chunk.rows.table["observed_at"].to_pylist()
    )
    days = [f"09-{day:02d}" for day in range(13, 31)] + [f"10-{day:02d}" for day in range(1, 23)]
    assert sorted(seen) == days


def test_hidden_counts_of_the_charts_since_2025_are_null(data_dir):
    (archive,) = open_archives(
        "youtube-trending", [data_dir / "youtube-2025-2026/countries/US.csv.xz"]
    )
    tables = [chunk.rows.table for chunk in archive.chunks()]
    assert sum(table["likes"].null_count for table in tables) == 1137
    assert sum(table["comments"].null_count for table in tables) == 1312
