"""The command line: one file per command, registered here."""

import os
from typing import Annotated

import typer

import muscope
from muscope.cli import (
    audit,
    check,
    db,
    doctor,
    extend,
    presets,
    recipe,
    recorder,
    rules,
    server,
    submit,
    up,
    worker,
)

app = typer.Typer(
    name="muscope",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("up")(up.up)
app.command("check")(check.check)
app.command("audit")(audit.audit)
app.command("rules")(rules.rules)
app.command("submit")(submit.submit)
app.command("extend")(extend.extend)
app.command("recipe")(recipe.recipe)
app.command("server")(server.server)
app.command("worker")(worker.worker)
app.command("doctor")(doctor.doctor)
app.add_typer(presets.app, name="presets")
app.add_typer(db.app, name="db")
app.add_typer(recorder.app, name="recorder")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"muscope {muscope.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Coordinate checks, learning-rate transfer and verdicts for people who scale networks.

    Is my parametrization right: does the same network, made wider, keep the
    size of every tensor? Is the learning rate that was best for a small one
    still the best for a large one? `muscope up` answers in the browser,
    `muscope check` in the terminal, `muscope presets` with what was published,
    and `muscope recipe` carries the answer to a model of another size.
    """


def main() -> None:
    """Entry point of the console script."""
    # read when torch loads OpenMP: threads that wait by spinning starve whatever shares the cores
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
