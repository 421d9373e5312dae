"""From titles to topics with ids that stay the same from day to day."""

from __future__ import annotations

from ml.topics.assign import TopicCounts, assign_topics

__all__ = ["TopicCounts", "assign_topics"]
