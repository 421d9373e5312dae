from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from ml.exceptions import ArchiveError
from ml.sources.archives import discover_archives, open_archives

DAYS = """video_id,snapshot_date,views,likes,comments,n_countries,best_rank,fetched_at
---mD--MTLI,2026-04-16,60572.0,815.0,0.0,3,24,2026-04-16T03:55:06
---mD--MTLI,2026-04-17,69529.0,0.0,42.0,1,27,2026-04-17T03:52:22
--5UZTZg0Aw,2026-04-17,1.0,1.0,1.0,1,27,2026-04-17T03:52:22
"""
VIDEOS = """video_id,published_at,title,channel_title,channel_id,category_id,category_name,tags,\
default_language,audio_language,duration,made_for_kids
---mD--MTLI,2026-04-10T03:00:02Z,"A
title",ASHA,UCmM,22,People,"a, b",si,und,1348.0,False
#NAME?,2026-04-10T03:00:02Z,x,ASHA,UCmM,22,People,,si,und,1348.0,False
"""
SNAPSHOTS = """observed_at_utc,rank,id,upvotes,comments
2020-11-06T18:10:51Z,1,25008941,81,11.0
2020-11-06T18:10:51Z,2,25008587,105,
2020-11-06T18:10:51Z,3,abc,105,
"""
ITEMS = """id,first_seen_utc,title,url,author
25008941,2020-11-06T18:10:51Z,"Say ""hi"" \\ there",https://x,me
25008587,2020-11-06T18:10:51Z,"two
lines",,
25008588,2020-11-06T18:10:51Z,,,
"""
LISTING = """date,position,repo,lang,desc
2018-07-01,1,kay-is/react-from-zero,HTML,
2018-07-01,2,not a repo,Go,
"""


@pytest.fixture
def folder(tmp_path):
    texts = {
        "video_day.csv": DAYS, "videos.csv": VIDEOS, "snapshots.csv": SNAPSHOTS,
        "items.csv": ITEMS, "daily.csv": LISTING, "other.csv": "a,b\n1,2\n", "none.csv": "",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_panel_days_get_the_attributes_of_their_video(folder):
    (archive,) = open_archives("youtube-panel", [folder])
    chunks = list(archive.chunks())
    assert [(chunk.file.path.name, chunk.rows_read, chunk.rows_used) for chunk in chunks] == [
        ("videos.csv", 2, 1),
        ("video_day.csv", 3, 2),
    ]
    first, second = chunks[1].rows.table.to_pylist()
    assert first["region"] == "ZZ"
    assert first["title"] == "A\ntitle"
    assert first["tags"] == ["a", "b"]
    assert (first["regions_listed"], first["chart_rank"]) == (3, 24)
    assert (first["likes"], first["comments"]) == (815, None)
    assert (second["likes"], second["comments"]) == (None, 42)
    assert second["observed_at"] == datetime(2026, 4, 17, 3, 52, 22, tzinfo=UTC)
    assert second["available_at"] == second["observed_at"]
    assert chunks[1].rows.rejects[0].reason == "video_id is in none of the videos files"


def test_half_a_panel_says_what_is_missing(folder):
    with pytest.raises(ArchiveError, match=r"pass videos\.csv as well"):
        open_archives("youtube-panel", [folder / "video_day.csv"])
    with pytest.raises(ArchiveError, match=r"pass video_day\.csv"):
        open_archives("youtube-panel", [folder / "videos.csv"])


def test_hacker_news_items_and_snapshots_become_records(folder):
    items, snapshots = open_archives("hackernews-snapshots", [folder])
    (chunk,) = items.chunks()
    rows = chunk.rows.table.to_pylist()
    assert json.loads(rows[0]["payload"]) == {
        "title": 'Say "hi" \\ there', "url": "https://x", "author": "me",
    }  # fmt: skip
    assert json.loads(rows[1]["payload"]) == {"title": "two\nlines", "url": None, "author": None}
    assert [item.reason for item in chunk.rows.rejects] == ["title is empty"]
    (chunk,) = snapshots.chunks()
    rows = chunk.rows.table.to_pylist()
    assert [row["kind"] for row in rows] == ["snapshot", "snapshot"]
    assert json.loads(rows[1]["payload"]) == {"rank": 2, "upvotes": 105, "comments": None}
    assert rows[0]["event_at"] == datetime(2020, 11, 6, 18, 10, 51, tzinfo=UTC)
    assert [item.reason for item in chunk.rows.rejects] == ["id is not a number"]


def test_github_listings_are_known_at_the_end_of_their_day(folder):
    (archive,) = open_archives("github-trending", [folder / "daily.csv"])
    (chunk,) = archive.chunks()
    (row,) = chunk.rows.table.to_pylist()
    assert row["record_id"] == "kay-is/react-from-zero"
    assert row["event_at"] == datetime(2018, 7, 1, tzinfo=UTC)
    assert row["available_at"] == datetime(2018, 7, 2, tzinfo=UTC)
    assert json.loads(row["payload"]) == {"position": 1, "lang": "HTML", "desc": None}
    assert chunk.rows.rejects[0].reason == "repo is not owner/name"


def test_archives_are_discovered_by_their_header(folder):
    found = {name: [path.name for path in paths] for name, paths in discover_archives(folder)}
    assert found == {
        "youtube-panel": ["video_day.csv", "videos.csv"],
        "hackernews-snapshots": ["items.csv", "snapshots.csv"],
        "github-trending": ["daily.csv"],
    }
