"""Topics for viewer segments: the last batch of the champion of `audience_preference`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ml.serving.schemas import RecommendAnswer, Recommendation, SegmentTopics
from ml.serving.served import Served
from ml.settings import Settings
from ml.storage.postgres import query, transaction

NAME = "audience_preference"
_BATCH = """
select distinct on (entity_id) entity_id, as_of, prediction -> 'topics' as topics
from ml.model_predictions
where model_id = %s and prediction_type = %s and entity_id = any(%s)
order by entity_id, as_of desc
"""


@dataclass(frozen=True)
class Popular:
    """What the model gives a segment without a history: topics by how many segments took to them.

    Attributes:
        topics: id and number of segments in training, the most popular first.
    """

    topics: tuple[tuple[str, float], ...]

    def best(self, k: int, among: Collection[str]) -> list[Recommendation]:
        """The `k` most popular of those that lists show now."""
        chosen = [(topic, score) for topic, score in self.topics if topic in among][:k]
        return [
            Recommendation(topic_id=topic, rank=rank, score=score)
            for rank, (topic, score) in enumerate(chosen, start=1)
        ]


def popular(model: Any) -> Popular:
    """The popular topics of a loaded `ml.audience.model.AudienceModel`."""
    pairs = zip(model.items, map(float, model.counts), strict=True)
    taken = [(topic, count) for topic, count in pairs if count > 0]
    return Popular(tuple(sorted(taken, key=lambda pair: (-pair[1], pair[0]))))


def recommendations(
    segments: Sequence[str], k: int, served: Served, current: Collection[str], settings: Settings
) -> RecommendAnswer:
    """The `k` best topics of each segment; those that the batch does not hold get popular ones.

    Args:
        segments: ids as `US/gaming/en`.
        k: how many topics a segment.
        served: the champion, whose `run` is a `Popular`.
        current: ids of topics that lists show now.
        settings: where the batch lies.

    Raises:
        ServiceUnavailableError: if Postgres does not answer.
    """
    with transaction(settings.require("database_url")) as conn:
        conn.execute("set local statement_timeout = '5s'")
        rows = query(conn, _BATCH, (served.row_id, NAME, list(segments)))
    known = {row["entity_id"]: row for row in rows}
    answers = []
    for segment in segments:
        row = known.get(segment)
        topics = served.run.best(k, current) if row is None else row["topics"][:k]
        answers.append(
            SegmentTopics(
                segment_id=segment,
                source="popularity" if row is None else "batch",
                as_of=None if row is None else row["as_of"],
                topics=topics,
            )
        )
    return RecommendAnswer(segments=answers, model=NAME, model_version=served.release.version)
