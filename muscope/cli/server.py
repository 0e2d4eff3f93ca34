"""muscope server: the web app alone; `muscope up` starts it together with a worker."""

import errno
import gc
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from muscope.cli import private

if TYPE_CHECKING:
    import socket

    from muscope.settings import Settings

REFUSED_EXIT = 1
SCHEMA_EXIT = 3


@private.files()
def server(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on [MUSCOPE_HOST, 127.0.0.1].")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port to listen on; 0 takes a free one [MUSCOPE_PORT, 8765]."
        ),
    ] = None,
) -> None:
    """Serve pages and API, without a worker; `muscope up` starts both.

    The database is in MUSCOPE_DATA_DIR; else in .muscope of the current folder,
    if that is there; else in ~/.local/share/muscope. MUSCOPE_DATABASE_URL and
    MUSCOPE_BROKER_URL name others.

    Examples:
      muscope server --port 8912
      MUSCOPE_DATA_DIR=/srv/muscope muscope server

    Exit codes:
      0  it was stopped
      1  the port is taken, or a secret cannot be kept
      2  a setting or an option cannot be used
      3  there is no database, or not one for this version
    """
    # --help must not wait for fastapi and sqlalchemy
    from muscope import access
    from muscope.cli import configured
    from muscope.storage.schema import SchemaError

    # what is imported stays: looking through it for garbage takes a fifth of the start
    gc.disable()
    from muscope_server.app import create_app
    from muscope_server.serve import serve

    gc.freeze()
    gc.enable()

    settings = configured.settings(host=host, port=port)
    with _bind(settings) as listener:
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        try:
            app = create_app(settings)
        except SchemaError as error:
            _refuse(str(error), SCHEMA_EXIT)
        except access.AccessError as error:
            _refuse(f"{error}.", REFUSED_EXIT)
        typer.echo(f"muscope is at {access.url(settings)}")
        serve(app, listener)


def _bind(settings: "Settings") -> "socket.socket":
    # --help must not wait for uvicorn
    from muscope_server.serve import bind

    try:
        return bind(settings.host, settings.port)
    except OSError as error:
        _refuse(_bind_sentence(settings, error), REFUSED_EXIT)


def _bind_sentence(settings: "Settings", error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {settings.port} on {settings.host} is taken, perhaps by another muscope; "
            "stop that, or choose another with --port."
        )
    return f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}."


def _refuse(sentence: str, code: int) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
