"""What `muscope check FILE.py:FUNCTION` does: build, look, train, judge, print, write."""

import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from muscope import catalogue
from muscope.cli import preflight
from muscope.cli.checking import Outputs, can_be_written
from muscope.cli.preflight import Refusal
from muscope.cli.rule_table import choice_of
from muscope.own_model import roles_file
from muscope.vocabulary import CellVerdict, RunState

if TYPE_CHECKING:
    from muscope.lab.own.rule import Recipe
    from muscope.own_check import Failure, OwnArrival, OwnQuestion, Prepared
    from muscope.verdicts.types import VariantVerdict

WIDTHS = "64,128,256,512"
SEEDS, STEPS = 5, 4
MOST_RUNS = 10_000
WIDTH_WITHOUT_TERMINAL = 100
AS_HOPED, NOT_AS_HOPED = 0, 1


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


def run(asked: Asked, outputs: Outputs, fail_on: frozenset[CellVerdict], *, threads: int) -> int:
    """Check a model, print what was found, and give the exit code."""
    can_be_written(outputs.report, outputs.csv, asked.write_roles)
    widths, depths = _sizes(asked)
    preflight.torch_is_installed()
    _tell("loading torch")
    # several seconds, and only after everything else that was asked for is possible
    from muscope import own_check
    from muscope.lab import engine
    from muscope.lab.own_model import OwnModelError

    engine.set_threads(threads)
    try:
        prepared = own_check.prepare(_question(asked, widths, depths), _tell)
        _write_roles(asked, prepared)
        arrivals = _trained(prepared)
        verdict = own_check.judge(prepared, arrivals, final=True)
    except OwnModelError as error:
        if asked.traceback:
            print_traceback(error)
        raise Refusal(str(error)) from error
    _print(prepared, verdict, as_json=outputs.as_json)
    _write(prepared, arrivals, verdict, outputs)
    _print_failures(prepared.failures, with_traceback=asked.traceback)
    # a build that passes because its large widths did not run would say nothing
    failed = verdict.verdict in fail_on or (bool(fail_on) and bool(prepared.failures))
    return NOT_AS_HOPED if failed else AS_HOPED


