"""Headers and keys: anything may come in; what goes on is one clean credential."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.exceptions import ConfigurationError
from ml.serving.security.callers import ROLES, SCOPES, check_names, granted
from ml.serving.security.credentials import Credential, read_basic, read_credential
from ml.serving.security.errors import ApiError
from ml.serving.security.keys import hash_secret, split_key

NAMES = st.sampled_from([b"x-api-key", b"authorization", b"cookie", b"x-api-key2"])
VALUES = st.one_of(
    st.binary(max_size=300),
    st.from_regex(rb"[Bb]earer [\w.+/=~-]*", fullmatch=True),
    st.from_regex(rb"ytk_[0-9a-z]{12}_[A-Za-z0-9_-]{43}", fullmatch=True),
)


def answer(read: Callable[[Any], Any], given: object) -> Any:
    try:
        return read(given)
    except ApiError as error:
        return error.status_code


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=4))
def test_any_headers_give_one_credential_or_a_clean_refusal(
    headers: list[tuple[bytes, bytes]],
) -> None:
    ours = [(name, value) for name, value in headers if name in (b"x-api-key", b"authorization")]
    found = answer(read_credential, headers)
    if isinstance(found, int):
        assert found == (400 if len(ours) > 1 else 401)
        return
    ((name, value),) = ours
    assert found.kind == ("key" if name == b"x-api-key" else "token")
    assert found.value.isascii()
    assert value.endswith(found.value.encode())


@pytest.mark.parametrize(
    "value", [b"", b"Bearer", b"Bearer ", b"Bearer a b", b"Basic YTpi", b"Bearer a,b", b"a" * 9000]
)
def test_malformed_authorization_is_refused(value: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        read_credential([(b"authorization", value)])
    assert caught.value.status_code == 401


def test_the_scheme_is_not_case_sensitive() -> None:
    assert read_credential([(b"authorization", b"bEARER abc")]) == Credential("token", "abc")


@settings(deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_basic_headers_give_back_what_was_encoded(key_id: str, secret: str) -> None:
    pair = f"{quote_plus(key_id)}:{quote_plus(secret)}".encode()
    if not (key_id.isprintable() and secret.isprintable()):
        return
    assert read_basic(f"Basic {base64.b64encode(pair).decode()}") == (key_id, secret)


@settings(deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"Basic [A-Za-z0-9+/]{0,40}={0,2}", fullmatch=True))
def test_any_other_basic_header_is_refused_cleanly(text: str) -> None:
    found = answer(read_basic, text)
    if found != 401:
        _, _, encoded = text.partition(" ")
        assert b":" in base64.b64decode(encoded)


@settings(deadline=None)
@given(st.text())
def test_every_presented_text_has_an_id_and_a_hash(text: str) -> None:
    key_id, digest = split_key(text)
    assert len(key_id) == 12
    assert len(digest) == 32
    assert split_key(text) == (key_id, digest)


@settings(deadline=None)
@given(
    st.from_regex(r"[0-9a-z]{12}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9_-]{43}", fullmatch=True),
)
def test_our_keys_are_split_where_they_were_joined(key_id: str, secret: str) -> None:
    assert split_key(f"ytk_{key_id}_{secret}") == (key_id, hash_secret(secret))
    assert split_key(f"ytk_{key_id}_{secret} ")[0].startswith("ext")


def test_roles_bundle_scopes_and_unknown_names_grant_nothing() -> None:
    assert granted(["admin"], []) == SCOPES
    assert granted(["monitor", "root"], ["train", "everything"]) == ROLES["monitor"] | {"train"}
    for roles, scopes in (({"root"}, set()), ({"admin"}, {"all"}), (set(), set())):
        with pytest.raises(ConfigurationError):
            check_names(roles, scopes)
