"""muscope submit: send a study in a file to a server, and wait for its verdict if asked."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeAlias

import typer

if TYPE_CHECKING:
    from muscope.cli.remote import Remote

Url: TypeAlias = Annotated[str, typer.Option(help="Address of the server.", envvar="MUSCOPE_URL")]
Token: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Access token; else the one in the data folder.",
        envvar="MUSCOPE_TOKEN",
        show_default=False,
    ),
]
Wait: TypeAlias = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Wait for the verdict and print it.")
]

DEFAULT_URL = "http://127.0.0.1:8765"
POLL_S = 0.5
JUDGING_S = 30.0
"""How long a final verdict may come after the last run."""

INCOMPLETE_EXIT = 1
REFUSED_EXIT = 2
INTERRUPTED_EXIT = 130


def submit(
    study: Annotated[
        Path,
        typer.Argument(metavar="STUDY.yaml", help="The study as YAML or JSON.", show_default=False),
    ],
    url: Url = DEFAULT_URL,
    token: Token = "",
    wait: Wait = False,
) -> None:
    """Send a study to a running server, where it queues with the others.

    Without --token it takes the token of the data folder: MUSCOPE_DATA_DIR;
    else .muscope of the current folder, where `make run` keeps it; else
    ~/.local/share/muscope.

    Examples:
      muscope submit study.yaml
      muscope submit study.yaml --wait
      MUSCOPE_DATA_DIR=~/muscope/.muscope muscope submit study.yaml
      muscope submit study.yaml --url http://127.0.0.1:8912 --token 5u…

    Exit codes:
      0    the study was accepted; with --wait: all of it ran
      1    with --wait: not all of it ran
      2    it was refused, or no server answers
      130  interrupted; what was accepted goes on
    """
    # --help must not wait for pydantic
    from muscope import plan, spec_file
    from muscope.cli import cost, plugging
    from muscope.cli.remote import Remote
    from muscope.connection import ServerError
    from muscope.spec import LARGEST_GRID, canonical_json

    try:
        remote = None
        if plugging.names_any(study):
            remote = Remote(url, token or token_of_the_data_dir())
            plugging.learn(remote.plugins())
        spec = spec_file.read(study)
        planned = plan.plan(spec, max_runs=LARGEST_GRID)
        remote = remote or Remote(url, token or token_of_the_data_dir())
        there = remote.plan(canonical_json(spec))
        created = remote.submit(canonical_json(spec))
        for line in cost.extension(there, spec.extends) if spec.extends else cost.lines(planned):
            typer.echo(line)
        for line in cost.power(spec):
            typer.echo(line)
        typer.echo(f"time: {there['time']}")
        typer.echo(f"study {created['id']}: {remote.url}{created['url']}")
        if wait:
            raise typer.Exit(wait_for(remote, created["id"]))
    except (ValueError, ServerError) as error:
        refuse(str(error))
    except KeyboardInterrupt:
        typer.echo("interrupted; what the server has accepted goes on there", err=True)
        raise typer.Exit(INTERRUPTED_EXIT) from None


def token_of_the_data_dir() -> str:
    """The access token that a server of this data folder has written."""
    # --help must not wait for pydantic
    from muscope.cli import configured

    file = configured.settings().token_file
    try:
        return file.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        refuse(
            f"there is no token in {file.parent}; set MUSCOPE_DATA_DIR to the folder of the server "
            "(`make run` keeps it in .muscope of its checkout), or say --token or MUSCOPE_TOKEN"
        )
    except (OSError, UnicodeDecodeError) as error:
        refuse(f"the token in {file} cannot be read ({error}); say --token or MUSCOPE_TOKEN")


def wait_for(remote: "Remote", study_id: str) -> int:
    """Follow a study to its verdict and print it; give the exit code."""
    # --help must not wait for rich
    from muscope.cli import joined_view, rate_view, searching, terminal
    from muscope.reports import budget_lines
    from muscope.reports.verdict_table import verdict_table
    from muscope.verdicts.hyperparameters.types import SearchJudgement
    from muscope.verdicts.joined.types import Joined
    from muscope.verdicts.transfer.types import TransferJudgement
    from muscope.verdicts.types import VariantVerdict

    state = _follow(remote, study_id)
    found = _final(remote, study_id)
    console = terminal.console()
    verdicts = [VariantVerdict.model_validate(entry) for entry in found if "cells" in entry]
    if verdicts:
        console.print(verdict_table(verdicts))
    for entry in found:
        if "optima" in entry:
            console.print(rate_view.table(TransferJudgement.model_validate(entry)))
        elif "sets" in entry:
            console.print(searching.view(SearchJudgement.model_validate(entry)))
    for entry in remote.joined(study_id):
        console.print(joined_view.lines(Joined.model_validate(entry)))
    if taken := remote.budget(study_id):
        typer.echo(f"budget: {budget_lines.taken(taken)}")
    typer.echo(f"study {study_id} is {state}")
    return 0 if state == "finished" and found else INCOMPLETE_EXIT


def _follow(remote: "Remote", study_id: str) -> str:
    """Show progress until the study has ended; give its state."""
    import time

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    with Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()) as bar:
        task = bar.add_task("runs", total=None)
        while True:
            study = remote.study(study_id)
            bar.update(task, total=study["runs"], completed=study["runs"] - _open_runs(study))
            if study["state"] not in ("queued", "running"):
                return str(study["state"])
            time.sleep(POLL_S)


def _open_runs(study: dict[str, Any]) -> int:
    return sum(study["counts"].get(state, 0) for state in ("queued", "running"))


def _final(remote: "Remote", study_id: str) -> list[dict[str, Any]]:
    """The verdicts, final if they become so in time."""
    import time

    deadline = time.monotonic() + JUDGING_S
    while True:
        found = remote.verdicts(study_id)
        is_final = bool(found) and all(entry["final"] for entry in found)
        if is_final or time.monotonic() > deadline or not _has_rows(remote, study_id):
            return found
        time.sleep(POLL_S)


def _has_rows(remote: "Remote", study_id: str) -> bool:
    counts = remote.study(study_id)["counts"]
    return bool(counts.get("finished", 0) or counts.get("diverged", 0))


def refuse(message: str) -> NoReturn:
    """Say why nothing was done, and leave."""
    typer.echo(message, err=True)
    raise typer.Exit(REFUSED_EXIT)
