from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ml.exceptions import ArchiveError
from ml.sources.archives import open_archives
from ml.sources.archives.reading import Reject

HEADER_A = (
    "video_id,title,channel_title,category_id,tags,views,likes,dislikes,comment_total,"
    "thumbnail_link,date"
)
HEADER_B = (
    "video_id,trending_date,title,channel_title,category_id,publish_time,tags,views,likes,dislikes,"
    "comment_count,thumbnail_link,comments_disabled,ratings_disabled,video_error_or_removed,"
    "description"
)
HEADER_C = (
    "video_id,title,publishedAt,channelId,channelTitle,categoryId,trending_date,tags,view_count,"
    "likes,dislikes,comment_count,thumbnail_link,comments_disabled,ratings_disabled,description"
)
HEADER_D = (
    "snapshot_date,rank,video_id,country,fetched_at,published_at,title,localized_title,"
    "channel_title,channel_id,category_id,category_name,tags,tag_count,thumbnail,default_language,"
    "audio_language,is_live,duration,duration_raw,definition,caption_available,licensed_content,"
    "embeddable,made_for_kids,views,likes,comments"
)
ROW_A = "XpVt6Z1Gjjo,A title,A channel,24,one|two,100,10,1,5,http://x/y.jpg,13.09"
ROW_B = (
    '2kyS6SvSYSE,17.14.11,WE WANT,Casey,22,2017-11-13T17:13:01.000Z,"one|""two words""",748374,'
    '57527,2966,15954,http://x,False,False,False,"first\\nline\nsecond, line"'
)
ROW_C = (
    "3C66w5Z0ixs,I ASKED,2020-08-11T19:20:14Z,UCvtRTOMP2,Brawadis,22,2020-08-12T00:00:00Z,"
    "a|b,1514614,156908,5855,35313,http://x,False,False,text"
)
ROW_D = (
    "2025-12-10,1,XelMqi0jlvk,US,2025-12-10 05:37:56.842578+00:00,2025-12-09 11:30:38+00:00,"
    'Songs,Songs,Christmas,UCn0,10,Music,"top song, carols",2.0,http://x,und,en,False,7634.0,'
    "PT2H7M14S,hd,False,True,False,False,225445.0,0.0,0.0"
)

Read = tuple[list[dict[str, Any]], list[Reject]]


def read(path: Path, *, region: str | None = None, year: int | None = None) -> Read:
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    (archive,) = open_archives("youtube-trending", [path], region=region, year=year)
    for chunk in archive.chunks():
        found = chunk.rows.table.to_pylist()
        assert chunk.rows_read == len(found) + len(chunk.rows.rejects)
        assert chunk.rows_used == len(found)
        rows += found
        rejects += chunk.rows.rejects
    return rows, rejects


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str, name: str = "US_2017-09.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes("\n".join(lines).encode(encoding))
        return path

    return write


def test_day_month_lists_take_year_and_region_from_the_file_name(archive):
    rows, rejects = read(archive(HEADER_A, ROW_A, name="US_2017-09_10.csv"))
    assert rejects == []
    (row,) = rows
    assert row["region"] == "US"
    assert row["observed_at"] == datetime(2017, 9, 13, tzinfo=UTC)
    assert row["available_at"] == datetime(2017, 9, 14, tzinfo=UTC)
    assert (row["views"], row["likes"], row["dislikes"], row["comments"]) == (100, 10, 1, 5)
    assert row["tags"] == ["one", "two"]
    assert row["published_at"] is None
    assert row["chart_rank"] is None
    assert row["position"] == 2


@pytest.mark.parametrize(
    ("written", "month", "day"),
    [("1.1", 10, 1), ("20.1", 10, 20), ("01.10", 10, 1), ("9.09", 9, 9), ("1.12", 12, 1),
     ("31.01", 1, 31), ("5.11", 11, 5)],
)  # fmt: skip
def test_a_day_month_number_regains_its_lost_zero(archive, written, month, day):
    line = ROW_A.replace("13.09", written)
    rows, _ = read(archive(HEADER_A, line, name="x.csv"), region="us", year=2017)
    assert rows[0]["observed_at"].date() == date(2017, month, day)


@pytest.mark.parametrize("written", ["1.2", "32.10", "31.09", "26.09t2oVUxTV4WA", "", "13.13"])
def test_a_date_that_is_no_day_is_rejected(archive, written):
    _, rejects = read(archive(HEADER_A, ROW_A, ROW_A.replace("13.09", written), ""))
    assert [(item.position, item.reason) for item in rejects] == [(3, "date is not a day")]
    assert "XpVt6Z1Gjjo" in rejects[0].payload


