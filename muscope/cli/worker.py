"""`muscope worker`: execute what is queued."""

from typing import Annotated

import typer

from muscope.cli import private


@private.files()
def worker(
    name: Annotated[
        str, typer.Option(help="Name of this worker; workers of one machine need different names.")
    ] = "muscope",
) -> None:
    """Execute queued bundles until stopped; `muscope up` starts one by itself.

    Its work comes from MUSCOPE_DATABASE_URL and MUSCOPE_BROKER_URL; without them
    from MUSCOPE_DATA_DIR; else from .muscope of the current folder, if that is
    there; else from ~/.local/share/muscope.

    Examples:
      CUDA_VISIBLE_DEVICES=0 muscope worker --name gpu0
      CUDA_VISIBLE_DEVICES=1 muscope worker --name gpu1

    Exit codes:
      0  it was stopped
      1  the disk of the database is full
      2  a setting cannot be used
      3  there is no database, or not one for this version
    """
    # --help must not wait for Celery and SQLAlchemy
    from muscope.cli import configured, log
    from muscope.storage.disk import DiskFull
    from muscope.storage.schema import SchemaError
    from muscope_worker import app

    log.to_stderr()
    try:
        raise typer.Exit(app.run(configured.settings(), name=name))
    except SchemaError as error:
        typer.echo(f"muscope worker: {error}", err=True)
        raise typer.Exit(3) from error
    except DiskFull as error:
        typer.echo(f"muscope worker: {error}", err=True)
        raise typer.Exit(1) from error
