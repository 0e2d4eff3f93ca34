"""muscope db: create or upgrade the schema of the database."""

import typer

from muscope.cli import private

app = typer.Typer(help="The database: create or upgrade its schema.", no_args_is_help=True)


@app.callback()
def db() -> None:
    """The database: create or upgrade its schema."""


@app.command()
@private.files()
def upgrade() -> None:
    """Create the database or bring its schema up to date; safe to repeat.

    `muscope up` does it by itself. The database is in MUSCOPE_DATA_DIR; else in
    .muscope of the current folder, if that is there; else in
    ~/.local/share/muscope. MUSCOPE_DATABASE_URL names one elsewhere.

    Examples:
      muscope db upgrade
      MUSCOPE_DATA_DIR=/srv/muscope muscope db upgrade

    Exit codes:
      0  the schema is the one of this version
      2  a setting cannot be used
      3  the database cannot be used, or is newer
    """
    # --help must not wait for sqlalchemy.
    from muscope.cli import configured
    from muscope.storage import schema
    from muscope.storage.database import open_database

    db = open_database(configured.settings())
    try:
        revision = schema.upgrade(db)
    except schema.SchemaError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from error
    finally:
        db.close()
    typer.echo(f"{db.name} has schema {revision}.")