def test_lists_that_run_past_december_go_on_in_the_next_year(archive):
    lines = [ROW_A.replace("13.09", written) for written in ("30.12", "31.12", "1.01", "2.01")]
    rows, _ = read(archive(HEADER_A, *lines, name="GB_2017-12_01.csv"))
    assert [row["observed_at"].year for row in rows] == [2017, 2017, 2018, 2018]
    rows, _ = read(archive(HEADER_A, *lines, name="GBvideos.csv"), year=2017)
    assert [row["observed_at"].year for row in rows] == [2017, 2017, 2018, 2018]


def test_year_column_wins(archive):
    path = archive(HEADER_A + ",year", ROW_A + ",2016", name="USvideos.csv")
    assert read(path)[0][0]["observed_at"] == datetime(2016, 9, 13, tzinfo=UTC)


def test_missing_year_or_region_says_what_to_pass(archive):
    with pytest.raises(ArchiveError, match=r"USvideos\.csv.*--year"):
        read(archive(HEADER_A, ROW_A, name="USvideos.csv"))
    with pytest.raises(ArchiveError, match=r"videos_2017\.csv.*--region"):
        read(archive(HEADER_A, ROW_A, name="videos_2017.csv"))


@pytest.mark.parametrize(
    ("name", "region"),
    [("USvideos.csv", "US"), ("US_youtube_trending_data.csv", "US"), ("GB.csv", "GB"),
     ("IN_videos.csv", "IN"), ("trending-DE.csv", "DE")],
)  # fmt: skip
def test_region_comes_from_the_file_name(archive, name, region):
    assert read(archive(HEADER_B, ROW_B, name=name))[0][0]["region"] == region


def test_year_day_month_lists_keep_quoted_newlines(archive):
    rows, rejects = read(archive(HEADER_B, ROW_B, ROW_B.replace("2kyS6", "3kyS6"), ""))
    assert rejects == []
    first, second = rows
    assert first["observed_at"] == datetime(2017, 11, 14, tzinfo=UTC)
    assert first["published_at"] == datetime(2017, 11, 13, 17, 13, 1, tzinfo=UTC)
    assert first["tags"] == ["one", "two words"]
    assert (first["position"], second["position"]) == (2, 4)


def test_disabled_counts_are_unknown_not_zero(archive):
    line = ROW_B.replace("False,False,False", "True,True,False")
    (row,) = read(archive(HEADER_B, line))[0]
    assert (row["likes"], row["dislikes"], row["comments"]) == (None, None, None)
    assert row["views"] == 748374


def test_iso_lists_are_read(archive):
    (row,) = read(archive(HEADER_C, ROW_C, name="US_youtube_trending_data.csv"))[0]
    assert row["observed_at"] == datetime(2020, 8, 12, tzinfo=UTC)
    assert row["available_at"] == datetime(2020, 8, 13, tzinfo=UTC)
    assert row["channel_id"] == "UCvtRTOMP2"
    assert row["category_id"] == 22
    assert row["views"] == 1514614


def test_lists_since_2025_hide_zero_counts_and_know_when_they_were_fetched(archive):
    (row,) = read(archive(HEADER_D, ROW_D, name="any.csv"))[0]
    assert row["region"] == "US"
    assert row["observed_at"] == row["available_at"]
    assert row["observed_at"] == datetime(2025, 12, 10, 5, 37, 56, 842578, tzinfo=UTC)
    assert (row["likes"], row["comments"]) == (None, None)
    assert (row["chart_rank"], row["duration_s"], row["language"]) == (1, 7634.0, None)
    assert row["tags"] == ["top song", "carols"]
    assert row["made_for_kids"] is False


def test_optional_columns_may_be_missing(archive):
    path = archive("video_id,views,trending_date", "2kyS6SvSYSE,5,17.14.11", name="US.csv")
    (row,) = read(path)[0]
    assert (row["views"], row["title"], row["likes"], row["tags"]) == (5, "", None, None)


def test_destroyed_ids_are_rejected_with_their_cause(archive):
    _, rejects = read(archive(HEADER_A, ROW_A, ROW_A.replace("XpVt6Z1Gjjo", "#NAME?")))
    assert rejects[0].reason == "video_id was destroyed by a spreadsheet"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (",100,", ",1.2E+07,", "views is not a count"),
        (",100,", ",-5,", "views is not a count"),
        (",100,", ",,", "views is empty"),
        (",24,", ",Music,", "category_id is not a count"),
        (",24,", ",99999999999,", "category_id is too large"),
        ("XpVt6Z1Gjjo", "short", "video_id is not 11 characters of an id"),
        ("XpVt6Z1Gjjo", "", "video_id is empty"),
        (",24,", ",", "has 10 columns, not 11"),
        (",24,", ",24,24,", "has 12 columns, not 11"),
    ],
)
def test_a_bad_value_rejects_only_its_row(archive, old, new, reason):
    rows, rejects = read(archive(HEADER_A, ROW_A, ROW_A.replace(old, new), ROW_A, ""))
    assert [item.reason for item in rejects] == [reason]
    assert [row["position"] for row in rows] == [2, 4]


