"""Tokens: what we sign verifies, and nothing else does."""

from __future__ import annotations

import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.utils import base64url_decode, base64url_encode

from ml.exceptions import ConfigurationError
from ml.serving.security.callers import SCOPES
from ml.serving.security.tokens import AUDIENCE, Tokens, open_tokens
from ml.settings import Settings


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@cache
def private(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def tokens() -> Tokens:
    return Tokens(pem(private()), "issuer", 900)


def kid() -> str:
    return tokens().jwks()["keys"][0]["kid"]


def claims(**changes: object) -> dict[str, object]:
    now = int(time.time())
    return {
        "iss": "issuer", "aud": AUDIENCE, "sub": "key", "scope": "predict", "jti": "1",
        "iat": now, "exp": now + 60, **changes,
    }  # fmt: skip


def signed(
    body: dict[str, object], algorithm: str = "RS256", key: object = None, **header: str
) -> str:
    headers = {"kid": kid(), "typ": "at+jwt", **header}
    return jwt.encode(body, key or private(), algorithm=algorithm, headers=headers)  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.text(st.characters(codec="ascii"), min_size=1), st.sets(st.sampled_from(sorted(SCOPES))))
def test_what_is_issued_verifies(key_id: str, scopes: set[str]) -> None:
    found = tokens().verify(tokens().issue(key_id, frozenset(scopes)))
    assert (found.key_id, found.scopes) == (key_id, scopes)


@settings(deadline=None)
@given(st.data())
def test_a_changed_byte_anywhere_is_refused(data: st.DataObject) -> None:
    parts = tokens().issue("key", SCOPES).split(".")
    part = data.draw(st.integers(0, 2))
    raw = bytearray(base64url_decode(parts[part]))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    parts[part] = base64url_encode(bytes(raw)).decode()
    with pytest.raises(jwt.InvalidTokenError):
        tokens().verify(".".join(parts))


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}", fullmatch=True))
def test_any_text_is_refused_without_another_error(text: str) -> None:
    with pytest.raises(jwt.InvalidTokenError):
        tokens().verify(text)


def test_no_other_algorithm_is_taken() -> None:
    assert tokens().verify(signed(claims())).key_id == "key"
    public = (
        private()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    curve = ec.generate_private_key(ec.SECP256R1())
    # PyJWT refuses to sign with a PEM as an HMAC secret; an attacker does not.
    body = claims()
    header = {"alg": "HS256", "kid": kid(), "typ": "at+jwt"}
    start = b".".join(base64url_encode(json.dumps(part).encode()) for part in (header, body))
    hmac_signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    forged = start + b"." + base64url_encode(hmac_signature.sign(start, public))
    none = start.replace(
        base64url_encode(json.dumps(header).encode()),
        base64url_encode(json.dumps({**header, "alg": "none"}).encode()),
    )
    for token in (
        forged.decode(),
        none.decode() + ".",
        signed(body, "RS512"),
        signed(body, "PS256"),
        signed(body, "ES256", curve),
        signed(body, key=private(1)),
        signed(body, key=private(1), kid="another"),
        signed(body, typ="JWT"),
    ):
        with pytest.raises(jwt.InvalidTokenError):
            tokens().verify(token)


@pytest.mark.parametrize(
    "change",
    [
        {"exp": int(time.time()) - 1},
        {"nbf": int(time.time()) + 600},
        {"iat": int(time.time()) + 600},
        {"iss": "another"},
        {"aud": "another"},
        {"scope": ["predict"]},
        {"scope": None},
        {"sub": 7},
    ],
)
def test_claims_must_fit(change: dict[str, object]) -> None:
    with pytest.raises(jwt.InvalidTokenError):
        tokens().verify(signed(claims(**change)))


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "exp", "iat", "jti", "scope"])
def test_no_claim_may_be_missing(name: str) -> None:
    body = claims()
    del body[name]
    with pytest.raises(jwt.InvalidTokenError):
        tokens().verify(signed(body))


def test_a_token_that_was_good_is_refused_when_it_expires() -> None:
    token = tokens().issue("key", SCOPES, now=time.time() - 898)
    assert tokens().verify(token).scopes == tokens().verify(token).scopes == SCOPES
    time.sleep(2.1)
    with pytest.raises(jwt.ExpiredSignatureError):
        tokens().verify(token)


def test_a_file_of_two_keys_signs_with_the_first_and_knows_both() -> None:
    old, new = tokens(), Tokens(pem(private(1)) + pem(private()), "issuer", 900)
    assert new.verify(old.issue("key", SCOPES)).key_id == "key"
    with pytest.raises(jwt.InvalidTokenError):
        old.verify(new.issue("key", SCOPES))
    assert len(new.jwks()["keys"]) == 2


def test_the_key_set_is_public_alone() -> None:
    (key,) = tokens().jwks()["keys"]
    assert not {"d", "p", "q", "dp", "dq", "qi"} & key.keys()
    token = tokens().issue("key", SCOPES)
    assert jwt.decode(token, jwt.PyJWK(key), algorithms=["RS256"], audience=AUDIENCE)["jti"]


@pytest.mark.parametrize(
    "content",
    [
        b"no key",
        pem(private(0, 1024)),
        pem(ec.generate_private_key(ec.SECP256R1())),
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    ],
)
def test_an_unusable_key_file_is_named(content: bytes) -> None:
    with pytest.raises(ConfigurationError, match="YTEMPIRE_API_JWT_KEY_FILE"):
        Tokens(content, "issuer", 900)


def test_two_workers_make_one_key_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    wanted = Settings(state_dir=tmp_path / "state", app_env="embedded")
    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(open_tokens, [wanted, wanted])
    assert one is not None
    assert other is not None
    assert one.jwks() == other.jwks()
    (path,) = (tmp_path / "state").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_production_makes_up_no_key(tmp_path: Path) -> None:
    assert open_tokens(Settings(state_dir=tmp_path, app_env="production")) is None
    missing = Settings(app_env="production", api_jwt_key_file=tmp_path / "none.pem")
    with pytest.raises(ConfigurationError, match=r"none\.pem"):
        open_tokens(missing)
