"""Bad input on the command line: one clear line, a non-zero exit, nothing half done."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys

import pytest
from sqlalchemy.engine import make_url

from ml.runtime import embedded
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect

HEADER = (
    "video_id,title,channel_title,category_id,tags,views,likes,dislikes,comment_total,"
    "thumbnail_link,date\n"
)


def _cli(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "ml.cli", *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def _content(settings):
    with connect(settings.require("database_url")) as conn:
        rows = conn.execute(
            "select (select count(*) from raw.youtube_videos), (select count(*) from ops.imports),"
            " (select count(*) from ops.dead_letters)"
        ).fetchone()
    return rows, sorted(ObjectStore(settings).list_keys(settings.bucket("bronze"), "archive/"))


ARCHIVES = {
    "corrupt": (gzip.compress(b"x" * 5000)[:60], "US_2017-09_10.csv.gz"),
    "empty": (b"", "US_2017-09_10.csv"),
    "without_valid_rows": ((HEADER + "#NAME?,t,c,1,,x,,,,,13.09\n").encode(), "US_2017-09.csv"),
    "of_unknown_columns": (b"a,b\n1,2\n", "US_2017-09_10.csv"),
}


@pytest.mark.parametrize("kind", list(ARCHIVES))
def test_an_unusable_archive_leaves_nothing(platform, tmp_path, kind):
    content, name = ARCHIVES[kind]
    path = tmp_path / name
    path.write_bytes(content)
    before = _content(platform)
    result = _cli("import-archive", "--format", "youtube-trending", str(path))
    assert result.returncode == 1
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert lines[-1].startswith("error: ")
    assert name in lines[-1]
    assert "Traceback" not in result.stderr
    assert _content(platform) == before


def test_a_wrong_password_is_one_line(platform, tmp_path):
    url = make_url(platform.require("database_url")).set(password="mistyped-secret")
    path = tmp_path / "US_2017-09_10.csv"
    path.write_text(HEADER + "abcdefghijk,t,c,1,,10,1,1,1,,13.09\n")
    result = _cli(
        "import-archive", "--format", "youtube-trending", str(path),
        DATABASE_URL=url.render_as_string(hide_password=False),
    )  # fmt: skip
    assert result.returncode == 1
    assert "password authentication failed" in result.stderr.splitlines()[-1]
    assert "mistyped-secret" not in result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_in_use_is_one_line(platform, tmp_path):
    port = make_url(platform.require("database_url")).port
    result = _cli(
        "up", "--only", "valkey",
        YTEMPIRE_STATE_DIR=str(tmp_path / "other"), YTEMPIRE_PORTS=f'{{"valkey": {port}}}',
    )  # fmt: skip
    assert result.returncode == 1
    assert f"port {port}" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "other" / "data" / "valkey").exists()


def test_an_unusable_state_directory_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    result = _cli("up", YTEMPIRE_STATE_DIR=str(tmp_path / "file" / "state"))
    assert result.returncode == 1
    (line,) = result.stderr.strip().splitlines()
    assert "state directory" in line


def test_data_survive_down_and_up(platform):
    before = _content(platform)
    embedded.down(lambda *_: None)
    assert not any(row.healthy for row in embedded.status())
    embedded.up(lambda *_: None)
    assert all(row.healthy for row in embedded.status())
    assert _content(platform) == before
