"""`auth`, `unpublish`, `provenance`: accounts that videos go to, and what is out there."""

from __future__ import annotations

from typing import Annotated

import typer

from ml.cli.console import JsonFlag, errors, output, print_json

VideoId = Annotated[str, typer.Argument(help="Id of a video of ours, as in content.videos.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    auth = typer.Typer(help="Accounts that videos are published to.", no_args_is_help=True)
    auth.callback()(_accounts)
    auth.command("youtube")(youtube)
    app.add_typer(auth, name="auth")
    app.command()(unpublish)
    app.command()(provenance)


def _accounts() -> None:
    """Keeps `youtube` a command of its own: without it typer folds a single one away."""


def youtube(
    channel: Annotated[
        str, typer.Option(help="Id of the channel of ours that will publish with this account.")
    ],
    timeout: Annotated[float, typer.Option(min=10, help="Seconds to wait for consent.")] = 300,
    as_json: JsonFlag = False,
) -> None:
    """Walk through the consent of a YouTube account; its token is stored encrypted.

    Needs YOUTUBE_CLIENT_ID and YOUTUBE_CLIENT_SECRET of an OAuth client of the kind "desktop app".

    Example: ytempire auth youtube --channel ytempire-daily
    """
    from ml.planning.channels import ensure_default_channels, get_channel
    from ml.publishing.consent import ask
    from ml.publishing.credentials import save_token
    from ml.publishing.youtube_client import LIST, YouTube
    from ml.settings import get_settings
    from ml.storage.postgres import connect
    from ml.storage.quotas import LedgerMeter

    settings = get_settings()
    settings.require("credentials_key")
    with connect() as conn:
        ensure_default_channels(conn)
        get_channel(conn, channel)

    def show(address: str) -> None:
        errors.print("Open this address in a browser on this machine and consent:")
        errors.print(address, highlight=False, markup=False)

    granted = ask(settings, show, timeout_s=timeout)
    with LedgerMeter(settings) as meter, connect() as conn:
        api = YouTube(settings, granted.refresh_token, meter)
        own = api.call(api.data.channels().list(part="snippet", mine=True), LIST)
        if not own.get("items"):
            errors.print("[red]error:[/red] the account has no YouTube channel; create one first")
            raise typer.Exit(1)
        account, title = own["items"][0]["id"], own["items"][0]["snippet"]["title"]
        save_token(conn, settings, channel, granted.refresh_token, granted.scopes, account)
    if as_json:
        print_json({"channel": channel, "account": account, "scopes": granted.scopes})
    else:
        output.print(f"{channel} publishes to {title} ({account})", highlight=False, markup=False)


def unpublish(video_id: VideoId, as_json: JsonFlag = False) -> None:
    """Take a video down: private on YouTube, out of the outbox.

    Example: ytempire unpublish v-0123456789abcdef
    """
    from ml.publishing.release import unpublish as take_down

    taken = take_down(video_id)
    if as_json:
        print_json(vars(taken))
    else:
        output.print(f"{video_id} is {taken.status} ({taken.destination})", highlight=False)


def provenance(video_id: VideoId, as_json: JsonFlag = False) -> None:
    """Verify and print where a video came from; exit code 1 if anything was changed.

    Example: ytempire provenance v-0123456789abcdef
    """
    from ml.publishing.provenance import verify

    found = verify(video_id)
    if as_json:
        print_json({"verified": found.is_whole, "problems": found.problems, **found.manifest})
    else:
        output.print_json(data=found.manifest, default=str)
        for problem in found.problems:
            errors.print(f"[red]changed:[/red] {problem}", highlight=False)
        if found.is_whole:
            errors.print("verified: the chain and every file are as they were recorded")
    if not found.is_whole:
        raise typer.Exit(1)
