from __future__ import annotations

import gzip
import hashlib
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ml.exceptions import ArchiveError
from ml.storage import postgres
from ml.storage.landing import find_archives, import_archive
from ml.storage.objects import ObjectStore

HEADER = "video_id,title,channel_title,category_id,tags,views,likes,dislikes,comment_total,date"
PANEL_DAY = "video_id,snapshot_date,views,likes,comments,n_countries,best_rank,fetched_at"
PANEL_VIDEOS = "video_id,published_at,title,channel_title,channel_id,category_id,tags,duration"


def rows_of(region: str) -> list[tuple]:
    with postgres.connect() as conn:
        return conn.execute(
            "select video_id, observed_at, views, title, tags, bronze_key from raw.youtube_videos"
            " where source = 'youtube-trending' and region = %s order by video_id, observed_at",
            (region,),
        ).fetchall()


def count(query: str, *values: object) -> int:
    with postgres.connect() as conn:
        return conn.execute(query, values).fetchone()[0]


def dead_letters(key: str) -> int:
    return count("select count(*) from ops.dead_letters where bronze_key = %s", key)


def lines(number: int, region: str) -> list[str]:
    """Rows of `number` videos on two days, with one repeated and one destroyed in ten."""
    found = []
    for index in range(number):
        start = f"{region}{index:09d},Title {index},C,24,a|b"
        found += [f"{start},{index + 10},1,1,1,{day}" for day in ("13.09", "1.1")]
        if index % 10 == 0:
            found.append(f"{start},{index + 50},1,1,1,13.09")
            found.append(f"#NAME?,Title {index},C,24,a|b,5,1,1,1,13.09")
    return found


def write(folder: Path, region: str, body: list[str]) -> Path:
    path = folder / f"{region}_2017.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEADER, *body, ""]).encode(), mtime=0))
    return path


def test_importing_twice_changes_nothing(stack, tmp_path):
    path = write(tmp_path, "QA", lines(500, "QA"))
    seen = []
    (first,) = import_archive(
        "youtube-trending", [path], progress=lambda *report: seen.append(report)
    )
    rows = rows_of("QA")
    assert (first.rows_read, first.rows_loaded, first.rows_rejected) == (1100, 1000, 50)
    assert first.rows_duplicate == 50
    assert first.rows_new == len(rows) == 1000
    assert seen == [(str(path), 1100, None)]
    (second,) = import_archive("youtube-trending", [path])
    assert second.already_imported
    assert (second.rows_read, second.rows_loaded, second.rows_rejected) == (1100, 1000, 50)
    assert second.rows_new == 0
    assert rows_of("QA") == rows
    assert dead_letters(first.bronze_key) == 50
    assert count("select count(*) from ops.imports where bronze_key = %s", first.bronze_key) == 1


def test_the_file_is_in_bronze_byte_for_byte(stack, tmp_path):
    path = write(tmp_path, "QB", lines(3, "QB"))
    (result,) = import_archive("youtube-trending", [path])
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    key = f"archive/format=youtube-trending/sha256={sha256}/QB_2017.csv.gz"
    assert result.bronze_key == key
    store, bucket = ObjectStore(stack), stack.bucket("bronze")
    assert store.get_bytes(bucket, key) == path.read_bytes()
    assert sha256.encode() in store.get_bytes(bucket, f"{key}.manifest.json")


def test_lost_rows_come_back_with_the_next_import(stack, tmp_path):
    path = write(tmp_path, "QC", lines(20, "QC"))
    (first,) = import_archive("youtube-trending", [path])
    rows = rows_of("QC")
    with postgres.connect() as conn:
        conn.execute("delete from raw.youtube_videos where region = 'QC' and views > 20")
    (again,) = import_archive("youtube-trending", [path])
    assert not again.already_imported
    assert again.rows_loaded == first.rows_loaded
    assert rows_of("QC") == rows
    assert dead_letters(first.bronze_key) == 2


def test_a_repeated_video_keeps_the_larger_count_in_any_order(stack, tmp_path):
    body = lines(50, "QD")
    random.Random(7).shuffle(body)
    import_archive("youtube-trending", [write(tmp_path, "QD", body)])
    repeated = [row[2] for row in rows_of("QD") if row[1].month == 9][::10]
    assert repeated == [index + 50 for index in range(0, 50, 10)]


@pytest.mark.parametrize("order", [("QE", 10, 99), ("QF", 99, 10)])
def test_an_older_file_never_overwrites_a_newer_one(stack, tmp_path, order):
    region, *views = order
    for number, value in enumerate(views):
        line = f"{region}000000000,T {value},C,24,,{value},1,1,1,13.09"
        (tmp_path / str(number)).mkdir()
        import_archive("youtube-trending", [write(tmp_path / str(number), region, [line])])
    assert [(row[2], row[3]) for row in rows_of(region)] == [(99, "T 99")]


def test_texts_arrive_as_they_were(stack, tmp_path):
    title = 'a "b" \\ \\. , \t ü 🎄\n\\.\n{x}'
    tags = 'one ""two""|""quoted one""|th{r}ee|fo,ur|back\\slash'
    line = f'QG000000000,"{title.replace(chr(34), chr(34) * 2)}",,24,"{tags}",7,1,1,1,13.09'
    import_archive("youtube-trending", [write(tmp_path, "QG", [line])])
    (row,) = rows_of("QG")
    assert row[3] == title
    assert row[4] == ['one "two"', "quoted one", "th{r}ee", "fo,ur", "back\\slash"]


