"""`muscope check` of a learning-rate study: trained stage by stage, judged, printed as a table."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from muscope.cli.preflight import Refusal
from muscope.plan import Plan
from muscope.reports import formats
from muscope.spec import StudySpec, digest
from muscope.verdicts.transfer.types import TransferJudgement, WidthOptimum
from muscope.vocabulary import TransferVerdict

if TYPE_CHECKING:
    from muscope.cli.checking import Outputs
    from muscope.verdicts.transfer.losses import Trial

STYLES = {
    TransferVerdict.TRANSFERS: "green",
    TransferVerdict.DRIFTS: "bold red",
    TransferVerdict.INCONCLUSIVE: "yellow",
    TransferVerdict.NOT_BRACKETED: "yellow",
}


def run(spec: StudySpec, planned: Plan, outputs: "Outputs", *, threads: int) -> int:
    """Sweep, judge and print; the exit code is 0 unless the study is refused."""
    for path in filter(None, (outputs.report, outputs.csv)):
        raise Refusal(f"{path}: a learning-rate study has no report or CSV yet; take --json")
    judged = swept(spec, planned, threads=threads)
    if outputs.as_json:
        print(json.dumps(_as_data(spec, judged), indent=2, ensure_ascii=False))
    else:
        Console().print(Group(*map(table, judged)))
    return 0


def table(judged: TransferJudgement) -> Group:
    """A variant's optimum at every width, and its verdict in a sentence."""
    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for header in ("width", "depth", "optimum, log2(rate)", "90 % interval", "best loss", "rates"):
        rows.add_column(header, justify="right", no_wrap=True)
    for one in judged.optima:
        rows.add_row(*_cells(one, judged))
    sentence = f"{formats.words(judged.verdict)}: {judged.sentence()}"
    return Group(
        Text.assemble((judged.label, "bold"), "   ", (sentence, STYLES[judged.verdict])),
        rows,
        Text(),
    )


def _cells(one: WidthOptimum, judged: TransferJudgement) -> Iterable[str]:
    losses = [cell.loss for cell in one.cells if cell.loss is not None]
    yield str(one.width)
    yield str(one.depth)
    yield "not bracketed" if one.optimum is None else f"{judged.log2_rate(one.optimum):.2f}"
    if one.low is None or one.high is None:
        yield "–"
    else:
        yield f"{judged.log2_rate(one.low):.2f} to {judged.log2_rate(one.high):.2f}"
    yield f"{min(losses):.4f}" if losses else "diverged"
    yield str(len(one.cells))


def swept(spec: StudySpec, planned: Plan, *, threads: int) -> tuple[TransferJudgement, ...]:
    """Train a learning-rate study here, with its progress on stderr, and judge it."""
    # only now torch and scipy, which take seconds: a mistake in the study is said at once
    from muscope import in_process
    from muscope.lab import engine
    from muscope.verdicts.transfer.judge import judge

    engine.set_threads(threads)
    known: Sequence[Trial] = ()
    spent = 0.0
    for bundle, trials in in_process.sweep(spec):
        known, spent = trials, spent + bundle.flops
        first = bundle.runs[0]
        print(
            f"width {first.width} depth {first.depth}: {len(bundle.runs)} runs done, "
            f"{spent / planned.flops:.0%} of the full grid's FLOPs so far",
            file=sys.stderr,
        )
    counts = Counter(trial.variant for trial in known)
    return judge(spec, known, runs_judged=counts, final=True)


def _as_data(spec: StudySpec, judged: Sequence[TransferJudgement]) -> dict[str, object]:
    return {
        "study": spec.model_dump(mode="json"),
        "digest": digest(spec),
        "verdicts": [{"sentence": one.sentence(), **one.model_dump(mode="json")} for one in judged],
    }
