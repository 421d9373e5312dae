"""Access tokens: short-lived JWT (RFC 9068), signed with RS256 and nothing else.

Each token is for one key of the table and dies with it. A file of several private keys rotates
them: the first signs, all verify.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from jwt.utils import base64url_encode

from ml.exceptions import ConfigurationError
from ml.settings import Settings

AUDIENCE = "ytempire-api"
_ALGORITHM = "RS256"
_TYPE = "at+jwt"
_BITS = 3072
_FEWEST_BITS = 2048
_MOST_KNOWN = 10_000
_PEM = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----", re.S)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says: whose it is and what it may do at most."""

    key_id: str
    scopes: frozenset[str]


class Tokens:
    """Issues and verifies tokens.

    Raises:
        ConfigurationError: if `pem` holds no usable RSA key of at least 2048 bits.
    """

    def __init__(self, pem: bytes, issuer: str, lifetime_s: int) -> None:
        self._private = [_load(block) for block in _PEM.findall(pem)]
        if not self._private:
            raise ConfigurationError("YTEMPIRE_API_JWT_KEY_FILE holds no private key in PEM")
        self._public = {_thumbprint(key): key.public_key() for key in self._private}
        self._signing_id = _thumbprint(self._private[0])
        self._issuer = issuer
        self._verified: dict[str, tuple[float, Claims]] = {}
        self.lifetime_s = lifetime_s

    def issue(self, key_id: str, scopes: frozenset[str], now: float | None = None) -> str:
        """A token for a key; `now` is in seconds since 1970."""
        issued = int(time.time() if now is None else now)
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": key_id,
            "client_id": key_id,
            "scope": " ".join(sorted(scopes)),
            "iat": issued,
            "exp": issued + self.lifetime_s,
            "jti": secrets.token_hex(16),
        }
        headers = {"kid": self._signing_id, "typ": _TYPE}
        return jwt.encode(claims, self._private[0], algorithm=_ALGORITHM, headers=headers)

    def verify(self, token: str) -> Claims:
        """Check signature, times, issuer, audience and type of a token.

        The header only chooses among our own keys; it decides no algorithm. The signature of one
        and the same token is checked once, its expiry always.

        Raises:
            jwt.InvalidTokenError: if anything is wrong with it.
        """
        known = self._verified.get(token)
        if known is not None and time.time() < known[0]:
            return known[1]
        expires_at, claims = self._check(token)
        if len(self._verified) >= _MOST_KNOWN:
            self._verified.clear()
        self._verified[token] = (expires_at, claims)
        return claims

    def _check(self, token: str) -> tuple[float, Claims]:
        header = jwt.get_unverified_header(token)
        key = self._public.get(str(header.get("kid")))
        if key is None or header.get("typ") != _TYPE or header.get("alg") != _ALGORITHM:
            raise jwt.InvalidTokenError("not one of our tokens")
        claims = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            issuer=self._issuer,
            audience=AUDIENCE,
            options={"require": ["iss", "aud", "sub", "exp", "iat", "jti"]},
        )
        scope = claims.get("scope")
        if not isinstance(scope, str):
            raise jwt.InvalidTokenError("no scope")
        return float(claims["exp"]), Claims(str(claims["sub"]), frozenset(scope.split()))

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set (RFC 7517)."""
        return {
            "keys": [
                {**RSAAlgorithm.to_jwk(key, as_dict=True), "kid": kid, "use": "sig",
                 "alg": _ALGORITHM, "key_ops": ["verify"]}
                for kid, key in self._public.items()
            ]
        }  # fmt: skip


def open_tokens(settings: Settings) -> Tokens | None:
    """Tokens of the settings' private key; None where there is none to sign with.

    The embedded profile makes a key of its own in the state directory; elsewhere every instance
    must have the same one, which only a person can give.

    Raises:
        ConfigurationError: if the key file cannot be read, written or used.
    """
    path = settings.api_jwt_key_file
    try:
        if path is None:
            if settings.app_env != "embedded":
                return None
            path = settings.state_dir / "api-jwt.pem"
            _generate(path)
        pem = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the key of tokens, {path}: {error.strerror or error}; set YTEMPIRE_API_JWT_KEY_FILE"
        ) from error
    return Tokens(pem, settings.api_issuer, settings.api_token_minutes * 60)


def _generate(path: Path) -> None:
    if path.exists():
        return
    pem = rsa.generate_private_key(public_exponent=65537, key_size=_BITS).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        # Two workers start at once: the first link wins and both read the same key.
        path.hardlink_to(partial)
    except FileExistsError:
        pass
    finally:
        partial.unlink(missing_ok=True)


def _load(pem: bytes) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            "YTEMPIRE_API_JWT_KEY_FILE: a key in it is damaged or encrypted"
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _FEWEST_BITS:
        raise ConfigurationError(
            f"YTEMPIRE_API_JWT_KEY_FILE: use RSA keys of at least {_FEWEST_BITS} bits"
        )
    return key


def _thumbprint(key: rsa.RSAPrivateKey) -> str:
    """Id of a public key: its thumbprint of RFC 7638."""
    whole = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    needed = {name: whole[name] for name in ("e", "kty", "n")}
    digest = hashlib.sha256(json.dumps(needed, sort_keys=True, separators=(",", ":")).encode())
    return base64url_encode(digest.digest()).decode()
