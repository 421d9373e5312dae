"""No gate stops on any of the real archives, and what they warn of is really there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.gates import check_imported
from ml.settings import Settings
from ml.storage.landing import find_archives, import_archive
from ml.storage.postgres import connect


@pytest.fixture
def archives(stack: Settings, data_dir: Path) -> Iterator[None]:
    for archive in find_archives(data_dir):
        import_archive(archive["format"], archive["paths"])
    yield
    with connect() as conn:
        conn.execute(
            "delete from raw.youtube_videos where not is_synthetic;"
            "delete from raw.records where not is_synthetic;"
            "delete from ops.imports"
        )


def test_no_archive_is_stopped(archives: None) -> None:
    assert len(check_imported("soak")) == 2
    with connect() as conn:
        rows = conn.execute(
            "select gate, expectation, severity, examples from ops.gate_results"
            " where run_id = 'import_archives/soak' and not success"
        ).fetchall()
    # The archive of Hacker News has three days of less than half their snapshots.
    assert {(gate, name, severity) for gate, name, severity, _ in rows} == {
        ("raw_records", "volume_is_like_the_same_weekday", "warn")
    }
    days = {example["on_day"] for *_, examples in rows for example in examples}
    assert days == {"2021-06-01", "2021-06-02", "2022-03-25"}
