"""muscope db"""

import typer

app = typer.Typer(help="The database: create or upgrade its schema.", no_args_is_help=True)
