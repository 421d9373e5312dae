"""Tokens are unreadable without the key, and the error says what to do."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from ml.exceptions import ConfigurationError
from ml.publishing.consent import Grant
from ml.publishing.credentials import decrypt, encrypt
from ml.settings import Settings


def settings(key: str | None) -> Settings:
    return Settings(credentials_key=SecretStr(key) if key else None)


def test_a_token_is_encrypted_and_back():
    own = settings(Fernet.generate_key().decode())
    kept = encrypt(own, "1//token")
    assert b"token" not in kept
    assert decrypt(own, kept) == "1//token"


def test_another_key_says_what_to_do():
    kept = encrypt(settings(Fernet.generate_key().decode()), "1//token")
    with pytest.raises(ConfigurationError, match="ytempire auth youtube"):
        decrypt(settings(Fernet.generate_key().decode()), kept)


@pytest.mark.parametrize("key", ["short", None])
def test_a_key_that_is_none_is_named(key):
    with pytest.raises(ConfigurationError, match="YTEMPIRE_CREDENTIALS_KEY"):
        encrypt(settings(key), "x")


def test_a_grant_does_not_show_its_token():
    assert "secret" not in repr(Grant("secret", ["a"]))
