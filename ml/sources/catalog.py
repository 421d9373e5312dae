"""Which sources there are. A new source is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ml.exceptions import ConfigurationError
from ml.settings import Settings, get_settings
from ml.sources.base import Source
from ml.sources.hackernews import HackerNewsSource
from ml.sources.youtube import YouTubeSource

_SOURCES: dict[str, Callable[[Settings], Source]] = {
    YouTubeSource.id: YouTubeSource,
    HackerNewsSource.id: HackerNewsSource,
}


def get_source(source_id: str, settings: Settings | None = None) -> Source:
    """Build a source by its id.

    Raises:
        ConfigurationError: if there is none of that id; the message lists those there are.
    """
    build = _SOURCES.get(source_id)
    if build is None:
        raise ConfigurationError(f"no source {source_id!r}; there are: {', '.join(_SOURCES)}")
    return build(settings or get_settings())


def list_sources(settings: Settings | None = None) -> list[dict[str, Any]]:
    """Id, family, availability with the reason if not, and quota of every source."""
    return [_listed(get_source(source_id, settings)) for source_id in _SOURCES]


def _listed(source: Source) -> dict[str, Any]:
    state = source.availability()
    return {
        "id": source.id,
        "family": source.family,
        "available": state.available,
        "reason": state.reason,
        "quota": getattr(source, "quota", None),
    }
