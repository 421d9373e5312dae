"""Tokens are unreadable without the key, and the error says what to do; consent comes through."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from ml.exceptions import ConfigurationError
from ml.publishing import consent
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


def test_a_connection_that_says_nothing_keeps_no_answer_out(monkeypatch):
    monkeypatch.setattr(consent._Handler, "timeout", consent._Handler.timeout / 20)
    with consent._Loopback() as server, ThreadPoolExecutor() as pool:
        address = ("127.0.0.1", server.server_port)
        with socket.create_connection(address):
            code = pool.submit(consent._await_code, server, "s", 5)
            with socket.create_connection(address, timeout=3) as browser:
                browser.sendall(b"GET /?state=s&code=c HTTP/1.0\r\n\r\n")
                assert browser.recv(99).startswith(b"HTTP/1.0 200")
            assert code.result(5) == "c"


def test_a_grant_does_not_show_its_token():
    assert "secret" not in repr(Grant("secret", ["a"]))
