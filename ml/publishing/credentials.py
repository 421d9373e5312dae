"""Refresh tokens of channels: encrypted in the database, never printed.

The key is `YTEMPIRE_CREDENTIALS_KEY`, a Fernet key; the embedded profile makes its own.
"""

from __future__ import annotations

import psycopg
from cryptography.fernet import Fernet, InvalidToken

from ml.exceptions import ConfigurationError, SourceUnavailableError
from ml.settings import Settings

PROVIDER = "youtube"


def encrypt(settings: Settings, text: str) -> bytes:
    """Encrypt a secret.

    Raises:
        ConfigurationError: if the key is missing or none.
    """
    return _fernet(settings).encrypt(text.encode())


def decrypt(settings: Settings, token: bytes) -> str:
    """Decrypt it again.

    Raises:
        ConfigurationError: if the key is missing, none, or another one.
    """
    try:
        return _fernet(settings).decrypt(bytes(token)).decode()
    except InvalidToken:
        raise ConfigurationError(
            "YTEMPIRE_CREDENTIALS_KEY is not the key that this was encrypted with; set the old key,"
            " or run `ytempire auth youtube` again"
        ) from None


def save_token(
    conn: psycopg.Connection,
    settings: Settings,
    channel_id: str,
    refresh_token: str,
    scopes: list[str],
    account: str,
) -> None:
    """Keep the refresh token of a channel, in place of an earlier one.

    Args:
        conn: of the database.
        settings: with the key.
        channel_id: ours.
        refresh_token: the secret.
        scopes: what it was granted for.
        account: id of the channel at the provider.
    """
    conn.execute(
        "insert into content.credentials (channel_id, provider, refresh_token, scopes, account)"
        " values (%s, %s, %s, %s, %s) on conflict (channel_id, provider) do update set"
        " refresh_token = excluded.refresh_token, scopes = excluded.scopes,"
        " account = excluded.account, created_at = now()",
        (channel_id, PROVIDER, encrypt(settings, refresh_token), scopes, account),
    )


def refresh_token(conn: psycopg.Connection, settings: Settings, channel_id: str) -> str:
    """The refresh token of a channel: its own, or that of the settings.

    Raises:
        SourceUnavailableError: if there is neither.
    """
    row = conn.execute(
        "select refresh_token from content.credentials where channel_id = %s and provider = %s",
        (channel_id, PROVIDER),
    ).fetchone()
    if row is not None:
        return decrypt(settings, row[0])
    if found := settings.credential("youtube_refresh_token"):
        return found
    raise SourceUnavailableError(
        f"channel {channel_id} has no YouTube account; run `ytempire auth youtube --channel"
        f" {channel_id}`"
    )


def _fernet(settings: Settings) -> Fernet:
    try:
        return Fernet(settings.require("credentials_key"))
    except ValueError as error:
        raise ConfigurationError(
            "YTEMPIRE_CREDENTIALS_KEY is no Fernet key (32 bytes in URL-safe base64)"
        ) from error
