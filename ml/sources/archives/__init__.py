"""Public archives: the files that `import-archive` reads, format by format."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ml.exceptions import ArchiveError
from ml.sources.archives import github_trending, hackernews, youtube_panel, youtube_trending
from ml.sources.archives.base import Archive, Chunk, Format
from ml.sources.archives.files import SUFFIXES
from ml.sources.archives.reading import CsvFile, Reject, read_header

__all__ = [
    "FORMATS",
    "Archive",
    "Chunk",
    "Reject",
    "discover_archives",
    "format_of",
    "open_archives",
]

log = logging.getLogger(__name__)

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (youtube_trending, youtube_panel, hackernews, github_trending)
}


def open_archives(
    format_name: str, paths: Sequence[Path], *, region: str | None = None, year: int | None = None
) -> list[Archive]:
    """Inspect every file and make archives of them; a folder stands for its files of that format.

    Args:
        format_name: a key of `FORMATS`.
        paths: files and folders.
        region: ISO country of files whose columns and name do not tell it.
        year: of dates without one; wins over the file name.

    Raises:
        ArchiveError: if one of them cannot be imported at all. Every file was read to its end
            then, so a damaged one is found before anything is loaded.
    """
    form = FORMATS.get(format_name)
    if form is None:
        raise ArchiveError(f"no format {format_name!r}; use one of {', '.join(FORMATS)}")
    if region is not None and not (len(region) == 2 and region.isascii() and region.isalpha()):
        raise ArchiveError(f"region {region!r} is not a two-letter country code such as US")
    if year is not None and not 2005 <= year <= 2100:
        raise ArchiveError(f"year {year} is not one of YouTube's; pass four digits such as 2017")
    files = [_inspect(form, path) for path in _expand(form, paths)]
    return form.open(files, region.upper() if region else None, year)


def _inspect(form: Format, path: Path) -> CsvFile:
    file = CsvFile.inspect(path)
    if not form.matches(file.header):
        found = ", ".join(file.header)[:120]
        raise ArchiveError(f"{path} is not {form.name}: it needs {form.expected}; found {found!r}")
    return file


def _expand(form: Format, paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        inside = [file for file in _csv_files(path) if _readable_format(file) is form]
        if path.is_dir() and not inside:
            raise ArchiveError(f"{path} holds no {form.name} file; it needs {form.expected}")
        found.extend(inside if path.is_dir() else [path])
    if not found:
        raise ArchiveError("no file to import; pass at least one path")
    return list(dict.fromkeys(found))


def discover_archives(data_dir: Path) -> list[tuple[str, list[Path]]]:
    """The archives below a folder, by what their headers say, in the order of `FORMATS`."""
    files = [(path, _readable_format(path)) for path in _csv_files(data_dir)]
    groups = [
        (name, [path for path, found in files if found is form]) for name, form in FORMATS.items()
    ]
    return [(name, paths) for name, paths in groups if paths]


def _csv_files(folder: Path) -> list[Path]:
    files = folder.rglob("*") if folder.is_dir() else ()
    return sorted(path for path in files if path.is_file() and path.name.endswith(SUFFIXES))


def format_of(path: Path) -> Format | None:
    """The format that a file's header is of, if it is one of ours.

    Raises:
        ArchiveError: if the file cannot be read.
    """
    header = read_header(path)
    return next((form for form in FORMATS.values() if form.matches(header)), None)


def _readable_format(path: Path) -> Format | None:
    try:
        return format_of(path)
    except ArchiveError as error:
        log.warning("left out: %s", error)
        return None
