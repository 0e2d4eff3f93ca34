"""`muscope up`: the whole product on one machine, supervised, ended by Ctrl-C."""

from pathlib import Path
from typing import Annotated

import typer

from muscope.cli import private


@private.files()
def up(
    demo: Annotated[
        bool | None,
        typer.Option(
            "--demo/--no-demo", help="Submit the demo study; unasked, only to an empty database."
        ),
    ] = None,
    leave: Annotated[
        bool,
        typer.Option(
            "--exit",
            help="Submit the demo, print its verdicts, leave: 0 if they are as expected.",
        ),
    ] = False,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on [MUSCOPE_HOST, 127.0.0.1].")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port to listen on; 0 takes a free one [MUSCOPE_PORT, 8765]."
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of database, broker, token and logs [MUSCOPE_DATA_DIR]."),
    ] = None,
) -> None:
    """Start server and worker, print the address, and keep them running until Ctrl-C.

    Without --data-dir everything is in MUSCOPE_DATA_DIR; else in .muscope of the
    current folder, if that is there; else in ~/.local/share/muscope. `make run`
    takes .muscope of its checkout.

    Examples:
      muscope up
      muscope up --port 8912
      muscope up --data-dir ~/muscope-data --no-demo

    Ctrl-C lets the worker finish its step; a second Ctrl-C stops at once.

    Exit codes:
      0  it was stopped; with --exit: the demo showed what it should
      1  with --exit: the demo did not, or it was interrupted
      2  nothing could be started; a sentence says why
    """
    # --help must not wait for pydantic and SQLAlchemy
    from muscope.cli import configured, house
    from muscope.cli.preflight import Refusal

    if leave and demo is False:
        raise typer.BadParameter("--exit waits for the demo, so it does not go with --no-demo")
    folder = data_dir and data_dir.absolute()
    settings = configured.settings(host=host, port=port, data_dir=folder)
    try:
        code = house.run(settings, demo=True if leave else demo, leave=leave)
    except Refusal as refusal:
        typer.echo(f"muscope up: {refusal}", err=True)
        raise typer.Exit(2) from refusal
    raise typer.Exit(code)
