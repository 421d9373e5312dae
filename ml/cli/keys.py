"""`keys`: who may use the HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ml.cli.console import JsonFlag, errors, output, print_json

if TYPE_CHECKING:
    from datetime import datetime


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    keys = typer.Typer(help="Keys of the HTTP API.", no_args_is_help=True)
    keys.command("create")(create)
    keys.command("revoke")(revoke)
    keys.command("list")(list_all)
    app.add_typer(keys, name="keys")


def create(
    name: Annotated[str, typer.Argument(help="Who uses it, for people.")],
    role: Annotated[
        list[str] | None,
        typer.Option(help="caller, creator, trainer, monitor or admin; may be repeated."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="predict, generate, train, models:read, models:admin or metrics, beside those of"
            " the roles; may be repeated."
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=0, max=3650, help="Until it expires; 0: never.")] = 365,
    as_json: JsonFlag = False,
) -> None:
    """Create a key. It is shown once: only its hash is kept.

    Example: ytempire keys create dashboard --role caller --days 90
    """
    from ml.serving.security.keys import create_key
    from ml.settings import get_settings

    key, secret = create_key(get_settings(), name, role or [], scope or [], days or None)
    if as_json:
        print_json({**key.as_dict(), "key": secret})
        return
    errors.print(
        f"key {key.key_id} for {key.name}: {', '.join(key.scopes)};"
        f" {_until(key.expires_at)}. It is shown this once:",
        highlight=False, markup=False,
    )  # fmt: skip
    typer.echo(secret)


def revoke(
    key_id: Annotated[str, typer.Argument(help="Id of the key; see `keys list`.")],
    as_json: JsonFlag = False,
) -> None:
    """Revoke a key for good. It and its tokens are refused within seconds.

    Example: ytempire keys revoke 7mhp2xk40qzd
    """
    from ml.serving.security.keys import revoke_key
    from ml.settings import get_settings

    key = revoke_key(get_settings(), key_id)
    if as_json:
        print_json(key.as_dict())
    else:
        output.print(f"revoked: {key.key_id} ({key.name})", highlight=False, markup=False)


def list_all(as_json: JsonFlag = False) -> None:
    """List the keys, without their secrets.

    Example: ytempire keys list --json
    """
    from ml.serving.security.keys import list_keys
    from ml.settings import get_settings

    keys = list_keys(get_settings())
    if as_json:
        print_json({"keys": [key.as_dict() for key in keys]})
        return
    table = Table()
    for heading in ("id", "name", "status", "roles", "scopes", "expires", "last used"):
        table.add_column(heading, overflow="fold")
    for key in keys:
        used = key.last_used_at.isoformat(" ", "seconds") if key.last_used_at else "never"
        table.add_row(
            key.key_id, key.name, key.status, ", ".join(key.roles), ", ".join(key.scopes),
            _until(key.expires_at), used,
        )  # fmt: skip
    output.print(table)


def _until(expires_at: datetime | None) -> str:
    return f"until {expires_at:%Y-%m-%d}" if expires_at else "never expires"
