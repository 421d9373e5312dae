"""Which streams there are, and whether they can be used.

Light, because whatever lists services imports it: it needs no consumer.
"""

from __future__ import annotations

from collections.abc import Callable

from ml.settings import Settings
from ml.sources.base import Source
from ml.sources.hackernews import HackerNewsSource
from ml.sources.x_posts import XPostsSource

# The service of each source that has a stream.
SERVICES = {"hackernews": "stream-hackernews", "x_posts": "stream-x"}
_SOURCES: dict[str, Callable[[Settings], Source]] = {
    "hackernews": HackerNewsSource,
    "x_posts": XPostsSource,
}


def unavailable(source: str, settings: Settings) -> str:
    """What keeps a stream from being used as configured, empty if nothing does."""
    if settings.data_dir is not None:
        return "what a stream brings must not mix with archives; unset YTEMPIRE_DATA_DIR"
    return _SOURCES[source](settings).availability().reason
