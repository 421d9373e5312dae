"""Whatever the bytes, a file is read to its end with every row accounted for, or refused."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.exceptions import ArchiveError
from ml.sources.archives import FORMATS, open_archives

HEADERS = {
    "youtube-trending": [
        "video_id,title,views,date",
        "video_id,trending_date,title,publish_time,tags,views,comments_disabled,description",
        "snapshot_date,rank,video_id,country,fetched_at,published_at,title,tags,duration,views,likes",
    ],
    "hackernews-snapshots": ["observed_at_utc,rank,id,upvotes", "id,first_seen_utc,title,url"],
    "github-trending": ["date,position,repo,lang,desc"],
}
CELL = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["XpVt6Z1Gjjo", "#NAME?", "13.09", "1.1", "17.14.11", "2025-02-30", "12.0",
                     "2025-12-10 05:37:56.842578+00:00", "nan", "True", "US", "a/b", "1e400",
                     "9" * 30, "a|b", '"a"|"b"', "[none]", "2025-12-10T99:00:00Z"]),
)  # fmt: skip
QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def account(data: bytes, name: str) -> list[tuple[int, int]]:
    """Rows read and usable of each chunk; each row is usable or rejected, in order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "US_2017.csv"
        path.write_bytes(data)
        try:
            archives = open_archives(name, [path])
        except ArchiveError:
            return []
        found = []
        for chunk in archives[0].chunks():
            positions = chunk.rows.table["position"].to_pylist()
            rejected = [item.position for item in chunk.rows.rejects]
            assert chunk.rows_read == len(positions) + len(rejected)
            assert len({*positions, *rejected}) == chunk.rows_read
            assert all(item.reason for item in chunk.rows.rejects)
            found.append((chunk.rows_read, chunk.rows_used))
        return found


@QUICK
@given(data=st.binary(max_size=2000), name=st.sampled_from(sorted(FORMATS)))
def test_any_bytes_are_refused_or_accounted_for(data, name):
    account(data, name)


@pytest.mark.parametrize("name", sorted(HEADERS))
@QUICK
@given(body=st.binary(max_size=2000), pick=st.integers(0, 9))
def test_any_bytes_after_a_header_are_accounted_for(name, body, pick):
    headers = HEADERS[name]
    account(headers[pick % len(headers)].encode() + b"\n" + body, name)


@pytest.mark.parametrize("name", sorted(HEADERS))
@QUICK
@given(data=st.data(), pick=st.integers(0, 9))
def test_any_well_formed_rows_are_counted_exactly(name, data, pick):
    header = HEADERS[name][pick % len(HEADERS[name])].split(",")
    row = st.lists(CELL, min_size=len(header), max_size=len(header)).filter(any)
    rows = data.draw(st.lists(row, max_size=8))
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    encoded = text.getvalue().encode("utf-8", "replace")
    assert sum(read for read, _ in account(encoded, name)) == len(rows)
