"""What `muscope check FILE.py:FUNCTION` does: build, look, train, judge, print, write."""

import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from muscope.cli import preflight, terminal
from muscope.cli.checking import Outputs, can_be_written
from muscope.cli.gating import Gate
from muscope.cli.preflight import Refusal
from muscope.own_model import grid, roles_file

if TYPE_CHECKING:
    from muscope.check_result import CheckResult
    from muscope.own_check import Failure, OwnArrival, OwnQuestion, Prepared


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked on the command line; empty and zero: not given."""

    target: str
    widths: str = ""
    depths: str = ""
    seeds: int = 0
    steps: int = 0
    parametrize: str = ""
    optimizer: str = ""
    lr: float = 0.0
    roles: Path | None = None
    write_roles: Path | None = None
    traceback: bool = False

    @property
    def only_for_own(self) -> list[str]:
        """The options given that a study does not have."""
        given = {
            "--widths": self.widths,
            "--depths": self.depths,
            "--seeds": self.seeds,
            "--steps": self.steps,
            "--parametrize": self.parametrize,
            "--optimizer": self.optimizer,
            "--lr": self.lr,
            "--roles": self.roles,
            "--write-roles": self.write_roles,
        }
        return [name for name, value in given.items() if value]


def is_own(target: str) -> bool:
    """Whether a target is FILE.py or FILE.py:FUNCTION, and not a study."""
    return target.rpartition(":")[0].endswith(".py") or target.endswith(".py")


def refuse_for_study(asked: Asked) -> None:
    """A study says its widths and all else itself."""
    if asked.only_for_own:
        names = ", ".join(asked.only_for_own)
        raise Refusal(
            f"{names}: only for a model of your own, muscope check FILE.py:FUNCTION; a study says "
            "this in its file"
        )


def run(asked: Asked, outputs: Outputs, gate: Gate, *, threads: int) -> int:
    """Check a model, print what was found, and give the exit code."""
    written = (outputs.report, outputs.csv, asked.write_roles, *gate.asked.written)
    can_be_written(*written, source=Path(asked.target.rpartition(":")[0] or asked.target))
    widths, depths = _sizes(asked)
    preflight.torch_is_installed()
    _tell("loading torch")
    # several seconds, and only after everything else that was asked for is possible
    from muscope import own_check
    from muscope.check_result import CheckResult, words
    from muscope.lab import engine
    from muscope.lab.own_model import OwnModelError

    engine.set_threads(threads)
    started_at = time.monotonic()
    try:
        with own_check.limited():
            prepared = own_check.prepare(_question(asked, widths, depths), _tell)
            gate.refuse_words("a check of your own model")
            gate.refuse_unlike(words.settings(prepared))
            _write_roles(asked, prepared)
            arrivals = _trained(prepared)
        result = CheckResult.of(prepared, arrivals, lambda: time.monotonic() - started_at)
    except OwnModelError as error:
        if asked.traceback:
            print_traceback(error)
        raise Refusal(str(error)) from error
    _print(result, as_json=outputs.as_json)
    _write(result, outputs)
    _print_failures(result.failures, with_traceback=asked.traceback)
    return gate.close(result.checked(gate.policy, gate.before), result.baseline())


def print_traceback(error: BaseException) -> None:
    """Where the user's code raised, if that is what happened."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if cause is not error:
        traceback.print_exception(cause, file=sys.stderr)


def _sizes(asked: Asked) -> tuple[tuple[int, ...], tuple[int, ...]]:
    widths = _numbers("--widths", asked.widths) if asked.widths else grid.WIDTHS
    depths = _numbers("--depths", asked.depths) if asked.depths else ()
    seeds, steps = asked.seeds or grid.SEEDS, asked.steps or grid.STEPS
    try:
        grid.refuse(widths, depths, seeds=seeds, steps=steps, option=_option)
    except ValueError as error:
        raise Refusal(str(error)) from error
    return widths, depths


def _numbers(option: str, text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isdecimal() and int(word) for word in words):
        raise Refusal(
            f"{option} takes numbers with commas between them, such as 64,128,256; got {text!r}"
        )
    return tuple(sorted(map(int, words)))


def _question(asked: Asked, widths: tuple[int, ...], depths: tuple[int, ...]) -> "OwnQuestion":
    # as above
    from muscope.lab import own_model
    from muscope.own_check import OwnQuestion, asking

    try:
        recipe = asking.recipe(
            asked.parametrize, asked.optimizer, asked.lr, has_depth=bool(depths), option=_option
        )
    except ValueError as error:
        raise Refusal(str(error)) from error
    return OwnQuestion(
        target=asked.target,
        file=own_model.open_file(own_model.Target.of(asked.target)),
        widths=widths,
        depths=depths or (None,),
        seeds=asked.seeds or grid.SEEDS,
        steps=asked.steps or grid.STEPS,
        recipe=recipe,
        given=_given(asked.roles) if asked.roles else None,
    )


def _option(name: str) -> str:
    return f"--{name}"


def _given(path: Path) -> Any:
    def given(parameters: Sequence[str], tensors: Sequence[str]) -> dict[str, str]:
        try:
            if tensors:
                return roles_file.read_activations(path, tensors)
            return roles_file.read(path, parameters)
        except (OSError, ValueError) as error:
            raise Refusal(str(error)) from error

    return given


def _write_roles(asked: Asked, prepared: "Prepared") -> None:
    if asked.write_roles is None:
        return
    sized = prepared.sizes[0]
    roles_file.write(asked.write_roles, sized.roles, sized.activations.tensors)
    _tell(f"wrote {asked.write_roles}")


def _trained(prepared: "Prepared") -> "list[OwnArrival]":
    from muscope import own_check  # as above
    from muscope.cli.own_check_view import OwnTrainingView

    widths = [width for _, width, _ in prepared.runs]
    with OwnTrainingView(widths, prepared.question.steps, terminal.console(sys.stderr)) as view:
        return list(own_check.train(prepared, view.show))


def _print(result: "CheckResult", *, as_json: bool) -> None:
    from muscope.cli.own_check_view import NotJudged, RolesTable
    from muscope.reports.verdict_table import verdict_table

    if as_json:
        print(result.json())
        return
    sized = result.prepared.sizes[0]
    console, tensors = terminal.console(), sized.activations.tensors
    console.print(RolesTable(sized.roles, tensors))
    for note in result.notes:
        console.print(Text(f"note: {note}", style="dim"))
    console.print()
    console.print(NotJudged(result.verdict, tensors))
    console.print(verdict_table([result.verdict]))


def _print_failures(failures: "Sequence[Failure]", *, with_traceback: bool) -> None:
    for failure in failures:
        _tell(f"not judged: {failure.sentence}")
        if with_traceback:
            print_traceback(failure.error)
    if failures and not with_traceback:
        _tell("--traceback prints where it happened")


def _write(result: "CheckResult", outputs: Outputs) -> None:
    if outputs.csv:
        _tell(f"measurements: {result.csv(outputs.csv)}")
    if outputs.report:
        _tell(f"report: {result.report(outputs.report)}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
