"""`channels`: which channels videos are made for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ml.cli.console import JsonFlag, errors, output, print_json

ChannelId = Annotated[str, typer.Argument(help="Id of the channel; see `channels list`.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    channels = typer.Typer(help="Channels that videos are made for.", no_args_is_help=True)
    channels.command("add")(add)
    channels.command("list")(list_all)
    channels.command("show")(show)
    channels.command("pause")(pause)
    channels.command("resume")(resume)
    app.add_typer(channels, name="channels")


def add(
    file: Annotated[Path, typer.Argument(help="YAML; ml/planning/channels.yaml says how.")],
    as_json: JsonFlag = False,
) -> None:
    """Add the channels of a file, or change those that are there already.

    Example: ytempire channels add my-channels.yaml
    """
    from ml.planning.channels import put_channels, read_channels
    from ml.storage.postgres import connect

    found = read_channels(file)
    with connect() as conn:
        put_channels(conn, found)
    if as_json:
        print_json({"channels": [channel.model_dump(mode="json") for channel in found]})
    else:
        output.print("\n".join(f"{c.channel_id}: {c.name}" for c in found), highlight=False)


def list_all(as_json: JsonFlag = False) -> None:
    """List the channels.

    Example: ytempire channels list --json
    """
    from ml.planning.channels import ensure_default_channels, list_channels
    from ml.storage.postgres import connect

    with connect() as conn:
        ensure_default_channels(conn)
        rows = list_channels(conn)
    if as_json:
        print_json({"channels": rows})
        return
    table = Table()
    for heading in ("id", "name", "status", "niche", "a day", "budget", "publisher"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        config = row["config"]
        until = row["quarantined_until"]
        status = "active" if row["is_active"] else "paused"
        table.add_row(
            row["channel_id"], config["name"],
            f"{status}, quarantined until {until:%Y-%m-%d %H:%M}" if until else status,
            config["niche"], str(config["cadence"]["videos_per_day"]),
            f"${config['daily_budget_usd']:.2f}", config["publisher"],
        )  # fmt: skip
    output.print(table)


def show(channel_id: ChannelId, as_json: JsonFlag = False) -> None:
    """Show one channel as the YAML that `channels add` takes.

    Example: ytempire channels show ytempire-daily
    """
    import yaml

    from ml.planning.channels import ensure_default_channels, get_channel
    from ml.storage.postgres import connect

    with connect() as conn:
        ensure_default_channels(conn)
        config = get_channel(conn, channel_id).model_dump(mode="json")
    if as_json:
        print_json(config)
    else:
        typer.echo(yaml.safe_dump({"channels": [config]}, sort_keys=False), nl=False)


def pause(channel_id: ChannelId) -> None:
    """Plan and publish nothing for a channel until it is resumed.

    Example: ytempire channels pause ytempire-daily
    """
    _switch(channel_id, is_active=False)


def resume(channel_id: ChannelId) -> None:
    """Let a paused channel go on; ends a quarantine as well.

    Example: ytempire channels resume ytempire-daily
    """
    _switch(channel_id, is_active=True)


def _switch(channel_id: str, *, is_active: bool) -> None:
    from ml.planning.channels import ensure_default_channels, set_active
    from ml.storage.postgres import connect

    with connect() as conn:
        ensure_default_channels(conn)
        set_active(conn, channel_id, is_active)
    errors.print(f"{channel_id} is {'active' if is_active else 'paused'}", highlight=False)
