"""Bronze: what a source sent, untouched, in object storage.

    raw/source=S/date=D/interval=START_END/run=RUN/page-00000.json.gz   one page and how it was got
    archive/format=F/sha256=H/NAME                                      a public archive, as it is

A manifest with counts and hashes is written last. With it a set of objects is complete and never
changes again; without it nobody reads them, and the next attempt writes them anew.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ml.exceptions import FatalError
from ml.settings import Settings, get_settings
from ml.sources.base import Interval, Page
from ml.storage.objects import ObjectStore

_MANIFEST = "manifest.json"
# How the names of a stream's micro-batches begin, in the place of a run.
STREAM_RUN = "stream-"
_STAMP = "%Y%m%dT%H%M%SZ"
_INTERVAL = re.compile(r"/interval=(\d{8}T\d{6}Z)_(\d{8}T\d{6}Z)/run=([^/]+)")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class StoredPage:
    """A page in bronze.

    Attributes:
        key: its object.
        page: as the source yielded it.
        is_synthetic: whether the simulated world sent it.
    """

    key: str
    page: Page
    is_synthetic: bool


class Bronze:
    """Reads and writes the bronze bucket."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or get_settings()
        self._bucket = self._settings.bucket("bronze")
        self._store = ObjectStore(self._settings)

    def write_interval(self, prefix: str, pages: Iterator[Page]) -> list[StoredPage]:
        """Store the pages of an interval, each as it arrives, and then the manifest."""
        stored, objects = [], []
        for number, page in enumerate(pages):
            item = StoredPage(f"{prefix}/page-{number:05d}.json.gz", page, self._is_synthetic(page))
            body = gzip.compress(_encode(item), mtime=0)
            self._store.put_bytes(self._bucket, item.key, body, "application/gzip")
            stored.append(item)
            objects.append(_entry(item.key, body))
        self._write_manifest(f"{prefix}/{_MANIFEST}", {"pages": len(objects), "objects": objects})
        return stored

    def read_interval(self, prefix: str) -> list[StoredPage] | None:
        """The pages of a complete interval; None if it is not complete.

        Raises:
            FatalError: if an object is not what the manifest says.
        """
        manifest = self._read_manifest(f"{prefix}/{_MANIFEST}")
        if manifest is None:
            return None
        return [_decode(entry["key"], self._verified(entry)) for entry in manifest["objects"]]

    def read_page(self, key: str) -> StoredPage:
        """One page by its object.

        Raises:
            FileNotFoundError: if it is not there.
        """
        return _decode(key, self._store.get_bytes(self._bucket, key))

    def complete_intervals(
        self, source: str, start: datetime | None = None, end: datetime | None = None
    ) -> list[str]:
        """Prefixes of the complete intervals of a source that start in `[start, end)`, by time."""
        found = []
        for folder in _folders(source, start, end):
            for key in self._store.list_keys(self._bucket, folder):
                prefix, _, name = key.rpartition("/")
                if name != _MANIFEST:
                    continue
                begun = parse_prefix(prefix)[1].start
                if (start is None or start <= begun) and (end is None or begun < end):
                    found.append(prefix)
        return sorted(found)

    def _verified(self, entry: Mapping[str, Any]) -> bytes:
        body = self._store.get_bytes(self._bucket, entry["key"])
        if hashlib.sha256(body).hexdigest() != entry["sha256"]:
            raise FatalError(
                f"s3://{self._bucket}/{entry['key']} is not what its manifest says; restore it,"
                " or delete its manifest to fetch the interval again"
            )
        return body

    def has_archive(self, key: str) -> bool:
        """Whether an archive file is complete in bronze."""
        return self._store.exists(self._bucket, f"{key}.{_MANIFEST}")

    def write_archive(self, key: str, path: Path, sha256: str, counts: Mapping[str, int]) -> None:
        """Store an archive file byte for byte, and then its manifest; nothing if it is there."""
        if self.has_archive(key):
            return
        self._store.put_file(self._bucket, key, path)
        entry = {"key": key, "bytes": path.stat().st_size, "sha256": sha256}
        self._write_manifest(f"{key}.{_MANIFEST}", {"counts": dict(counts), "objects": [entry]})

    def _write_manifest(self, key: str, content: Mapping[str, Any]) -> None:
        body = json.dumps(content, indent=1, sort_keys=True).encode()
        self._store.put_bytes(self._bucket, key, body, "application/json")

    def _read_manifest(self, key: str) -> dict[str, Any] | None:
        try:
            manifest: dict[str, Any] = json.loads(self._store.get_bytes(self._bucket, key))
        except FileNotFoundError:
            return None
        return manifest

    def _is_synthetic(self, page: Page) -> bool:
        world = self._settings.world_url
        return bool(world) and str(world).rstrip("/") in page.request


