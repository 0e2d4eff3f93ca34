"""The settings of the environment, or a sentence for each that makes no sense."""

import typer
from pydantic import ValidationError

from muscope.settings import Settings

REFUSED_EXIT = 2


def settings(**given: object) -> Settings:
    """What the environment says, and what was `given` as options in its place."""
    try:
        found = Settings()
    except ValidationError as error:
        for fault in error.errors():
            name = "_".join(("MUSCOPE", *map(str, fault["loc"]))).upper()
            typer.echo(f"{name}: {fault['msg']}, not {fault['input']!r}.", err=True)
        raise typer.Exit(REFUSED_EXIT) from None
    return found.model_copy(update={k: v for k, v in given.items() if v is not None})
