"""muscope doctor: is what the database says consistent?"""

from typing import Annotated

import typer


def doctor(
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Also read every measurement and compare the digests."),
    ] = False,
) -> None:
    """Look whether what the database says is consistent.

    It looks in MUSCOPE_DATA_DIR; else in .muscope of the current folder, where
    `make run` keeps its database; else in ~/.local/share/muscope.
    MUSCOPE_DATABASE_URL names a database elsewhere.

    Examples:
      muscope doctor
      MUSCOPE_DATA_DIR=~/muscope/.muscope muscope doctor --strict

    Exit codes:
      0  nothing is wrong
      1  something is; each violation is printed
      2  a setting cannot be used
      3  there is no database, or not one for this version
    """
    # --help must not wait for sqlalchemy.
    from muscope.cli import configured
    from muscope.storage import doctor as examination
    from muscope.storage import schema
    from muscope.storage.database import Database

    db = Database(configured.settings().database)  # it makes no folder: who looks leaves no trace
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
