"""From titles to topics with ids that stay the same from day to day."""

from __future__ import annotations

from ml.topics.assign import TopicCounts, assign_topics
from ml.topics.store import current_topic

__all__ = ["TopicCounts", "assign_topics", "current_topic"]
