from __future__ import annotations

import pytest

from ml.exceptions import ArchiveError
from ml.trend.topic.archives import read_volumes


def volumes(frame) -> dict:
    return {(r.series, f"{r.at:%m-%dT%H}"): r.volume for r in frame.itertuples()}


def test_front_page_stories_count_once_for_host_and_title_words(tmp_path):
    items = tmp_path / "items.csv"
    items.write_text(
        "id,first_seen_utc,title,url,author\n"
        "1,2021-01-02T10:00:00Z,Rust and the Linux kernel,https://www.lwn.net/a,x\n"
        "2,2021-01-02T10:00:00Z,Linux again,https://lwn.net/b,y\n"
    )
    shots = tmp_path / "snapshots.csv"
    shots.write_text(
        "observed_at_utc,rank,id,upvotes,comments\n"
        "2021-01-01T23:00:00Z,1,1,5,1\n"
        "2021-01-02T10:00:00Z,1,1,5,1\n"
        "2021-01-02T10:30:00Z,1,1,9,1\n"
        "2021-01-02T11:00:00Z,2,2,9,1\n"
        "2021-01-03T01:00:00Z,2,2,9,1\n"
    )
    daily = volumes(read_volumes([items, shots]))
    # The first and the last day were not watched from beginning to end; `again` is no topic.
    assert daily == {
        ("hackernews/host/lwn.net", "01-02T00"): 2,
        ("hackernews/word/linux", "01-02T00"): 2,
        ("hackernews/word/kernel", "01-02T00"): 1,
        ("hackernews/word/rust", "01-02T00"): 1,
    }
    hourly = volumes(read_volumes([items, shots], hourly=True))
    assert hourly[("hackernews/word/linux", "01-02T10")] == 1
    assert hourly[("hackernews/word/linux", "01-02T11")] == 1


def test_files_listed_once_a_day_have_no_hours(tmp_path):
    listing = tmp_path / "github.csv"
    listing.write_text("date,position,repo,lang,desc\n2020-01-01,1,a/b,Go,\n2020-01-01,2,a/c,Go,\n")
    assert volumes(read_volumes([listing])) == {("github/Go", "01-01T00"): 2}
    with pytest.raises(ArchiveError, match="hourly"):
        read_volumes([listing], hourly=True)


def test_file_of_another_kind_is_named(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ArchiveError, match=r"x\.csv is of no known format"):
        read_volumes([tmp_path / "x.csv"])


def test_country_lists_count_videos_by_category(data_dir):
    found = read_volumes([data_dir / "youtube-2025-2026" / "countries" / "US.csv.xz"])
    assert found["series"].str.startswith("youtube/US/").all()
    by_day = found.groupby("at")["volume"].sum()
    assert len(by_day) == 173
    assert by_day.max() <= 50
