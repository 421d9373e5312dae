"""Has the channel said this before? A near-duplicate search, and no copyright clearance."""

from __future__ import annotations

from ml.generation.checks import Check
from ml.generation.embedding import MODEL, embed
from ml.generation.gate_reference import percentile
from ml.settings import Settings
from ml.storage.postgres import connect

_VERSION = f"cosine-to-past-scripts/{MODEL}/1"


def novelty_check(video_id: str, text: str, settings: Settings) -> Check:
    """Compare a script with those of all other videos that are recorded.

    Raises:
        ServiceUnavailableError: if there is a database and it does not answer.
    """
    if settings.database_url is None:
        return _check(None, "there is no database of past scripts")
    vector = "[" + ",".join(f"{value:.7f}" for value in embed([text])[0]) + "]"
    with connect(settings.database_url) as conn:
        row = conn.execute(
            "select content_id, 1 - (embedding <=> %s::vector) from ml.content_embeddings"
            " where content_type = 'video_script' and model_version = %s and content_id <> %s"
            " order by embedding <=> %s::vector limit 1",
            (vector, MODEL, video_id, vector),
        ).fetchone()
    if row is None:
        return _check(None, "there are no past scripts yet")
    return _check(1 - float(row[1]), f"the nearest one is that of {row[0]}")


def _check(novelty: float | None, reason: str) -> Check:
    score = None if novelty is None else percentile("novelty", novelty)
    value = None if novelty is None else round(novelty, 4)
    return Check(
        "near_duplicate_of_past", "content", "heuristic", _VERSION, value,
        "percentile among edited copies of one script", score is None or score >= 0.6, score,
        reason,
    )  # fmt: skip
