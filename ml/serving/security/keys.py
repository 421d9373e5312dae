"""API keys: their form, and their table as an operator writes it.

A key is `ytk_<id>_<secret>`. The id recognises it in lists and logs and is no secret. Of the secret
the table keeps SHA-256: a slow hash protects what people choose, and 256 random bits need none.
A key of another form (one that settings bring) has an id made of its hash.
"""

from __future__ import annotations

import getpass
import hashlib
import re
import secrets
import string
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from ml.exceptions import ConfigurationError
from ml.serving.security.callers import check_names, granted
from ml.settings import Settings
from ml.storage.postgres import query, transaction

_ID = re.compile(r"[0-9a-z]{12}")
_FORM = re.compile(rf"ytk_({_ID.pattern})_([A-Za-z0-9_-]{{43}})")
_ALPHABET = string.digits + string.ascii_lowercase
_ID_LENGTH = 12
_SHORTEST_FOREIGN = 32
_BOOTSTRAP = "bootstrap"


@dataclass(frozen=True)
class Key:
    """A row of `ops.api_keys` without its hash.

    Attributes:
        scopes: granted, by the key's roles and singly.
        status: active, expired or revoked.
    """

    key_id: str
    name: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    status: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """The key as `keys list --json` prints it."""
        return asdict(self)


def split_key(presented: str) -> tuple[str, bytes]:
    """Id of a presented key and SHA-256 of its secret; any text has both."""
    if match := _FORM.fullmatch(presented):
        return match[1], hash_secret(match[2])
    digest = hash_secret(presented)
    return "ext" + digest.hex()[: _ID_LENGTH - 3], digest


def is_key_id(text: str) -> bool:
    """Whether a text has the form of an id; only such text is looked up."""
    return _ID.fullmatch(text) is not None


def hash_secret(secret: str) -> bytes:
    """SHA-256 of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def create_key(
    settings: Settings,
    name: str,
    roles: Collection[str],
    scopes: Collection[str] = (),
    days: int | None = 365,
) -> tuple[Key, str]:
    """Create a key and return it with its only appearance in clear.

    Args:
        settings: name the database; its login must own the table.
        name: for people.
        roles: names in `ROLES`.
        scopes: names in `SCOPES`, beside those of the roles.
        days: until it expires; None never.

    Raises:
        ConfigurationError: if a role or scope is not known, or the name is empty.
        ServiceUnavailableError: if Postgres does not answer.
    """
    check_names(roles, scopes)
    if not name.strip():
        raise ConfigurationError("give the key a name that says who uses it")
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
    secret = secrets.token_urlsafe(32)
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    actor = getpass.getuser()
    with transaction(settings.require("database_url")) as conn:
        _insert(conn, key_id, hash_secret(secret), name, roles, scopes, expires_at, actor)
        key = _rows(conn, key_id)[0]
    return key, f"ytk_{key_id}_{secret}"


def revoke_key(settings: Settings, key_id: str) -> Key:
    """Revoke a key, given by its id or whole. Revoked again it stays as it is.

    Raises:
        ConfigurationError: if there is no such key.
        ServiceUnavailableError: if Postgres does not answer.
    """
    found = _FORM.fullmatch(key_id)
    known_id = found[1] if found else key_id
    with transaction(settings.require("database_url")) as conn:
        _revoke(conn, known_id, getpass.getuser())
        rows = _rows(conn, known_id)
    if not rows:
        raise ConfigurationError("there is no key of that id; see `ytempire keys list`")
    return rows[0]


def list_keys(settings: Settings) -> list[Key]:
    """All keys, the newest first.

    Raises:
        ServiceUnavailableError: if Postgres does not answer.
    """
    with transaction(settings.require("database_url")) as conn:
        return _rows(conn)


def ensure_configured_key(settings: Settings) -> str | None:
    """Make the key of the settings (`YTEMPIRE_API_KEY`) one of the table, as role admin.

    Keys that came here the same way before are revoked, so changing the setting rotates it. One
    that was revoked by hand stays so.

    Returns:
        Its id; None if the settings have no key.

    Raises:
        ConfigurationError: if it is too short to be a secret.
        ServiceUnavailableError: if Postgres does not answer.
    """
    if settings.api_key is None:
        return None
    key = settings.api_key.get_secret_value()
    if len(key) < _SHORTEST_FOREIGN:
        raise ConfigurationError(
            f"YTEMPIRE_API_KEY: use at least {_SHORTEST_FOREIGN} random characters"
        )
    key_id, digest = split_key(key)
    with transaction(settings.require("database_url")) as conn:
        _insert(conn, key_id, digest, "local", ["admin"], [], None, _BOOTSTRAP)
        outdated = conn.execute(
            "select key_id from ops.api_keys"
            " where created_by = %s and key_id <> %s and revoked_at is null",
            (_BOOTSTRAP, key_id),
        ).fetchall()
        for (other,) in outdated:
            _revoke(conn, other, _BOOTSTRAP)
    return key_id


def _insert(
    conn: psycopg.Connection,
    key_id: str,
    digest: bytes,
    name: str,
    roles: Collection[str],
    scopes: Collection[str],
    expires_at: datetime | None,
    actor: str,
) -> None:
    added = conn.execute(
        "insert into ops.api_keys"
        " (key_id, secret_sha256, name, roles, scopes, expires_at, created_by)"
        " values (%s, %s, %s, %s, %s, %s, %s) on conflict (key_id) do nothing",
        (key_id, digest, name, sorted(roles), sorted(scopes), expires_at, actor),
    ).rowcount
    if added:
        _audit(conn, "key_created", key_id, actor)


def _revoke(conn: psycopg.Connection, key_id: str, actor: str) -> None:
    changed = conn.execute(
        "update ops.api_keys set revoked_at = now() where key_id = %s and revoked_at is null",
        (key_id,),
    ).rowcount
    if changed:
        _audit(conn, "key_revoked", key_id, actor)


def _audit(conn: psycopg.Connection, event: str, key_id: str, actor: str) -> None:
    conn.execute(
        "insert into ops.api_audit (event, key_id, actor) values (%s, %s, %s)",
        (event, key_id, actor),
    )


def _rows(conn: psycopg.Connection, key_id: str | None = None) -> list[Key]:
    rows = query(
        conn,
        "select key_id, name, roles, scopes, created_by, created_at, expires_at, revoked_at,"
        " last_used_at, case when revoked_at is not null then 'revoked'"
        " when expires_at <= now() then 'expired' else 'active' end as status"
        " from ops.api_keys where %(id)s::text is null or key_id = %(id)s"
        " order by created_at desc, key_id",
        {"id": key_id},
    )
    return [
        Key(
            **{
                **row,
                "roles": tuple(row["roles"]),
                "scopes": tuple(sorted(granted(row["roles"], row["scopes"]))),
            }
        )
        for row in rows
    ]