def test_utf8_with_bom_and_crlf_is_read(archive):
    path = archive(HEADER_A + "\r", ROW_A.replace("A title", "Été 🎄") + "\r", encoding="utf-8-sig")
    assert read(path)[0][0]["title"] == "Été 🎄"


def test_latin_1_is_read(archive):
    lines = [ROW_A.replace("A title", "¿Qué pasó, señor?".replace(",", ""))] * 3
    rows, _ = read(archive(HEADER_A, *lines, encoding="latin-1"))
    assert rows[0]["title"] == "¿Qué pasó señor?"


def test_a_broken_byte_does_not_make_a_file_latin_1(tmp_path):
    path = tmp_path / "US_2017.csv"
    good = "\n".join([HEADER_A, *[ROW_A.replace("A title", "Été 🎄")] * 5]).encode()
    path.write_bytes(good.replace(b"A channel", b"A \xff channel", 1))
    rows, _ = read(path)
    assert rows[0]["channel_title"] == "A \ufffd channel"
    assert rows[4]["title"] == "Été 🎄"


def test_a_nul_byte_does_not_reach_the_table(archive):
    assert "\0" not in read(archive(HEADER_A, ROW_A.replace("A title", "A\0B")))[0][0]["title"]


@pytest.mark.parametrize("keep", range(1, len(ROW_B.encode())))
def test_a_cut_last_row_is_rejected_or_loses_only_its_description(archive, keep):
    path = archive(HEADER_B, ROW_B.replace("2kyS6", "3kyS6"), "")
    path.write_bytes(path.read_bytes() + ROW_B.encode()[:keep])
    rows, rejects = read(path)
    assert len(rows) + len(rejects) == 2
    assert rows[0]["video_id"] == "3kyS6SvSYSE"
    if len(rows) == 2:
        assert keep > ROW_B.encode().index(b'"first') - 1
        assert rows[1]["views"] == 748374


def test_a_cut_last_number_is_rejected(archive):
    good = ROW_D.replace("0.0,0.0", "0.0,12345.0")
    path = archive(HEADER_D, *[good] * 30, good.removesuffix("345.0"))
    rows, rejects = read(path)
    assert len(rows) == 30
    assert [item.reason for item in rejects] == ["the file ends inside this row"]


def test_an_open_quote_takes_no_other_row_with_it(archive):
    broken = ROW_A.replace("A title", '"A title')
    rows, rejects = read(archive(HEADER_A, ROW_A, broken, *[ROW_A] * 50, ""))
    assert len(rows) == 51
    assert [item.position for item in rejects] == [3]


def test_blank_lines_are_no_rows(archive):
    rows, rejects = read(archive(HEADER_A, "", ROW_A, "", ROW_A, "", ""))
    assert ([row["position"] for row in rows], rejects) == ([3, 5], [])


@pytest.mark.parametrize("suffix", ["csv", "gz", "xz", "bz2", "zip"])
def test_compression_is_told_by_content(tmp_path, suffix):
    data = f"{HEADER_A}\n{ROW_A}\n".encode()
    path = tmp_path / f"US_2017.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("USvideos.csv", data)
    else:
        pack = {"csv": bytes, "gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress}
        path.write_bytes(pack[suffix](data))
    assert len(read(path)[0]) == 1


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_damaged_compression_says_so(tmp_path, pack):
    whole = pack("\n".join([HEADER_A, *[ROW_A] * 2000]).encode())
    path = tmp_path / "US_2017.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArchiveError, match="damaged"):
        read(path)


def test_unusable_files_say_what_to_do(archive, tmp_path):
    with pytest.raises(ArchiveError, match="does not exist"):
        read(tmp_path / "none.csv")
    with pytest.raises(ArchiveError, match="is empty"):
        read(archive(name="empty.csv"))
    with pytest.raises(ArchiveError, match="is not youtube-trending: it needs video_id"):
        read(archive("a,b", "1,2"))
    with pytest.raises(ArchiveError, match="holds no youtube-trending file"):
        open_archives("youtube-trending", [tmp_path / "..", tmp_path][1:])
    with pytest.raises(ArchiveError, match="use one of youtube-trending"):
        open_archives("betamax", [tmp_path])
