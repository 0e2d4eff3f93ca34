"""`muscope audit`: a user's own model compared with a rule, before any step."""

from pathlib import Path
from typing import Annotated

import typer


def audit(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py:FUNCTION",
            help="The function that builds the model; without :FUNCTION it is build.",
            show_default=False,
        ),
    ],
    *,
    parametrization: Annotated[
        str,
        typer.Option(
            metavar="NAME[:OPTIONS]",
            help="The rule to compare with, as in `muscope rules`: mup:form=table3.",
        ),
    ] = "mup",
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="One option of the rule; may be given several times."
        ),
    ] = None,
    optimizer: Annotated[
        str,
        typer.Option(
            help="Which optimizer of the catalogue trains it; empty: the one that build returns, "
            "or adamw."
        ),
    ] = "",
    lr: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Base learning rate: prints what the rule makes of it.",
            show_default=False,
        ),
    ] = 0.0,
    width: Annotated[int, typer.Option(min=1, help="The width that is audited.")] = 256,
    base_width: Annotated[
        int, typer.Option(min=1, help="The width at which the rule's numbers are the base's.")
    ] = 64,
    depth: Annotated[
        int, typer.Option(min=0, help="Given to build as its second argument; 0: not given.")
    ] = 0,
    base_depth: Annotated[
        int,
        typer.Option(
            min=0, help="With --depth: build at this depth too, and audit the scaling in depth."
        ),
    ] = 0,
    roles: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="YAML or JSON that corrects roles: name or pattern: role."
        ),
    ] = None,
    write_roles: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the roles that were found, to start from."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Warnings make the exit code 1 too.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the audit as JSON and nothing else.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="If build raises, print where.")
    ] = False,
) -> None:
    """Compare your own model with a rule before any step, and name each deviation.

    FILE.py defines build(width), or build(width, depth=None), which returns a
    module, or (module, optimizer) with the learning rates already set:

      def build(width, depth=None):
          model = MyModel(width)
          return model, torch.optim.AdamW(my_groups(model, lr=3e-3))

    It is built at the base width, at twice that and at --width. Which
    dimensions grow decides the role of every parameter. Its initial std, and
    learning rate, weight decay and epsilon of its optimizer, must then change
    with the width as the rule says; constants are yours to tune. The file is
    executed as any Python program is.

    Examples:

      muscope audit my_model.py:build

      muscope audit my_model.py:build --parametrization mup:form=table3

      muscope audit f.py --parametrization depth_mup --depth 8 --base-depth 2

      muscope audit my_model.py --write-roles roles.yaml

    Exit codes:
      0    no deviation (warnings and notes do not count without --strict)
      1    at least one
      2    the command could not be carried out
      130  interrupted
    """
    # --help must not wait for rich's tables and torch
    from muscope.cli import auditing, plugging
    from muscope.cli.auditing import Question
    from muscope.cli.preflight import Refusal

    question = Question(
        target=target,
        parametrization=_with_options(parametrization, option or []),
        optimizer=optimizer or None,
        learning_rate=lr or None,
        width=width,
        base_width=base_width,
        depth=depth or None,
        base_depth=base_depth or None,
        roles=roles,
        write_roles=write_roles,
    )
    plugging.use_installed()
    try:
        code = auditing.run(question, as_json=as_json, strict=strict)
    except Refusal as refusal:
        if traceback:
            auditing.print_traceback(refusal)
        typer.echo(f"muscope audit: {refusal}", err=True)
        raise typer.Exit(2) from refusal
    except KeyboardInterrupt:
        typer.echo("muscope audit: stopped", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(code)


def _with_options(name: str, options: list[str]) -> str:
    """`mup` and `form=table3` as `mup:form=table3`."""
    if not options:
        return name
    return f"{name}{',' if ':' in name else ':'}{','.join(options)}"
