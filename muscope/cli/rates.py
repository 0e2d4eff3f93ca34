"""`muscope check` of a learning-rate study, with its coordinate check if it has one."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from rich.console import Group

from muscope import __version__, plan
from muscope.cli import checking, joined_view, rate_view, sweeping, terminal
from muscope.cli.checking import Outputs, Trained
from muscope.cli.gating import Gate
from muscope.gate import Checked
from muscope.plan import Plan
from muscope.reports import csv, html
from muscope.reports.html import ReportInput, ReportRun
from muscope.reports.verdict_table import verdict_table
from muscope.spec import StudySpec, digest
from muscope.verdicts import baseline
from muscope.verdicts.joined.judge import join, told
from muscope.verdicts.transfer.losses import Trial
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict


@dataclass(frozen=True, slots=True)
class Swept:
    """What a learning-rate study gave here; without a coordinate check there are no `verdicts`."""

    spec: StudySpec
    trained: Trained
    verdicts: tuple[VariantVerdict, ...]
    trials: Sequence[Trial]
    transfers: tuple[TransferJudgement, ...]


def run(spec: StudySpec, planned: Plan, outputs: Outputs, gate: Gate, *, threads: int) -> int:
    """Check and sweep, judge, print and write; the exit code is that of the gate."""
    settings = spec.model_dump(mode="json")
    gate.refuse_unlike(settings)
    started_at = time.monotonic()
    found = _trained(spec, planned, threads=threads)
    _print(found, as_json=outputs.as_json)
    _write(found, outputs)
    environment = checking.environment_of(spec)
    kept = (found.verdicts, settings)
    now = baseline.keep(*kept, version=__version__, environment=environment)
    checked = Checked(
        name=spec.name,
        verdicts=found.verdicts,
        transfers=found.transfers,
        joined=told(spec, found.verdicts, found.transfers),
        policy=gate.policy,
        settings=settings,
        seconds=time.monotonic() - started_at,
        comparison=gate.compared(now),
    )
    return gate.close(checked, now if found.verdicts else None)


def _trained(spec: StudySpec, planned: Plan, *, threads: int) -> Swept:
    checking.fits_here(planned)
    checking.read_data(spec)
    trained, verdicts = Trained(), tuple[VariantVerdict, ...]()
    if check := spec.coordinate_check:
        trained, verdicts = checking.train(check, plan.plan(check), threads=threads)
    sweep = spec.sweep or spec
    trials = sweeping.trained(sweep, threads=threads)
    return Swept(spec, trained, verdicts, trials, sweeping.judged(sweep, trials))


def _print(found: Swept, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_as_data(found), indent=2, ensure_ascii=False))
        return
    console = terminal.console()
    if found.verdicts:
        console.print(verdict_table(found.verdicts))
        console.print()
    console.print(Group(*map(rate_view.table, found.transfers)))
    said = told(found.spec, found.verdicts, found.transfers)
    console.print(Group(*map(joined_view.lines, said)))


def _as_data(found: Swept) -> dict[str, object]:
    judged: list[VariantVerdict | TransferJudgement] = [*found.verdicts, *found.transfers]
    joined = join(found.spec, found.verdicts, found.transfers)
    return {
        "study": found.spec.model_dump(mode="json"),
        "digest": digest(found.spec),
        "verdicts": [{"sentence": one.sentence(), **one.model_dump(mode="json")} for one in judged],
        "joined": [one.model_dump(mode="json") for one in joined],
    }


def _write(found: Swept, outputs: Outputs) -> None:
    if outputs.csv:
        with outputs.csv.open("w", encoding="utf-8", newline="") as file:
            file.writelines(csv.losses(found.spec, found.trials))
        print(f"losses: {outputs.csv}", file=sys.stderr)
    if outputs.csv and found.trained.samples:
        beside = outputs.csv.with_suffix(".check.csv")
        with beside.open("w", encoding="utf-8", newline="") as file:
            file.writelines(csv.lines(map(csv.row, found.trained.samples)))
        print(f"measurements of the check: {beside}", file=sys.stderr)
    if outputs.report:
        outputs.report.write_text(report(found), encoding="utf-8")
        print(f"report: {outputs.report}", file=sys.stderr)


def report(found: Swept) -> str:
    """The report of a study that was trained here."""
    content = ReportInput(
        spec=found.spec,
        verdicts=found.verdicts,
        samples=found.trained.samples,
        runs=[*_checked_runs(found), *_swept_runs(found)],
        environment=checking.environment_of(found.spec),
        created_at=datetime.now(UTC),
        transfer=found.transfers,
    )
    return html.render(content)


def _checked_runs(found: Swept) -> Iterator[ReportRun]:
    rates = _rates(found.spec)
    for run, loss in found.trained.ended:
        plain = checking.report_run(run, loss, several=False)
        yield replace(plain, learning_rate=rates[run.variant.key], note="coordinate check")


def _swept_runs(found: Swept) -> Iterator[ReportRun]:
    rates = _rates(found.spec)
    for trial in found.trials:
        yield ReportRun(
            variant=trial.variant,
            width=trial.width,
            depth=trial.depth,
            seed=trial.seed,
            state=trial.state,
            train_loss=trial.train_loss,
            learning_rate=rates[trial.variant] * 2.0**trial.octave,
            batch_size=trial.batch_size,
            sequence_length=trial.sequence_length,
            steps=trial.steps,
        )


def _rates(spec: StudySpec) -> dict[str, float]:
    return {variant.key: variant.optimizer.learning_rate for variant in spec.variants}
