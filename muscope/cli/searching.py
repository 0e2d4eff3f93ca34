"""`muscope check` of a hyperparameter search: trained in stages, judged, printed as a table."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from muscope.cli import terminal
from muscope.plan import Plan
from muscope.reports import formats, html, set_table
from muscope.reports.html import ReportInput, ReportRun
from muscope.reports.set_table import SetRow
from muscope.spec import StudySpec, digest
from muscope.verdicts.hyperparameters.types import SearchJudgement
from muscope.vocabulary import RunState, SearchVerdict

if TYPE_CHECKING:
    from muscope.cli.checking import Outputs
    from muscope.verdicts.hyperparameters.trials import SetTrial

STYLES = {
    SearchVerdict.HOLDS: "green",
    SearchVerdict.LOSES: "yellow",
    SearchVerdict.INCONCLUSIVE: "yellow",
    SearchVerdict.NONE_STEADY: "bold red",
}
LISTED = 10
"""Sets that a terminal lists."""


def run(spec: StudySpec, planned: Plan, outputs: "Outputs", *, threads: int) -> int:
    """Search, judge, print and write; the exit code is 0 unless the study is refused."""
    trials = searched(spec, planned, threads=threads)
    judged = verdicts(spec, trials)
    if outputs.as_json:
        print(json.dumps(_as_data(spec, judged), indent=2, ensure_ascii=False))
    else:
        terminal.console().print(Group(*map(view, judged)))
    if outputs.csv:
        with outputs.csv.open("w", encoding="utf-8", newline="") as file:
            file.writelines(set_table.as_csv(judged))
        print(f"sets: {outputs.csv}", file=sys.stderr)
    if outputs.report:
        outputs.report.write_text(report(spec, trials, judged), encoding="utf-8")
        print(f"report: {outputs.report}", file=sys.stderr)
    return 0


def verdicts(spec: StudySpec, trials: Sequence["SetTrial"]) -> tuple[SearchJudgement, ...]:
    """The verdicts on all that was tried."""
    from muscope.verdicts.hyperparameters.judge import judge  # scipy, as below

    counts = Counter(trial.variant for trial in trials)
    return judge(spec, trials, runs_judged=counts, final=True)


def view(judged: SearchJudgement) -> Group:
    """A variant's verdict in a sentence, the set to take, and the best sets at every width."""
    found = set_table.table(judged, LISTED)
    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    *numbers, words = _headers(found.names, found.widths)
    for header in numbers:
        rows.add_column(header, justify="right")
    rows.add_column(words)
    for row in found.rows:
        rows.add_row(*_cells(row, found.widths))
    sentence = f"{formats.words(judged.verdict)}: {judged.sentence()}"
    lines = [*set_table.agreements(judged), set_table.edges(judged)]
    if found.left_out:
        lines.append(f"{formats.plural(found.left_out, 'set')} more: take --csv")
    return Group(
        Text.assemble((judged.label, "bold"), "   ", (sentence, STYLES[judged.verdict])),
        Text(_winner(judged)),
        rows,
        *(Text(line, style="dim") for line in lines if line),
        Text(),
    )


def _headers(names: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    yield "set"
    yield from (name.removesuffix(" multiplier") for name in names)
    yield from (f"loss at {width}" for width in widths)
    yield ""


def _cells(row: SetRow, widths: Sequence[int]) -> Iterator[str]:
    yield str(row.number)
    yield from row.values
    yield from ("–" if cell is None else cell.words for cell in row.cells)
    unsteady = (
        f"unsteady at {width}: {cell.steadiness}"
        for width, cell in zip(widths, row.cells, strict=True)
        if cell and not cell.is_steady
    )
    yield "; ".join(filter(None, (row.marks, *unsteady)))


def _winner(judged: SearchJudgement) -> str:
    if judged.winning is None:
        return "no set has a loss"
    values = judged.winning.values.items()
    return "take " + ", ".join(f"{formats.words(name)} {value:.4g}" for name, value in values)


def searched(spec: StudySpec, planned: Plan, *, threads: int) -> tuple["SetTrial", ...]:
    """Train a search here, with its progress on stderr."""
    # only now torch and scipy, which take seconds: a mistake in the study is said at once
    from muscope import in_process
    from muscope.cli import checking
    from muscope.lab import engine

    engine.set_threads(threads)
    checking.fits_here(planned)
    checking.read_data(spec)
    known: tuple[SetTrial, ...] = ()
    spent, started_at = 0.0, time.monotonic()
    for bundle, trials in in_process.search(spec):
        known, spent = trials, spent + bundle.flops
        print(_progress(bundle.runs[0].width, len(bundle.runs), spent / planned.flops, started_at),
              file=sys.stderr)  # fmt: skip
    return known


def _progress(width: int, runs: int, share: float, started_at: float) -> str:
    """What has been done, and how long all that may come would take at the same speed."""
    seconds = time.monotonic() - started_at
    left = seconds / share - seconds if share else 0.0
    ahead = f", at most {formats.about(left)} left" if share < 1 else ""
    done = formats.plural(runs, "run")
    return f"width {width}: {done} done, {share:.0%} of the most there is{ahead}"


def _as_data(spec: StudySpec, judged: Iterable[SearchJudgement]) -> dict[str, object]:
    return {
        "study": spec.model_dump(mode="json"),
        "digest": digest(spec),
        "verdicts": [{"sentence": one.sentence(), **one.model_dump(mode="json")} for one in judged],
    }


def report(spec: StudySpec, trials: Sequence["SetTrial"], judged: Sequence[SearchJudgement]) -> str:
    """The offline report of a search."""
    from muscope.cli import checking  # as above

    content = ReportInput(
        spec=spec,
        verdicts=(),
        samples=(),
        runs=[_report_run(spec, trial) for trial in trials],
        environment=checking.environment_of(spec),
        created_at=datetime.now(UTC),
        searches=judged,
    )
    return html.render(content)


def _report_run(spec: StudySpec, trial: "SetTrial") -> ReportRun:
    rates = {variant.key: variant.optimizer.learning_rate for variant in spec.variants}
    is_finite = trial.loss is not None and abs(trial.loss) < float("inf")
    return ReportRun(
        variant=trial.variant,
        width=trial.width,
        depth=spec.depths[0],
        seed=trial.seed,
        state=RunState.FINISHED if is_finite else RunState.DIVERGED,
        train_loss=None if spec.held_out else trial.loss,
        learning_rate=rates[trial.variant] * 2.0**trial.point.octave,
        note=set_table.in_words(dict(trial.point.tuned)),
    )
