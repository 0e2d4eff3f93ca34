"""The command line: one file per command, registered here."""

import os

import typer

from muscope.cli import check, db, doctor, rules, server, submit, up, worker

app = typer.Typer(
    name="muscope",
    help="Coordinate checks, verdicts and learning-rate transfer for people who scale networks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("up")(up.up)
app.command("check")(check.check)
app.command("rules")(rules.rules)
app.command("submit")(submit.submit)
app.command("server")(server.server)
app.command("worker")(worker.worker)
app.command("doctor")(doctor.doctor)
app.add_typer(db.app, name="db")


def main() -> None:
    """Entry point of the console script."""
    # read when torch loads OpenMP: threads that wait by spinning starve whatever shares the cores
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