def test_a_file_without_a_usable_row_leaves_nothing(stack, tmp_path):
    path = write(tmp_path, "QH", ["#NAME?,T,C,24,,5,1,1,1,13.09"] * 3)
    with pytest.raises(ArchiveError, match=r"no usable row among 3; line 2: .*spreadsheet"):
        import_archive("youtube-trending", [path])
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    prefix = f"archive/format=youtube-trending/sha256={sha256}"
    assert list(ObjectStore(stack).list_keys(stack.bucket("bronze"), prefix)) == []
    assert count("select count(*) from ops.imports where sha256 = %s", sha256) == 0
    assert (
        count("select count(*) from ops.dead_letters where bronze_key like %s", f"%{sha256}%") == 0
    )


def test_a_damaged_file_among_good_ones_loads_none(stack, tmp_path):
    good = write(tmp_path, "QI", lines(5, "QI"))
    bad = write(tmp_path, "QJ", lines(500, "QJ"))
    bad.write_bytes(bad.read_bytes()[:-500])
    with pytest.raises(ArchiveError, match=r"QJ_2017\.csv\.gz is damaged"):
        import_archive("youtube-trending", [good, bad])
    assert rows_of("QI") == []


def test_a_panel_is_joined_and_each_file_accounted_for(stack, tmp_path):
    (tmp_path / "video_day.csv").write_text(
        f"{PANEL_DAY}\nPN000000001,2026-04-16,60.0,8.0,0.0,3,24,2026-04-16T03:55:06\n"
        "PN000000002,2026-04-16,60.0,8.0,0.0,3,24,2026-04-16T03:55:06\n"
    )
    video = "PN000000001,2026-04-10T03:00:02Z,T,C,UC,22,,10.0"
    (tmp_path / "videos.csv").write_text(f"{PANEL_VIDEOS}\n{video}\n")
    results = import_archive("youtube-panel", [tmp_path])
    found = {
        item.file_name: (item.rows_read, item.rows_loaded, item.rows_rejected) for item in results
    }
    assert found == {"video_day.csv": (2, 1, 1), "videos.csv": (1, 1, 0)}
    with postgres.connect() as conn:
        row = conn.execute(
            "select region, title, regions_listed, chart_rank, comments from raw.youtube_videos"
            " where source = 'youtube-panel' and video_id = 'PN000000001'"
        ).fetchone()
    assert row == ("ZZ", "T", 3, 24, None)
    assert all(item.already_imported for item in import_archive("youtube-panel", [tmp_path]))


def test_a_folder_is_split_into_loads_that_stand_alone(stack, data_dir):
    found = find_archives(data_dir)
    assert len({item["name"] for item in found}) == len(found) == 14
    assert [len(item["paths"]) for item in found if item["format"] == "youtube-panel"] == [2]
    with pytest.raises(ArchiveError, match="holds no archive"):
        find_archives(data_dir / "movielens-100k")


_KILLED = """
import sys, time
from pathlib import Path
from ml.storage import bronze, imports, raw

def stop(*_):
    print("here", flush=True)
    time.sleep(600)

def before(owner, name):
    setattr(owner, name, stop)

def after(owner, name):
    original = getattr(owner, name)
    def then_stop(*args, **kwargs):
        original(*args, **kwargs)
        stop()
    setattr(owner, name, then_stop)

point, path = sys.argv[1], Path(sys.argv[2])
if point == "bronze file": after(bronze.ObjectStore, "put_file")
if point == "bronze manifest": after(bronze.Bronze, "write_archive")
if point == "merge": after(raw.Load, "finish")
if point == "before commit": before(raw, "analyze")
imports.import_archive("youtube-trending", [path], progress=stop if point == "copy" else None)
"""


@pytest.mark.parametrize(
    ("point", "region"),
    [("copy", "RA"), ("bronze file", "RB"), ("bronze manifest", "RC"), ("merge", "RD"),
     ("before commit", "RE")],
)  # fmt: skip
def test_killed_anywhere_a_second_run_gives_the_exact_rows(stack, tmp_path, point, region):
    path = write(tmp_path, region, lines(200, region))
    child = subprocess.Popen(
        [sys.executable, "-c", _KILLED, point, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "here\n"
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert rows_of(region) == []
    (result,) = import_archive("youtube-trending", [path])
    assert not result.already_imported
    assert result.rows_new == len(rows_of(region)) == 400
    assert dead_letters(result.bronze_key) == 20


def test_real_archives_load_with_the_known_counts(stack, data_dir):
    paths = sorted((data_dir / "youtube-2017").glob("*.csv.gz"))
    results = import_archive("youtube-trending", paths)
    found = [(item.rows_read, item.rows_loaded, item.rows_rejected) for item in results]
    assert found == [(7995, 7879, 116), (8000, 7993, 0)]
    (listing,) = import_archive("github-trending", [data_dir / "github-trending"])
    assert (listing.rows_read, listing.rows_loaded) == (27594, 27594)
    assert count("select count(*) from raw.records where source = 'github-trending'") == 27594
