"""Addresses of the platform's own files: the only ones that are ever read for a caller."""

from __future__ import annotations

import re

from ml.exceptions import RequestError
from ml.settings import Settings

_OF_JOB = re.compile(r"/ml/v1/jobs/([0-9a-f-]{36})/files/([A-Za-z0-9][A-Za-z0-9_.-]{0,63})")
_KEY = re.compile(r"(?:jobs|videos)(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+")


class ForeignAddressError(RequestError):
    """An address is none of the platform's own files."""


def content_key(address: str, settings: Settings) -> str:
    """The key in the content bucket that an address means.

    Args:
        address: a path that the API gave, or `s3://` and the content bucket.
        settings: name the bucket.

    Raises:
        ForeignAddressError: if it is anything else. Nothing is fetched to find out.
    """
    if match := _OF_JOB.fullmatch(address):
        return f"jobs/{match[1]}/{match[2]}"
    own = f"s3://{settings.bucket('content')}/"
    key = address.removeprefix(own)
    if address.startswith(own) and _KEY.fullmatch(key):
        return key
    raise ForeignAddressError(
        "files are read from this platform alone: a path that this API gave, or one that begins"
        f" with {own}jobs/ or {own}videos/"
    )
