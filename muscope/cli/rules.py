"""`muscope rules`: what a parametrization says of every weight of a model, before anything runs."""

import json
from typing import Annotated

import typer

_OPTIONS = "Options behind a colon, with commas between them: mup:form=table9,zero_readout=false."


def rules(
    *,
    parametrization: Annotated[
        str, typer.Option(metavar="NAME[:OPTIONS]", help=f"Whose rules to print. {_OPTIONS}")
    ] = "mup",
    optimizer: Annotated[str, typer.Option(help="The optimizer that trains the model.")] = "adamw",
    model: Annotated[
        str,
        typer.Option(metavar="NAME[:OPTIONS]", help="The model, such as gpt:norm_gains=vector."),
    ] = "gpt",
    width: Annotated[int, typer.Option(min=1, help="Width of the model.")] = 1024,
    depth: Annotated[int, typer.Option(min=1, help="Its blocks or hidden layers.")] = 4,
    base_width: Annotated[
        int, typer.Option(min=1, help="Width at which base learning rate and std are meant.")
    ] = 256,
    base_depth: Annotated[
        int, typer.Option(min=0, help="The same for the depth; 0 takes --depth.")
    ] = 0,
    diff: Annotated[
        str,
        typer.Option(
            metavar="NAME[:OPTIONS]",
            help="Print only what this other parametrization does differently.",
        ),
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the rules as JSON and nothing else.")
    ] = False,
) -> None:
    """Print the rule of every weight: y = A · (W x), W₀ ~ N(0, B²), learning rate = base · C.

    λ and ε are the factors on the optimizer's weight decay and epsilon. m is the width over the
    base width, r the depth over the base depth, σ the base model's std.

    Examples:

      muscope rules --parametrization complete_p --depth 32 --base-depth 4

      muscope rules --parametrization sp --diff mup --optimizer muon

      muscope rules --parametrization mup:form=table3 --diff mup:form=table8 --model mlp

      muscope rules --optimizer sgd --model gpt:biases=true,norm_gains=vector

    Exit code 2: there are no such rules; the sentence says what there is.
    """
    # --help must not wait for rich's tables
    from muscope.catalogue.rules import Size
    from muscope.cli import plugging, rule_table, terminal
    from muscope.cli.rule_table import RuleTable

    size = Size(width, depth, base_width, base_depth or depth)
    plugging.use_installed()
    try:
        tables = [
            RuleTable.of(text, optimizer, model, size) for text in (parametrization, diff) if text
        ]
    except ValueError as error:
        typer.echo(f"muscope rules: {error}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        typer.echo(json.dumps([table.data() for table in tables], indent=2, ensure_ascii=False))
    elif len(tables) == 2:
        terminal.console().print(rule_table.difference(*tables))
    else:
        terminal.console().print(tables[0])
