"""muscope extend: add to a study on a server what its verdict asks for, or what one says."""

from typing import Annotated

import typer

from muscope.cli import submit as submitting

NUMBERS = "with commas between them"


def extend(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY", help="Id of the study, the end of its address.", show_default=False
        ),
    ],
    *,
    seeds: Annotated[
        int, typer.Option(help="Seeds in all, with those that there are.", show_default=False)
    ] = 0,
    widths: Annotated[str, typer.Option(help=f"Widths to add, {NUMBERS}.")] = "",
    depths: Annotated[str, typer.Option(help=f"Depths to add, {NUMBERS}.")] = "",
    batch_sizes: Annotated[str, typer.Option(help=f"Batch sizes to add, {NUMBERS}.")] = "",
    sequence_lengths: Annotated[
        str, typer.Option(help=f"Sequence lengths to add, {NUMBERS}.")
    ] = "",
    step_counts: Annotated[str, typer.Option(help=f"Numbers of steps to add, {NUMBERS}.")] = "",
    octaves: Annotated[
        str, typer.Option(help=f"Learning rates to add, as octaves, {NUMBERS}.")
    ] = "",
    check_seeds: Annotated[
        int,
        typer.Option(
            help="Seeds, in all, of the coordinate check of a learning-rate study; adds one where "
            "there is none.",
            show_default=False,
        ),
    ] = 0,
    url: submitting.Url = submitting.DEFAULT_URL,
    token: submitting.Token = "",
    wait: submitting.Wait = False,
) -> None:
    """Add to a study that has ended; what it has trained is not trained again.

    Without options it adds what the verdict asks for: the seeds and widths that
    would decide what is inconclusive, or learning rates beyond the best one.
    The study that comes out has a verdict of its own, on old runs and new ones.

    Examples:
      muscope extend 4kq2vw7x5a
      muscope extend 4kq2vw7x5a --wait
      muscope extend 4kq2vw7x5a --seeds 8 --widths 1024,2048
      muscope extend 4kq2vw7x5a --octaves=-5,-4

    Exit codes:
      0    the study was accepted; with --wait: all of it ran
      1    with --wait: not all of it ran
      2    it was refused, or no server answers
      130  interrupted; what was accepted goes on
    """
    # --help must not wait for what HTTP needs
    from muscope.cli.remote import Remote
    from muscope.connection import ServerError

    try:
        lists = {
            "widths": widths,
            "depths": depths,
            "batch_sizes": batch_sizes,
            "sequence_lengths": sequence_lengths,
            "step_counts": step_counts,
        }
        addition: dict[str, object] = {
            name: [_whole(name, one) for one in _parts(text)]
            for name, text in lists.items()
            if text
        }
        if octaves:
            addition["octaves"] = [_real("octaves", one) for one in _parts(octaves)]
        if seeds:
            addition["seeds"] = seeds
        if check_seeds:
            addition["check_seeds"] = check_seeds
        remote = Remote(url, token or submitting.token_of_the_data_dir())
        created = remote.extend(study, addition)
        typer.echo(reuse(created))
        typer.echo(f"study {created['id']}: {remote.url}{created['url']}")
        if wait:
            raise typer.Exit(submitting.wait_for(remote, created["id"]))
    except (ValueError, ServerError) as error:
        submitting.refuse(str(error))
    except KeyboardInterrupt:
        typer.echo("interrupted; what the server has accepted goes on there", err=True)
        raise typer.Exit(submitting.INTERRUPTED_EXIT) from None


def reuse(created: dict[str, object]) -> str:
    """`12 new runs, 24 reused from study 4kq2vw7x5a; trained again: 2 failed`."""
    runs, reused = int(str(created["runs"])), int(str(created["reused"]))
    again = f"; trained again: {created['not_reused']}" if created["not_reused"] else ""
    return f"{runs - reused} new runs, {reused} reused from study {created['extends']}{again}"


def _parts(text: str) -> list[str]:
    return [part for part in text.replace(",", " ").split() if part]


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        option = name.replace("_", "-")
        raise ValueError(f"--{option} takes whole numbers with commas between them, got {text!r}")
    return int(text)


def _real(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--{name} takes numbers with commas between them, got {text!r}") from None
