"""`muscope presets`: published experiments that are ready to run, planned or trained here."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

app = typer.Typer(help="Published experiments, ready to run.", no_args_is_help=True)

Trained: TypeAlias = Literal["smoke", "laptop"]
"""What is trained in this process; `paper` is planned only."""
Planned: TypeAlias = Literal["smoke", "laptop", "paper"]

Name: TypeAlias = Annotated[
    str, typer.Argument(metavar="NAME", help="As `muscope presets list` says it.")
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")
]


@app.callback()
def presets() -> None:
    """Published experiments, ready to run."""


@app.command("list")
def list_presets(*, as_json: AsJson = False) -> None:
    """List every preset: its name, the time it takes here, what its source says came out.

    Examples:
      muscope presets list
      muscope presets list --json
    """
    # --help must not wait for pydantic
    from muscope.cli import preset_view

    preset_view.print_list(as_json=as_json)


@app.command()
def show(
    name: Name,
    *,
    size: Annotated[Planned, typer.Option(help="How large.")] = "laptop",
    study: Annotated[
        int, typer.Option(min=1, help="Which of its studies, where it has several.")
    ] = 1,
) -> None:
    """Print a study of a preset as YAML, with what it costs; nothing is trained.

    What is said of it stands in comments, so that all of it can be submitted.

    Examples:
      muscope presets show nanotron-mlp
      muscope presets show lingle-baseline --size paper > study.yaml
      muscope submit study.yaml

    Exit codes:
      0  it was printed
      2  there is no such preset or study
    """
    # --help must not wait for pydantic
    from muscope.cli import preset_view

    try:
        preset_view.print_study(name, size, study)
    except ValueError as error:
        _refuse("show", error)


@app.command()
def run(
    name: Name,
    *,
    size: Annotated[Trained, typer.Option(help="Seconds or minutes.")] = "smoke",
    as_json: AsJson = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write a report of each study, an offline file."),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes all cores.")] = 0,
) -> None:
    """Train the studies of a preset here and now, judge them, and print what was published.

    Examples:
      muscope presets run lingle-baseline
      muscope presets run nanotron-mlp --size laptop --report reports
      muscope presets run complete-p --size laptop --json > measured.json

    Exit codes:
      0    everything was trained and judged, whatever the verdicts are
      2    there is no such preset, or it cannot be run here
      130  interrupted
    """
    # --help must not wait for pydantic, scipy and torch
    from muscope.cli import preset_running
    from muscope.cli.preflight import Refusal

    try:
        preset_running.run(name, size, as_json=as_json, folder=report, threads=threads)
    except (Refusal, ValueError) as error:
        _refuse("run", error)
    except KeyboardInterrupt:
        typer.echo("muscope presets run: stopped", err=True)
        raise typer.Exit(130) from None


def _refuse(command: str, error: Exception) -> None:
    typer.echo(f"muscope presets {command}: {error}", err=True)
    raise typer.Exit(2) from error
