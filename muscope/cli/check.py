"""`muscope check`: a study trained and judged here and now, without server or database."""

from pathlib import Path
from typing import Annotated

import typer


def check(
    spec: Annotated[
        Path | None,
        typer.Argument(
            metavar="STUDY.yaml",
            help="The study to check, YAML or JSON; without it the demo study.",
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
) -> None:
    """Train a grid of widths and judge every tensor: does it grow, shrink, or keep its size?

    Without STUDY.yaml the demo runs: SP and µP on a transformer and an MLP,
    about a minute.

    Examples:
      muscope check
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
    from muscope.cli import checking
    from muscope.cli.checking import Outputs
    from muscope.cli.preflight import Refusal

    try:
        outputs = Outputs(as_json=as_json, report=report, csv=csv)
        code = checking.run(spec, outputs, fail_on=fail_on, threads=threads)
    except Refusal as refusal:
        typer.echo(f"muscope check: {refusal}", err=True)
        raise typer.Exit(2) from refusal
    except KeyboardInterrupt:
        typer.echo("muscope check: stopped", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(code)
