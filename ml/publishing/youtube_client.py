"""YouTube through Google's own client: services, quota booked before the call, errors.

Costs as on https://developers.google.com/youtube/v3/determine_quota_cost and in the design: 100
videos.insert a day in a pool of their own; of the 10,000 units thumbnails.set costs 50, captions
400, an update 50, a list 1.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ml.exceptions import (
    FatalError,
    ProviderError,
    QuotaExceededError,
    RateLimitedError,
    SourceUnavailableError,
)
from ml.settings import Settings
from ml.sources.quota import Meter, Quota
from ml.sources.youtube_data import PACIFIC, UNITS

UPLOADS = Quota("youtube", per_day=100, pool="upload", zone=PACIFIC)
LIST, UPDATE, THUMBNAIL, CAPTIONS = 1, 50, 50, 400  # units
_RETRIES = 3
_DAILY = frozenset({"quotaExceeded", "dailyLimitExceeded", "uploadLimitExceeded"})
_PATIENCE = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})
_SUSPENDED = frozenset({
    "authenticatedUserAccountSuspended", "authenticatedUserAccountClosed", "channelSuspended",
    "channelClosed", "accountDelegationForbidden",
})  # fmt: skip


class AccountSuspendedError(FatalError):
    """The account behind a channel is closed or suspended."""


class YouTube:
    """The Data, Analytics and Reporting APIs as the owner of one channel.

    Attributes:
        now: the provider's clock, as its last answer told it; None before the first.
    """

    def __init__(self, settings: Settings, refresh_token: str, meter: Meter) -> None:
        self._settings = settings
        self._meter = meter
        self._credentials = _credentials(settings, refresh_token)
        self._services: dict[str, Any] = {}
        self.now: datetime | None = None

    @property
    def data(self) -> Any:
        """The YouTube Data API v3."""
        return self._service("youtube", "v3")

    @property
    def analytics(self) -> Any:
        """The YouTube Analytics API v2."""
        return self._service("youtubeAnalytics", "v2")

    @property
    def reporting(self) -> Any:
        """The YouTube Reporting API v1."""
        return self._service("youtubereporting", "v1")

    def book(self, quota: Quota, units: int) -> None:
        """Book units before they are spent.

        Raises:
            QuotaExceededError: if fewer are left.
        """
        self._meter.spend(quota, units, self.now)

    def call(self, request: Any, units: int = 0) -> Any:
        """Book and make a call; server errors are tried again a few times.

        Raises:
            QuotaExceededError: if the quota of the day is used up.
            RateLimitedError: if the provider asks for patience.
            ProviderError: if it fails or does not answer.
            FatalError: if it refuses.
        """
        if units:
            self.book(UNITS, units)
        request.add_response_callback(self._look_at_clock)
        return whole(translated(lambda: request.execute(num_retries=_RETRIES)))

    def _look_at_clock(self, response: Any) -> None:
        if date := response.get("date"):
            self.now = parsedate_to_datetime(date).astimezone(UTC)

    def _service(self, name: str, version: str) -> Any:
        if name not in self._services:
            from google_auth_httplib2 import AuthorizedHttp
            from googleapiclient.discovery import build_from_document
            from googleapiclient.discovery_cache import get_static_doc
            from googleapiclient.http import build_http

            document = json.loads(get_static_doc(name, version))
            # Here and not by the option `api_endpoint`, which uploads do not heed.
            document["rootUrl"] = self._settings.provider_url(document["rootUrl"])
            http = build_http()
            if self._settings.uses_world:
                http.proxy_info = None
            self._services[name] = build_from_document(
                document, http=AuthorizedHttp(self._credentials, http=http)
            )
        return self._services[name]


def _credentials(settings: Settings, refresh_token: str) -> Any:
    from google.oauth2.credentials import Credentials

    return Credentials(  # type: ignore[no-untyped-call]
        token=None,
        refresh_token=refresh_token,
        token_uri=settings.provider_url("https://oauth2.googleapis.com/token"),
        client_id=settings.require_credential("youtube_client_id"),
        client_secret=settings.require_credential("youtube_client_secret"),
        # None: a refresh asks for what was granted; for more than that Google refuses it.
        scopes=None,
    )


def translated(call: Callable[[], Any]) -> Any:
    """Make a call of Google's client, with its errors in our terms.

    Raises:
        QuotaExceededError: if the quota of the day is used up.
        RateLimitedError: if the provider asks for patience.
        ProviderError: if it fails or does not answer.
        SourceUnavailableError: if it does not take the credentials.
        AccountSuspendedError: if the account is suspended or closed.
        FatalError: if it refuses otherwise.
    """
    from http.client import HTTPException

    import httplib2
    from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
    from googleapiclient.errors import HttpError

    try:
        return call()
    except HttpError as error:
        raise _refusal(error) from error
    except RefreshError as error:
        if error.retryable:
            raise ProviderError(f"youtube: no access token: {error.args[0]}") from error
        raise SourceUnavailableError(
            f"youtube: the refresh token is not taken ({error.args[0]}); run `ytempire auth"
            " youtube` again"
        ) from error
    except (TransportError, httplib2.HttpLib2Error, OSError) as error:
        raise ProviderError(f"youtube does not answer: {error}") from error
    except (HTTPException, UnicodeDecodeError) as error:
        raise ProviderError(f"youtube's answer breaks off: {error}") from error
    except GoogleAuthError as error:
        raise SourceUnavailableError(f"youtube: {error}") from error


def whole(answer: Any) -> dict[str, Any]:
    """The answer, if it is a document: Google's client hands out as it came what is no JSON.

    Raises:
        ProviderError: if it breaks off.
    """
    if not isinstance(answer, dict):
        raise ProviderError("youtube's answer breaks off")
    return answer


def reason_of(error: Any) -> str:
    """Google's word for why it refuses, empty without one."""
    try:
        errors = json.loads(getattr(error, "content", ""))["error"]["errors"]
        return str(errors[0]["reason"])
    except (ValueError, KeyError, TypeError, IndexError):
        return ""


def _refusal(error: Any) -> Exception:
    status, reason = int(error.resp.status), reason_of(error)
    text = f"youtube answers {status} {reason}: {str(error.reason)[:200]}"
    if reason in _DAILY:
        return QuotaExceededError(text)
    if status == 429 or reason in _PATIENCE:
        after = str(error.resp.get("retry-after", ""))
        return RateLimitedError(text, retry_after_s=float(after) if after.isdigit() else None)
    if status >= 500:
        return ProviderError(text)
    if reason in _SUSPENDED:
        return AccountSuspendedError(text)
    if status == 401:
        return SourceUnavailableError(f"{text}; run `ytempire auth youtube` again")
    return FatalError(text)
