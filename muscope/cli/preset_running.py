"""What `muscope presets run` does: every study of a preset trained here, judged and printed."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Group

from muscope import presets
from muscope.cli import (
    checking,
    cost,
    preflight,
    preset_view,
    rate_view,
    searching,
    sweeping,
    terminal,
)
from muscope.cli.preflight import Refusal
from muscope.plan import Plan
from muscope.presets import Preset, Size
from muscope.reports import html
from muscope.reports.html import ReportInput
from muscope.reports.verdict_table import verdict_table
from muscope.spec import StudySpec, digest
from muscope.verdicts.hyperparameters.types import SearchJudgement
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict


@dataclass(frozen=True, slots=True)
class Answer:
    """A study with its verdicts, and its report, which is made when it is asked for."""

    spec: StudySpec
    verdicts: Sequence[VariantVerdict] | Sequence[TransferJudgement] | Sequence[SearchJudgement]
    report: Callable[[], str]


def run(name: str, size: Size, *, as_json: bool, folder: Path | None, threads: int) -> None:
    """Train, judge and print every study of a preset; ValueError or Refusal where it cannot be."""
    preset = presets.preset(name)
    planned = [(spec, preset_view.planned_here(spec)) for spec in preset.studies(size)]
    preflight.torch_is_installed()
    if folder:
        _make(folder)
    answers = []
    for number, (spec, one) in enumerate(planned, start=1):
        print(f"study {number} of {len(planned)}: {spec.name}", file=sys.stderr)
        for line in (*cost.lines(one), *cost.power(spec)):
            print(line, file=sys.stderr)
        answer = _answer(spec, one, threads=threads)
        answers.append(answer)
        if folder:
            path = folder / f"{name}-{size}-{number}.html"
            path.write_text(answer.report(), encoding="utf-8")
            print(f"report: {path}", file=sys.stderr)
        if not as_json:
            _print(answer)
    if as_json:
        print(json.dumps(_as_data(preset, size, answers), indent=2, ensure_ascii=False))
        return
    preset_view.print_published(preset)
    print(f"published ({preset.source}): {preset.claim}")
    if size == "smoke":
        print("a smoke run shows that everything runs; it is too small to show the claim")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(f"{folder} is no folder that can be written: {error.strerror}") from error


def _answer(spec: StudySpec, planned: Plan, *, threads: int) -> Answer:
    # only now torch and scipy, which take seconds: a mistake is said at once
    from muscope.lab import engine

    engine.set_threads(threads)
    checking.fits_here(planned)
    checking.read_data(spec)
    if spec.kind == "coordinate_check":
        trained, verdicts = checking.train(spec, planned, threads=threads)
        return Answer(spec, verdicts, partial(checking.report, spec, trained, verdicts))
    if spec.kind == "hyperparameter_search":
        trials = searching.searched(spec, planned, threads=threads)
        found = searching.verdicts(spec, trials)
        return Answer(spec, found, partial(searching.report, spec, trials, found))
    judged = sweeping.judged(spec, sweeping.trained(spec, threads=threads))
    content = ReportInput(
        spec=spec,
        verdicts=(),
        samples=(),
        runs=(),
        environment=checking.environment_of(spec),
        created_at=datetime.now(UTC),
        transfer=judged,
    )
    return Answer(spec, judged, partial(html.render, content))


def _print(answer: Answer) -> None:
    checks = [one for one in answer.verdicts if isinstance(one, VariantVerdict)]
    sweeps = [one for one in answer.verdicts if isinstance(one, TransferJudgement)]
    searches = [one for one in answer.verdicts if isinstance(one, SearchJudgement)]
    console = terminal.console()
    if checks:
        console.print(verdict_table(checks))
    if sweeps:
        console.print(Group(*map(rate_view.table, sweeps)))
    if searches:
        console.print(Group(*map(searching.view, searches)))


def _as_data(preset: Preset, size: Size, answers: Sequence[Answer]) -> dict[str, object]:
    return {
        "preset": preset_view.about(preset),
        "size": size,
        "studies": [
            {
                "study": answer.spec.model_dump(mode="json"),
                "digest": digest(answer.spec),
                "verdicts": [
                    {"sentence": one.sentence(), **one.model_dump(mode="json")}
                    for one in answer.verdicts
                ],
            }
            for answer in answers
        ],
    }
