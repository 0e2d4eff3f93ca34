"""muscope recorder: what recorders have left in the spool."""

from pathlib import Path
from typing import Annotated

import typer

from muscope.cli import submit as submitting

WAITING_EXIT = 1

app = typer.Typer(
    name="recorder", no_args_is_help=True, help="What recorders of training loops have left."
)


@app.callback()
def root() -> None:
    """What recorders of training loops have left."""


@app.command("flush")
def flush(
    url: submitting.Url = submitting.DEFAULT_URL,
    token: submitting.Token = "",
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
      2  the address of the server is none, or there is no token
    """
    # --help must not wait for pydantic
    from muscope.client import Client
    from muscope.connection import ServerError
    from muscope.recorder import delivery
    from muscope.recorder.environment import spool_folder, token_for

    try:
        client = Client(url, token_for(token))
    except (ServerError, ValueError) as error:
        submitting.refuse(str(error))
    folder = spool_folder(spool)
    done = delivery.flush(folder, client)
    typer.echo(
        f"{done.delivered} delivered, {done.waiting} waiting, {done.refused} refused: {folder}"
    )
    if done.waiting or done.refused:
        raise typer.Exit(WAITING_EXIT)