def print_traceback(error: BaseException) -> None:
    """Where the user's code raised, if that is what happened."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if cause is not error:
        traceback.print_exception(cause, file=sys.stderr)


def _sizes(asked: Asked) -> tuple[tuple[int, ...], tuple[int | None, ...]]:
    widths = _numbers("--widths", asked.widths or WIDTHS)
    if len(widths) < 2:
        raise Refusal(f"--widths needs two widths at least: one gives no slope; got {widths[0]}")
    depths = _numbers("--depths", asked.depths) if asked.depths else (None,)
    runs = len(widths) * len(depths) * (asked.seeds or SEEDS)
    if runs > MOST_RUNS:
        raise Refusal(f"the grid has {runs} runs; at most {MOST_RUNS} are allowed")
    return widths, depths


def _numbers(option: str, text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isdecimal() and 0 < int(word) <= 2**20 for word in words):
        raise Refusal(f"{option} takes numbers with commas between them: {WIDTHS}; got {text!r}")
    if len(set(words)) < len(words):
        raise Refusal(f"{option}: each number may be there once; got {text!r}")
    return tuple(sorted(map(int, words)))


def _question(
    asked: Asked, widths: tuple[int, ...], depths: tuple[int | None, ...]
) -> "OwnQuestion":
    # as above
    from muscope.lab import own_model
    from muscope.own_check import OwnQuestion

    recipe = _recipe(asked)
    if recipe and (complaint := recipe.complaint(has_depth=bool(asked.depths))):
        raise Refusal(complaint)
    return OwnQuestion(
        target=asked.target,
        file=own_model.open_file(own_model.Target.of(asked.target)),
        widths=widths,
        depths=depths,
        seeds=asked.seeds or SEEDS,
        steps=asked.steps or STEPS,
        recipe=recipe,
        given=_given(asked.roles) if asked.roles else None,
    )


def _recipe(asked: Asked) -> "Recipe | None":
    """The rule, optimizer and rate that were asked for, None where the model keeps its own."""
    from muscope.lab.own.rule import Recipe  # as above

    if not (asked.parametrize or asked.optimizer or asked.lr):
        return None
    name = asked.optimizer
    if not name:
        option = "--parametrize" if asked.parametrize else "--lr"
        raise Refusal(f"{option} needs --optimizer: the rates of a rule depend on it")
    if name not in catalogue.OPTIMIZERS:
        names = ", ".join(catalogue.OPTIMIZERS)
        raise Refusal(f"unknown optimizer {name!r}; allowed: {names}")
    try:
        choice = choice_of(asked.parametrize) if asked.parametrize else None
    except ValueError as error:
        raise Refusal(str(error)) from error
    return Recipe(choice, name, asked.lr or catalogue.OPTIMIZERS[name].learning_rate)


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
    with OwnTrainingView(widths, prepared.question.steps, _console(sys.stderr)) as view:
        return list(own_check.train(prepared, view.show))


def _print(prepared: "Prepared", verdict: "VariantVerdict", *, as_json: bool) -> None:
    from muscope.cli.own_check_view import NotJudged, RolesTable
    from muscope.cli.table import verdict_table

    if as_json:
        print(json.dumps(_as_data(prepared, verdict), indent=2, ensure_ascii=False))
        return
    console, tensors = _console(sys.stdout), prepared.sizes[0].activations.tensors
    console.print(RolesTable(prepared.sizes[0].roles, tensors))
    for note in prepared.said:
        console.print(Text(f"note: {note}", style="dim"))
    console.print()
    console.print(NotJudged(verdict, tensors))
    console.print(verdict_table([verdict]))


def _print_failures(failures: "Sequence[Failure]", *, with_traceback: bool) -> None:
    for failure in failures:
        _tell(f"not judged: {failure.sentence}")
        if with_traceback:
            print_traceback(failure.error)
    if failures and not with_traceback:
        _tell("--traceback prints where it happened")


def _as_data(prepared: "Prepared", verdict: "VariantVerdict") -> dict[str, object]:
    from muscope.cli import own_check_view

    sized = prepared.sizes[0]
    return {
        "study": _in_words(prepared),
        **own_check_view.data(sized.roles, sized.activations.tensors),
        "verdicts": [{"sentence": verdict.sentence(), **verdict.model_dump(mode="json")}],
        "failures": [
            {"width": f.width, "depth": f.depth, "sentence": f.sentence} for f in prepared.failures
        ],
    }


def _in_words(prepared: "Prepared") -> dict[str, Any]:
    """What was asked, and what was assumed."""
    question, variant = prepared.question, prepared.variant
    recipe = question.recipe
    return {
        "target": question.target,
        "label": variant.label,
        "widths": list(question.widths),
        "depths": list(question.depths),
        "seeds": prepared.seeds,
        "steps": question.steps,
        "parametrization": recipe.choice.name if recipe and recipe.choice else None,
        "options": recipe.choice.complete if recipe and recipe.choice else {},
        "optimizer": recipe.optimizer if recipe else None,
        "learning_rate": recipe.learning_rate if recipe else None,
        "base_width": min(question.widths) if recipe and recipe.choice else None,
        "notes": list(prepared.said),
    }


def _write(
    prepared: "Prepared",
    arrivals: "Sequence[OwnArrival]",
    verdict: "VariantVerdict",
    outputs: Outputs,
) -> None:
    from muscope.reports import csv, own_report  # as above

    samples = [sample for arrival in arrivals for sample in arrival.samples]
    if outputs.csv:
        with outputs.csv.open("w", encoding="utf-8", newline="") as file:
            file.writelines(csv.lines(map(csv.row, samples)))
        _tell(f"measurements: {outputs.csv}")
    if outputs.report:
        text = own_report.render(_report(prepared, arrivals, verdict))
        outputs.report.write_text(text, encoding="utf-8")
        _tell(f"report: {outputs.report}")


def _report(
    prepared: "Prepared", arrivals: "Sequence[OwnArrival]", verdict: "VariantVerdict"
) -> Any:
    from muscope import own_check
    from muscope.cli import own_check_view
    from muscope.lab import environment
    from muscope.reports.own_report import OwnReport

    here, sized = environment.describe(), prepared.sizes[0]
    choice = prepared.variant.choice
    table = own_check_view.in_lines(sized.roles, sized.activations.tensors)
    return OwnReport(
        title=verdict.label,
        verdict=verdict,
        grid=own_check.grid(prepared, arrivals),
        samples=[sample for arrival in arrivals for sample in arrival.samples],
        runs=_runs(prepared, arrivals),
        question={**_in_words(prepared), **table},
        environment={"torch": here.torch_version, "device": here.device},
        created_at=datetime.now(UTC),
        small_rates_only=choice is not None and choice.name == "sp",
    )


def _runs(prepared: "Prepared", arrivals: "Sequence[OwnArrival]") -> list[Any]:
    from muscope.reports.html import ReportRun

    key = prepared.variant.key
    ended = [
        ReportRun(
            variant=key,
            width=arrival.width,
            depth=arrival.depth,
            seed=arrival.seed,
            state=RunState.FINISHED if arrival.is_finite else RunState.DIVERGED,
            train_loss=arrival.losses[-1],
        )
        for arrival in arrivals
    ]
    failed = [
        ReportRun(key, f.width, f.depth or 0, 0, RunState.FAILED, note=f.sentence)
        for f in prepared.failures
    ]
    return [*ended, *failed]


def _console(file: Any) -> Console:
    """A console as wide as its terminal; a file or pipe gets lines of 100 columns."""
    width = None if file.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(file=file, width=width, highlight=False)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
