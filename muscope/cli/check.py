"""`muscope check`: a study trained and judged here and now, without server or database."""

from pathlib import Path
from typing import Annotated

import typer


def check(
    spec: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY.yaml | FILE.py:FUNCTION",
            help="The study to check, YAML or JSON, or the function that builds your own model; "
            "without it the demo study.",
            show_default=False,
        ),
    ] = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the verdicts as JSON and nothing else.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write the report: one offline file.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write the measurements.")
    ] = None,
    fail_on: Annotated[
        str,
        typer.Option(
            metavar="WORDS",
            help="Verdicts that make the exit code 1, with commas between them: "
            "grows, shrinks, inconclusive, diverged.",
        ),
    ] = "",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes all cores.")] = 0,
    stop_early: Annotated[
        bool,
        typer.Option(
            "--stop-early", help="A study: train no more seeds of a variant than its verdict needs."
        ),
    ] = False,
    widths: Annotated[
        str, typer.Option(metavar="NUMBERS", help="Your model: its widths; 64,128,256,512.")
    ] = "",
    depths: Annotated[
        str,
        typer.Option(metavar="NUMBERS", help="Your model: depths, given to build as its second."),
    ] = "",
    seeds: Annotated[int, typer.Option(min=0, max=64, help="Your model: seeds; 0 takes 5.")] = 0,
    steps: Annotated[
        int, typer.Option(min=0, max=10_000, help="Your model: updates; 0 takes 4.")
    ] = 0,
    parametrize: Annotated[
        str,
        typer.Option(
            metavar="NAME[:OPTIONS]",
            help="Your model: set first values, multipliers and rates by this rule.",
        ),
    ] = "",
    optimizer: Annotated[
        str, typer.Option(help="Your model: train it with this one instead of its own.")
    ] = "",
    lr: Annotated[
        float, typer.Option(min=0.0, help="Your model: learning rate of --optimizer.")
    ] = 0.0,
    roles: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Your model: YAML or JSON that corrects roles."),
    ] = None,
    write_roles: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Your model: write the roles found, to start from."),
    ] = None,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Your model: if its code raises, print where.")
    ] = False,
) -> None:
    """Train a grid of widths and judge every tensor: does it grow, shrink, or keep its size?

    Without STUDY.yaml the demo runs: SP and µP on a transformer and an MLP,
    about a minute.

    Your own model: FILE.py defines build(width) or build(width, depth=None),
    which returns (module, optimizer), or a module with --optimizer; and
    batch(seed), which returns (inputs, targets) or a dict. It may define
    loss(model, batch). The file is executed as any Python program is.

    Examples:
      muscope check
      muscope check my_model.py:build --widths 64,128,256,512
      muscope check f.py --parametrize mup --optimizer adamw --lr 3e-3
      muscope check study.yaml --report report.html --csv measurements.csv
      muscope check study.yaml --fail-on grows,diverged

    A whole study.yaml:
      name: My first check
      arms:
        - model: {name: mlp, batch_size: 64}
          optimizers: [{name: adamw, learning_rate: 3e-3}]
      parametrizations: [{name: sp}, {name: mup}]
      widths: [64, 128, 256, 512]

    Exit codes:
      0    it ran, and no verdict is among those of --fail-on
      1    one is; or the demo, without --fail-on, did not show what it should
      2    the study or an option cannot be used
      130  interrupted
    """
    # reading takes a second, torch takes several, and somebody may be waiting for a sign of life
    typer.echo(f"reading {spec}" if spec else "planning the demo", err=True)
    # --help must not wait for pydantic, scipy and torch
    from muscope.cli import checking, own_checking
    from muscope.cli.checking import Outputs
    from muscope.cli.own_checking import Asked
    from muscope.cli.preflight import Refusal

    own = Asked(
        target=spec or "",
        widths=widths,
        depths=depths,
        seeds=seeds,
        steps=steps,
        parametrize=parametrize,
        optimizer=optimizer,
        lr=lr,
        roles=roles,
        write_roles=write_roles,
        traceback=traceback,
    )
    try:
        outputs = Outputs(as_json=as_json, report=report, csv=csv)
        if own_checking.is_own(own.target):
            words = checking.failing_words(fail_on)
            checking.refuse_to_stop_early(stop_early)
            code = own_checking.run(own, outputs, words, threads=threads)
        else:
            own_checking.refuse_for_study(own)
            path = Path(spec) if spec else None
            code = checking.run(
                path, outputs, fail_on=fail_on, threads=threads, stop_early=stop_early
            )
    except Refusal as refusal:
        typer.echo(f"muscope check: {refusal}", err=True)
        raise typer.Exit(2) from refusal
    except KeyboardInterrupt:
        typer.echo("muscope check: stopped", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(code)
