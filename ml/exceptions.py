"""Exceptions, sorted by what the caller can do about them.

* `FatalError`: stop; a person has to change something. The message says what.
* `RetriableError`: try the same call again later.
* `SkippableError`: one record or item is bad; keep it as a dead letter and go on.
"""

from __future__ import annotations

from datetime import datetime


class YtempireError(Exception):
    """Base of every error raised on purpose by this package."""


class FatalError(YtempireError):
    """Retrying cannot help; the message names the fix."""


class ConfigurationError(FatalError):
    """A setting is missing, contradictory or unusable; the message names it."""


class ArchiveError(FatalError):
    """An archive file cannot be imported at all (unreadable, empty, unknown format)."""


class UnusableModelError(FatalError):
    """A registered model cannot be loaded by this code; train it anew."""


class CorruptArtifactError(UnusableModelError):
    """The files of a release are not those that were registered."""


class GateError(FatalError):
    """A data gate with severity *block* failed; nothing downstream may run."""


class SourceUnavailableError(FatalError):
    """A source cannot be used as configured, for example because its key is missing."""


class NotFoundError(SourceUnavailableError):
    """A provider has nothing at an address (404): not there yet, or no more."""


class QuotaExceededError(FatalError):
    """The call would exceed the provider quota that is left, until `resets_at` if it is known."""

    def __init__(self, message: str, *, resets_at: datetime | None = None) -> None:
        super().__init__(message)
        self.resets_at = resets_at


class TooFewRowsError(FatalError):
    """There are not enough rows yet to train and measure a model; more days of data bring them."""


class MissingFeatureError(FatalError):
    """A required feature has no value; it is never replaced by zero."""


class GenerationError(FatalError):
    """A stage of video generation produced nothing usable."""


class RequestError(GenerationError):
    """What a caller of the API asked for cannot be made; the message is for that caller."""


class RetriableError(YtempireError):
    """The same call may succeed later."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ServiceUnavailableError(RetriableError):
    """One of our own services (database, object storage, ...) does not answer."""


class ProviderError(RetriableError):
    """An outside provider failed (5xx, 429, timeout, truncated answer)."""


class RateLimitedError(ProviderError):
    """A provider asks for patience (429); it is well."""


class SkippableError(YtempireError):
    """One item is unusable; the rest is fine."""


class RecordError(SkippableError):
    """One record does not parse. `reason` goes to `ops.dead_letters`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
