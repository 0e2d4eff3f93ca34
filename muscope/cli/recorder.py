"""muscope recorder: what recorders have left in the spool."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from muscope.cli.submit import DEFAULT_URL, REFUSED_EXIT

WAITING_EXIT = 1

app = typer.Typer(
    name="recorder", no_args_is_help=True, help="What recorders of training loops have left."
)


@app.callback()
def root() -> None:
    """What recorders of training loops have left."""


@app.command("flush")
def flush(
    url: Annotated[
        str, typer.Option(help="Address of the server.", envvar="MUSCOPE_URL")
    ] = DEFAULT_URL,
    token: Annotated[
        str,
        typer.Option(
            help="Access token; else the one in the data folder.",
            envvar="MUSCOPE_TOKEN",
            show_default=False,
        ),
    ] = "",
    spool: Annotated[
        Path | None,
        typer.Option(
            help="Folder in which recordings wait.", envvar="MUSCOPE_SPOOL", show_default=False
        ),
    ] = None,
) -> None:
    """Send what killed or stopped training loops have recorded and not sent.

    Each measurement arrives once, however often this runs. Recordings of loops
    that still run are left to them; one whose process is gone is closed as failed.

    Examples:
      muscope recorder flush
      muscope recorder flush --url http://gpu-server:8765 --token 5u…

    Exit codes:
      0  nothing waits any more
      1  something could not be delivered; what and why is said
      2  the server's address or token is wrong
    """
    # --help must not wait for pydantic
    from muscope.client import Client, ServerError
    from muscope.recorder import delivery
    from muscope.recorder.recorder import spool_folder, token_for

    try:
        client = Client(url, token_for(token))
    except (ServerError, ValueError) as error:
        _refuse(str(error))
    folder = spool_folder(spool)
    done = delivery.flush(folder, client)
    typer.echo(
        f"{done.delivered} delivered, {done.waiting} waiting, {done.refused} refused: {folder}"
    )
    if done.waiting or done.refused:
        raise typer.Exit(WAITING_EXIT)


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(REFUSED_EXIT)
