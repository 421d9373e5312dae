"""dbt's documentation as one page in the reports bucket."""

from __future__ import annotations

import hashlib
from datetime import datetime

from ml.settings import Settings, get_settings
from ml.storage.objects import ObjectStore
from ml.warehouse.transform import DBT_PROJECT_DIR, run_dbt

DOCS_KEY = "dbt/index.html"
_OF_PROJECT = "dbt/project.sha256"
_SUFFIXES = frozenset({".sql", ".yml", ".md"})


def publish_docs(as_of: datetime, settings: Settings | None = None) -> bool:
    """Write the models' pages with their lineage, unless they are those of this project already.

    Returns:
        Whether anything was written.

    Raises:
        FatalError: if dbt fails.
        ServiceUnavailableError: if Postgres or object storage does not answer.
    """
    settings = settings or get_settings()
    store, bucket = ObjectStore(settings), settings.bucket("reports")
    digest = _digest()
    try:
        if store.get_bytes(bucket, _OF_PROJECT) == digest:
            return False
    except FileNotFoundError:
        pass
    done = run_dbt(["docs", "generate", "--static"], as_of=as_of, settings=settings)
    page = (done.target_path / "static_index.html").read_bytes()
    store.put_bytes(bucket, DOCS_KEY, page, "text/html; charset=utf-8")
    store.put_bytes(bucket, _OF_PROJECT, digest, "text/plain")
    return True


def _digest() -> bytes:
    files = (path for path in DBT_PROJECT_DIR.rglob("*") if path.suffix in _SUFFIXES)
    found = hashlib.sha256()
    for path in sorted(files):
        found.update(str(path.relative_to(DBT_PROJECT_DIR)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest().encode()
