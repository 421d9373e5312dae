"""Sentence embeddings of texts, each made once on a machine."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import numpy.typing as npt

from ml.settings import Settings
from ml.topics.embeddings import MODEL_VERSION, WIDTH, encode

_TABLE = "create table if not exists vectors (key blob primary key, vector blob) without rowid"
_CHUNK = 2048  # a killed run loses at most so many


def embeddings(texts: Sequence[str], settings: Settings) -> npt.NDArray[np.float32]:
    """Sentence embeddings, shape (n, 384), kept in the state folder by a hash of each text.

    They are most of the time of a training, and the texts of a run are mostly those of the last.
    """
    if not texts:
        return np.zeros((0, WIDTH), dtype=np.float32)
    path = settings.state_dir / "cache" / "quality" / "embeddings.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = {text: hashlib.sha256(f"{MODEL_VERSION}\n{text}".encode()).digest() for text in texts}
    with closing(sqlite3.connect(path, timeout=60)) as store:
        store.execute(_TABLE)
        found = {text: _read(store, key) for text, key in keys.items()}
        missing = [text for text, vector in found.items() if vector is None]
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            made = dict(zip(chunk, encode(chunk), strict=True))
            rows = [(keys[text], vector.tobytes()) for text, vector in made.items()]
            with store:
                store.executemany("insert or ignore into vectors values (?, ?)", rows)
            found.update(made)
    return np.stack([found[text] for text in texts])  # type: ignore[misc]  # none is missing now


def _read(store: sqlite3.Connection, key: bytes) -> npt.NDArray[np.float32] | None:
    row = store.execute("select vector from vectors where key = ?", (key,)).fetchone()
    return np.frombuffer(row[0], dtype=np.float32) if row else None
