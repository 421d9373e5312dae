"""What a stream is: something that can be looked at again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ml.sources.base import Page, Source
from ml.streaming.tables import FeatureTable


@dataclass(frozen=True)
class Look:
    """What one look has found.

    Attributes:
        seen: to be given to the next look, once this one is safe; tells a list from the next.
        pages: as they came; the source parses them.
    """

    seen: str
    pages: tuple[Page, ...]


class Stream(Protocol):
    """A source that says what has changed.

    Attributes:
        every_s: seconds from one look to the next.
        table: of the features that follow from what is found.
    """

    every_s: float
    table: FeatureTable

    @property
    def source(self) -> Source:
        """Parses what is found."""
        ...

    def look(self, seen: str) -> Look | None:
        """What has changed, or None if nothing has since `seen` (empty at first).

        Raises:
            ProviderError: if the provider fails.
            SourceUnavailableError: if it refuses the request.
        """
        ...
