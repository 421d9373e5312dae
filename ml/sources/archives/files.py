"""The bytes of an archive file: whatever they are compressed with, decoded to lines of text."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import logging
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from ml.exceptions import ArchiveError

log = logging.getLogger(__name__)

SUFFIXES = (".csv", ".csv.gz", ".csv.xz", ".csv.bz2", ".csv.zip", ".zip")

_BLOCK = 1 << 20
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile)
# Zip files may be encrypted (RuntimeError) or use a method Python lacks (NotImplementedError).
_UNREADABLE = (OSError, RuntimeError, NotImplementedError)
_MULTIBYTE_LEADS = bytes(range(0xC2, 0xF5))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what a broken file raises into one line that says what to do.

    Raises:
        ArchiveError: if the file is missing, unreadable or damaged.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise ArchiveError(f"{path} does not exist; check the path") from error
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise ArchiveError(f"{path} is damaged ({reason}); download it again") from error
    except _UNREADABLE as error:
        raise ArchiveError(f"{path} cannot be read ({error}); check the file") from error


@contextmanager
def decompressed(path: Path) -> Iterator[IO[bytes]]:
    """Open a file by its content, not its name: gzip, xz, bzip2, zip of one file, or plain."""
    with path.open("rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        if magic.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=raw) as stream:
                yield cast("IO[bytes]", stream)
        elif magic.startswith(b"\xfd7zXZ\x00"):
            with lzma.open(raw) as stream:
                yield stream
        elif magic.startswith(b"BZh"):
            with bz2.open(raw) as stream:
                yield stream
        elif magic.startswith(b"PK\x03\x04"):
            with (
                zipfile.ZipFile(raw) as archive,
                archive.open(_member(path, archive)) as stream,
            ):
                yield stream
        else:
            yield raw


def _member(path: Path, archive: zipfile.ZipFile) -> str:
    names = [
        name
        for name in archive.namelist()
        if not name.endswith("/") and not name.startswith("__MACOSX/")
    ]
    if len(names) != 1:
        raise ArchiveError(f"{path} holds {len(names)} files; unpack it and pass the CSV files")
    return names[0]


def lines(stream: IO[bytes], encoding: str) -> Iterator[str]:
    """Decode a stream to lines with their ends; what does not decode becomes U+FFFD."""
    text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
    for line in text:
        # Postgres holds no NUL in text.
        yield line.replace("\0", "\ufffd") if "\0" in line else line


def sha256_of(path: Path) -> str:
    """Hash of the file's bytes as they lie on disk."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def detect_encoding(path: Path) -> str:
    """UTF-8, unless more of its characters are broken as UTF-8 than whole.

    Old archives of several countries are UTF-8 with a few broken bytes: they stay UTF-8, and the
    broken bytes become U+FFFD. A file in Latin-1 has hardly a whole multi-byte character; it is
    read as cp1252, its superset that has the typographic quotes.
    """
    broken = leads = 0
    for block in _whole_characters(path):
        if not block.isascii():
            broken += block.decode("utf-8", "replace").count("\ufffd")
            leads += len(block) - len(block.translate(None, _MULTIBYTE_LEADS))
    if broken > max(0, leads - broken):
        return "cp1252"
    if broken:
        log.warning("%s: %s broken characters become U+FFFD", path.name, broken)
    return "utf-8-sig"


def _whole_characters(path: Path) -> Iterator[bytes]:
    """The decompressed file in blocks that cut no character in two.

    What is left of a character that the end of the file cuts is dropped: it says nothing about the
    encoding.
    """
    pending = b""
    with decompressed(path) as stream:
        while block := stream.read(_BLOCK):
            data = pending + block
            cut = _incomplete_tail(data)
            pending = data[len(data) - cut :]
            yield data[: len(data) - cut]


def _incomplete_tail(data: bytes) -> int:
    """How many bytes at the end belong to a character that may go on."""
    for back in range(1, min(4, len(data) + 1)):
        if data[-back] >= 0xC0:
            return back
        if data[-back] < 0x80:
            return 0
    return 0
