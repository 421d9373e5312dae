"""Importing public archives: one transaction a file for rows, dead letters and the record of it.

Every file is checked before the first is loaded, its bytes are in bronze before the commit, and
every write has a key: killed at any moment and run again, it ends at the same rows.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg

from ml.exceptions import ArchiveError
from ml.settings import get_settings
from ml.sources.archives import FORMATS, Archive, discover_archives, open_archives
from ml.sources.archives.base import Chunk
from ml.sources.archives.reading import CsvFile
from ml.storage import postgres, raw
from ml.storage.bronze import Bronze, archive_key

log = logging.getLogger(__name__)

# Called with the path of a file, its rows done so far, and their total where it is known.
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class ImportResult:
    """What became of one archive file; read = loaded + rejected + duplicates.

    Attributes:
        format: name of the format.
        path: the file.
        file_name: the last part of it.
        bronze_key: where it lies in bronze.
        rows_read: rows in the file.
        rows_loaded: different usable rows; of a file that is only joined, the usable ones.
        rows_rejected: rows that became dead letters.
        rows_new: rows that were inserted or replaced an earlier observation.
        already_imported: whether the same import was found complete, and nothing was read again.
    """

    format: str
    path: str
    file_name: str
    bronze_key: str
    rows_read: int
    rows_loaded: int
    rows_rejected: int
    rows_new: int = 0
    already_imported: bool = False

    @property
    def rows_duplicate(self) -> int:
        """Rows that repeat another one of the file."""
        return self.rows_read - self.rows_loaded - self.rows_rejected


@dataclass
class _Tally:
    """Rows of one file so far."""

    read: int = 0
    used: int = 0
    rejected: int = 0
    first_reason: str = ""

    def add(self, chunk: Chunk) -> None:
        self.read += chunk.rows_read
        self.used += chunk.rows_used
        self.rejected += len(chunk.rows.rejects)
        if chunk.rows.rejects and not self.first_reason:
            first = chunk.rows.rejects[0]
            self.first_reason = f"; line {first.position}: {first.reason}"


def import_archive(
    format: str,  # noqa: A002  the name of the command-line option
    paths: Sequence[str | Path],
    *,
    region: str | None = None,
    year: int | None = None,
    progress: Progress | None = None,
) -> list[ImportResult]:
    """Import public archives, one transaction a file; importing twice changes nothing.

    Args:
        format: a key of `ml.sources.archives.FORMATS`.
        paths: files, or folders that hold some.
        region: ISO country of files that do not tell it themselves.
        year: of dates that have none.
        progress: called after every batch of rows.

    Raises:
        ArchiveError: if a file cannot be imported at all. All files are checked first; of the
            one that fails nothing stays.
        ServiceUnavailableError: when the database or object storage does not answer.
    """
    bronze = Bronze()
    archives = open_archives(format, [Path(path) for path in paths], region=region, year=year)
    results: dict[str, ImportResult] = {}
    for archive in archives:
        for result in _Import(format, archive, bronze, progress).run():
            results[result.path] = result
    return list(results.values())


def find_archives(folder: str | Path | None = None) -> list[dict[str, Any]]:
    """What to import below a folder, one entry per load that does not need another.

    Args:
        folder: by default that of the settings.

    Returns:
        Entries `{"name", "format", "paths"}` for `import_archive`.

    Raises:
        ConfigurationError: if there is no folder.
        ArchiveError: if it holds no archive of a known format.
    """
    root = Path(folder or get_settings().require("data_dir"))
    found: list[dict[str, Any]] = []
    for name, paths in discover_archives(root):
        # A panel's files are joined; all others stand alone.
        groups = [paths] if FORMATS[name].joins else [[path] for path in paths]
        found += [
            {
                "name": f"{name} {group[0].relative_to(root)}",
                "format": name,
                "paths": [str(path) for path in group],
            }
            for group in groups
        ]
    if not found:
        raise ArchiveError(f"{root} holds no archive of a known format; set YTEMPIRE_DATA_DIR")
    return found


@dataclass
class _Import:
    """The import of one archive."""

    format: str
    archive: Archive
    bronze: Bronze
    progress: Progress | None
    tallies: dict[Path, _Tally] = field(default_factory=dict)

    @property
    def files(self) -> tuple[CsvFile, ...]:
        return (self.archive.file, *self.archive.companions)

    def run(self) -> list[ImportResult]:
        with postgres.transaction() as conn:
            raw.lock(conn, self._id(self.archive.file))
            if done := self._finished(conn):
                return done
            loaded = self._load(conn)
            results = [self._result(file, loaded) for file in self.files]
            for result, file in zip(results, self.files, strict=True):
                self._record(conn, result, file)
            raw.analyze(conn, self.archive.table, loaded.new)
        _log(results)
        return results

    def _key(self, file: CsvFile) -> str:
        return archive_key(self.format, file.sha256, file.path.name)

    def _id(self, file: CsvFile) -> str:
        """Same bytes, companions, region and year: the same import."""
        hashes = [file.sha256, *(other.sha256 for other in self.files)]
        parts = [self.format, *hashes, self.archive.region or "", str(self.archive.year or "")]
        return hashlib.sha256("|".join(parts).encode()).hexdigest()

    def _finished(self, conn: psycopg.Connection) -> list[ImportResult]:
        """What an earlier import recorded, if its rows and files are all there still."""
        results = [self._recorded(conn, file) for file in self.files]
        found = [result for result in results if result is not None]
        complete = len(found) == len(self.files) and all(
            self.bronze.has_archive(result.bronze_key) for result in found
        )
        if not complete or self._rows_there(conn, found[0].bronze_key) != found[0].rows_loaded:
            return []
        return found

    def _recorded(self, conn: psycopg.Connection, file: CsvFile) -> ImportResult | None:
        row = conn.execute(
            "select bronze_key, rows_read, rows_loaded, rows_rejected from ops.imports"
            " where import_id = %s",
            (self._id(file),),
        ).fetchone()
        if row is None:
            return None
        return replace(
            ImportResult(self.format, str(file.path), file.path.name, *row), already_imported=True
        )

    def _rows_there(self, conn: psycopg.Connection, key: str) -> int:
        query = {
            "raw.youtube_videos": "select count(*) from raw.youtube_videos"
            " where source = %s and bronze_key = %s",
            "raw.records": "select count(*) from raw.records where source = %s and bronze_key = %s",
        }[self.archive.table]
        row = conn.execute(query, (self.archive.source, key)).fetchone()
        return int(row[0]) if row else 0

    def _load(self, conn: psycopg.Connection) -> raw.Loaded:
        archive = self.archive
        shared = {
            "source": archive.source,
            "bronze_key": self._key(archive.file),
            "is_synthetic": False,
        }
        load = raw.Load(conn, archive.table, shared, archive=True)
        dead = raw.DeadLetters(conn, archive.source)
        self.tallies = {file.path: _Tally() for file in self.files}
        for chunk in archive.chunks():
            load.add_batch(chunk.rows.table)
            dead.add(self._letters(chunk))
            tally = self.tallies[chunk.file.path]
            tally.add(chunk)
            if self.progress:
                self.progress(str(chunk.file.path), tally.read, None)
        self._require_rows()
        for file in self.files:
            tally = self.tallies[file.path]
            counts = {"rows_read": tally.read, "rows_usable": tally.used}
            self.bronze.write_archive(self._key(file), file.path, file.sha256, counts)
        dead.finish()
        return load.finish()

    def _letters(self, chunk: Chunk) -> Iterator[raw.DeadLetter]:
        key = self._key(chunk.file)
        for item in chunk.rows.rejects:
            yield raw.DeadLetter(self.archive.kind, item.reason, item.payload, key, item.position)

    def _require_rows(self) -> None:
        for path, tally in self.tallies.items():
            if tally.used == 0:
                raise ArchiveError(
                    f"{path} has no usable row among {tally.read}{tally.first_reason};"
                    " check the file"
                )

    def _result(self, file: CsvFile, loaded: raw.Loaded) -> ImportResult:
        tally = self.tallies[file.path]
        is_main = file is self.archive.file
        return ImportResult(
            format=self.format,
            path=str(file.path),
            file_name=file.path.name,
            bronze_key=self._key(file),
            rows_read=tally.read,
            rows_loaded=loaded.rows if is_main else tally.used,
            rows_rejected=tally.rejected,
            rows_new=loaded.new if is_main else 0,
        )

    def _record(self, conn: psycopg.Connection, result: ImportResult, file: CsvFile) -> None:
        conn.execute(
            "insert into ops.imports (import_id, format, file_name, sha256, bronze_key, region,"
            " rows_read, rows_loaded, rows_rejected) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (import_id) do nothing",
            (
                self._id(file), self.format, file.path.name, file.sha256, result.bronze_key,
                self.archive.region, result.rows_read, result.rows_loaded, result.rows_rejected,
            ),
        )  # fmt: skip


def _log(results: Sequence[ImportResult]) -> None:
    for item in results:
        log.info(
            "%s: %s of %s rows loaded, %s rejected, %s repeated",
            item.file_name,
            item.rows_loaded,
            item.rows_read,
            item.rows_rejected,
            item.rows_duplicate,
        )
