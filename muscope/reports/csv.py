"""Measurements as CSV, row by row: what it holds is what the charts show."""

import csv
import io
from collections.abc import Iterable, Iterator

from muscope.records import Sample, Values
from muscope.spec import StudySpec
from muscope.verdicts.transfer.losses import Trial
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import Axis, RunState

HEADER = (
    "variant", "width", "depth", "batch_size", "seed", "step", "tensor", "role", "kind",
    *Values._fields,
)  # fmt: skip
RISKY_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs text that starts like this as a formula."""


def lines(rows: Iterable[Iterable[object]], header: Iterable[object] = HEADER) -> Iterator[str]:
    """The header and one line per row; never more than one line in memory."""
    yield line(header)
    for row in rows:
        yield line(row)


def row(sample: Sample) -> tuple[object, ...]:
    """A sample in the order of the header."""
    return (
        sample.variant, sample.width, sample.depth, sample.batch_size, sample.seed, sample.step,
        sample.tensor, sample.role.value, sample.kind.value, *sample.values,
    )  # fmt: skip


def losses(spec: StudySpec, trials: Iterable[Trial]) -> Iterator[str]:
    """The losses of a learning-rate study, a line per run, after a header.

    `loss` is the one that is judged, `train_loss` the mean of the last training losses; batch size
    and sequence length are empty where they are the model's own. `state` is how the run ended and
    `step` the last one that it took, of `steps` planned; of a run that was stopped early, `loss` is
    the training loss there.
    """
    rates = {variant.key: variant.optimizer.learning_rate for variant in spec.variants}
    header = (
        "variant", "width", "depth", "octave", "learning_rate", "seed", "loss", "start",
        "train_loss", "batch_size", "sequence_length", "steps", "state", "step",
    )  # fmt: skip
    rows = (
        (
            trial.variant, trial.width, trial.depth, trial.octave,
            rates[trial.variant] * 2.0**trial.octave, trial.seed,
            trial.at_step if trial.state is RunState.SKIPPED else trial.loss, trial.start,
            trial.train_loss, trial.batch_size, trial.sequence_length, trial.steps,
            trial.state.value, trial.step,
        )
        for trial in trials
    )  # fmt: skip
    return lines(rows, header)


SLOPE_FIELDS = (
    "axis", "width", "depth", "batch_size", "tensor", "role", "kind", "step", "statistic",
    "verdict", "slope", "low", "high", "seeds", "tolerance", "smallest_detectable", "curvature",
    "curvature_low", "curvature_high", "bends", "expected", "as_expected", "exception", "source",
)  # fmt: skip
"""Of a cell, as its fields are called; before them the variant, behind them the places."""


def slopes(verdicts: Iterable[VariantVerdict]) -> Iterator[str]:
    """Every slope of every axis, a line per cell; `places` are those on its axis."""
    rows = (
        (
            verdict.variant,
            *(getattr(cell, name) for name in SLOPE_FIELDS),
            " ".join(map(str, cell.widths)),
        )
        for verdict in verdicts
        for axis in Axis
        for cell in verdict.cells_on(axis)
    )
    return lines(rows, ("variant", *SLOPE_FIELDS, "places"))


def line(cells: Iterable[object]) -> str:
    """One CSV line; numbers stay numbers, None is empty, risky text gets a leading quote."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([safe(cell) for cell in cells])
    return buffer.getvalue()


def safe(cell: object) -> object:
    """The cell, unless it is text that a spreadsheet would run."""
    if isinstance(cell, str) and cell.startswith(RISKY_STARTS):
        return f"'{cell}"
    return cell
