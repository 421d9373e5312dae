"""Where the files of a video live: object storage, or a folder when there is none."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from pathlib import Path
from typing import Protocol

from ml.storage.objects import ObjectStore


class ArtifactStore(Protocol):
    """Files by key. A file appears only when it is complete."""

    def put_file(self, key: str, path: Path) -> None:
        """Store a file."""
        ...

    def get_file(self, key: str, path: Path) -> None:
        """Fetch a file to `path`; FileNotFoundError if there is none."""
        ...

    def put_text(self, key: str, text: str) -> None:
        """Store a text."""
        ...

    def get_text(self, key: str) -> str:
        """Read a text; FileNotFoundError if there is none."""
        ...


class LocalStore:
    """A folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put_file(self, key: str, path: Path) -> None:
        """Copy a file in."""
        target, partial = self._paths(key)
        shutil.copyfile(path, partial)
        partial.replace(target)

    def get_file(self, key: str, path: Path) -> None:
        """Copy a file out."""
        shutil.copyfile(self._root / key, path)

    def put_text(self, key: str, text: str) -> None:
        """Write a text."""
        target, partial = self._paths(key)
        partial.write_text(text, encoding="utf-8")
        partial.replace(target)

    def get_text(self, key: str) -> str:
        """Read a text."""
        return (self._root / key).read_text(encoding="utf-8")

    def _paths(self, key: str) -> tuple[Path, Path]:
        target = self._root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        return target, target.with_name(f".{target.name}.{uuid.uuid4().hex}")


class S3Store:
    """One bucket."""

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self._objects, self._bucket = objects, bucket

    def put_file(self, key: str, path: Path) -> None:
        """Upload a file."""
        self._objects.put_file(self._bucket, key, path)

    def get_file(self, key: str, path: Path) -> None:
        """Download a file."""
        self._objects.get_file(self._bucket, key, path)

    def put_text(self, key: str, text: str) -> None:
        """Upload a text."""
        self._objects.put_bytes(self._bucket, key, text.encode(), "text/plain; charset=utf-8")

    def get_text(self, key: str) -> str:
        """Read a text."""
        return self._objects.get_bytes(self._bucket, key).decode()


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
