"""`muscope recipe`: what a judged study says about a model of another size."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from muscope.cli import submit as submitting

Format: TypeAlias = Literal["pytorch", "cerebras", "nanotron", "json"]


def recipe(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="Id of a study on a server, or a file with what `muscope check --json` printed.",
            show_default=False,
        ),
    ],
    *,
    variant: Annotated[
        str,
        typer.Option(help="Key of the variant, or a part of it that no other has."),
    ] = "",
    width: Annotated[
        int, typer.Option(min=1, help="Width of the target model.", show_default=False)
    ],
    depth: Annotated[
        int, typer.Option(min=0, help="Depth of the target model; 0: the largest that was studied.")
    ] = 0,
    format: Annotated[Format, typer.Option(help="What to write.")] = "pytorch",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write there instead of to stdout."),
    ] = None,
    url: submitting.Url = submitting.DEFAULT_URL,
    token: submitting.Token = "",
) -> None:
    """Write the recipe of a target model: init, multiplier, rate, decay, epsilon per tensor.

    The base learning rate is the optimum that a learning-rate study found, with
    its interval; of a coordinate check it is the one that was given. Whatever
    speaks against it is said as a warning, in the file too. A file for
    Cerebras or nanotron is read again by the meaning of its keys, and refused
    where it would say something else.

    Examples:
      muscope recipe 4kq2vw7x5a --variant mup --width 4096 --depth 32
      muscope recipe 4kq2vw7x5a --width 4096 --format cerebras -o mup.yaml
      muscope check study.yaml --json > study.json
      muscope recipe study.json --width 2048 --format json

    Exit codes:
      0    the recipe was written
      2    it was refused, or no server answers
    """
    # --help must not wait for what HTTP and the catalogue need
    from pydantic import ValidationError

    from muscope.cli.remote import Remote
    from muscope.connection import ServerError
    from muscope.recipe import NotARecipe, Recipe, export, formats, result_file
    from muscope.recipe import recipe as make

    if output and output.absolute() == Path(study).absolute():
        submitting.refuse(f"{output} is the study itself; write the recipe to another file")
    try:
        if _is_file(study):
            spec, verdicts = result_file.read(Path(study))
            found = make(spec, variant, verdicts, width, depth or None)
        else:
            remote = Remote(url, token or submitting.token_of_the_data_dir())
            found = Recipe.model_validate(
                remote.recipe(study, variant=variant, width=width, depth=depth)
            )
        text = export(found, formats.Format(format))
        if output:
            output.write_text(text, encoding="utf-8")
        else:
            typer.echo(text, nl=False)
    except OSError as error:
        submitting.refuse(f"{output} cannot be written: {error.strerror}")
    except ValidationError:
        submitting.refuse(f"the muscope at {url} is of another version; install the same one here")
    except (NotARecipe, ServerError) as error:
        submitting.refuse(str(error))
    for warning in found.warnings:
        typer.echo(f"WARNING: {warning}", err=True)


def _is_file(study: str) -> bool:
    """A path rather than an id: an id has no dot and no slash."""
    return "." in study or "/" in study or Path(study).is_file()