def interval_prefix(source: str, interval: Interval, run_id: str) -> str:
    """Where the pages of one run for one interval lie."""
    start, end = interval.start.astimezone(UTC), interval.end.astimezone(UTC)
    return (
        f"{_source_prefix(source)}/date={start:%Y-%m-%d}"
        f"/interval={start:{_STAMP}}_{end:{_STAMP}}/run={_safe(run_id)}"
    )


def parse_prefix(prefix: str) -> tuple[str, Interval, str]:
    """The prefix of an interval, its interval, and its run as the prefix spells it.

    Raises:
        FatalError: if it is not the prefix of an interval.
    """
    found = _INTERVAL.search(prefix)
    if found is None:
        raise FatalError(f"{prefix} in bronze is not an interval; move it elsewhere")
    first, last = (
        datetime.strptime(text, _STAMP).replace(tzinfo=UTC) for text in found.group(1, 2)
    )
    # Names know whole seconds; a stream's micro-batch may begin and end within one.
    return prefix, Interval(first, max(last, first + timedelta(seconds=1))), found[3]


def _folders(source: str, start: datetime | None, end: datetime | None) -> Iterator[str]:
    """Where the intervals of a span lie: a folder a day, or all of them."""
    folder = f"{_source_prefix(source)}/"
    if start is None or end is None:
        yield folder
        return
    first, last = start.astimezone(UTC), end.astimezone(UTC)
    for day in range((last - first).days + 2):
        yield f"{folder}date={(first + timedelta(days=day)).date()}/"


def _source_prefix(source: str) -> str:
    return f"raw/source={_safe(source)}"


def archive_key(format_name: str, sha256: str, name: str) -> str:
    """Where an archive file lies."""
    return f"archive/format={_safe(format_name)}/sha256={sha256}/{_safe(name)}"


def _safe(name: str) -> str:
    return _UNSAFE.sub("-", name)


def _entry(key: str, body: bytes) -> dict[str, Any]:
    return {"key": key, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def _encode(item: StoredPage) -> bytes:
    page = item.page
    try:
        body, encoding = page.body.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        body, encoding = base64.b64encode(page.body).decode("ascii"), "base64"
    content = {
        "stream": page.stream,
        "region": page.region,
        "number": page.number,
        "request": page.request,
        "fetched_at": page.fetched_at.astimezone(UTC).isoformat(),
        "validators": dict(page.validators),
        "is_synthetic": item.is_synthetic,
        "body_encoding": encoding,
        "body": body,
    }
    return json.dumps(content, ensure_ascii=False).encode()


def _decode(key: str, data: bytes) -> StoredPage:
    content = json.loads(gzip.decompress(data))
    is_text = content["body_encoding"] == "utf-8"
    body = content["body"].encode() if is_text else base64.b64decode(content["body"])
    page = Page(
        stream=content["stream"],
        region=content["region"],
        number=content["number"],
        body=body,
        request=content["request"],
        fetched_at=datetime.fromisoformat(content["fetched_at"]),
        validators=content.get("validators", {}),
    )
    return StoredPage(key, page, content["is_synthetic"])
