"""muscope doctor: is what the database says consistent?"""

from typing import Annotated

import typer


def doctor(
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Also read every measurement and compare the digests."),
    ] = False,
) -> None:
    """Look for what must never be; print each violation and exit with 1 if there is any."""
    # --help must not wait for sqlalchemy.
    from muscope.settings import Settings
    from muscope.storage import doctor as examination
    from muscope.storage import schema
    from muscope.storage.database import open_database

    db = open_database(Settings())
    examine = examination.violations if strict else examination.quick_violations
    try:
        schema.check(db)
        with db.read() as conn:
            found = examine(conn)
    except schema.SchemaError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from error
    finally:
        db.close()
    for violation in found:
        typer.echo(violation)
    if found:
        raise typer.Exit(1)
    typer.echo(f"{db.name}: no violations.")
