"""Who may call: scopes of the API, roles that bundle them, and the caller of a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from ml.exceptions import ConfigurationError

Scope = Literal["predict", "generate", "train", "models:read", "models:admin", "metrics"]

SCOPES: frozenset[str] = frozenset(get_args(Scope))
ROLES: Mapping[str, frozenset[str]] = {
    "caller": frozenset({"predict", "models:read"}),
    "creator": frozenset({"predict", "generate", "models:read"}),
    "trainer": frozenset({"predict", "train", "models:read"}),
    "monitor": frozenset({"models:read", "metrics"}),
    "admin": SCOPES,
}


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated caller of a request.

    Attributes:
        id: of its key; a token's caller is the key that it was issued for.
        roles: of the key.
        scopes: what this credential may do: those of a token may be fewer than its key's.
    """

    id: str
    roles: frozenset[str]
    scopes: frozenset[str]


def granted(roles: Iterable[str], scopes: Iterable[str]) -> frozenset[str]:
    """What roles and single scopes allow together. Names that are not known grant nothing."""
    bundles = (ROLES.get(role, frozenset()) for role in roles)
    return frozenset(scopes).union(*bundles) & SCOPES


def check_names(roles: Iterable[str], scopes: Iterable[str]) -> None:
    """Check names that a person gave.

    Raises:
        ConfigurationError: if one is not known, or there is none at all.
    """
    roles, scopes = set(roles), set(scopes)
    for kind, unknown, known in (
        ("role", roles - ROLES.keys(), ROLES),
        ("scope", scopes - SCOPES, SCOPES),
    ):
        if unknown:
            raise ConfigurationError(
                f"unknown {kind} {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
            )
    if not roles | scopes:
        raise ConfigurationError("a key needs a role or a scope; see `ytempire keys create --help`")
