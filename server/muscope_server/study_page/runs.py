"""The Runs tab: every run as a table lists it, and what all of them took."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from muscope import budget
from muscope.recorded import RecordedSpec
from muscope.reports import budget_lines, set_table
from muscope.reports.html import ReportRun
from muscope.storage import studies
from muscope.storage.budgets import BundleBudget
from muscope.storage.studies import RunRow, StudyRow
from muscope.vocabulary import RunState


def runs(conn: Connection, row: StudyRow) -> list[ReportRun]:
    """Every run, with what tells it from others where the study has several of that."""
    found, spec = studies.runs(conn, row.id), row.spec
    if isinstance(spec, RecordedSpec):
        return [_listed(run) for run in found]
    if spec.kind == "coordinate_check":
        several = len(spec.batch_sizes) > 1
        return [
            replace(_listed(run), batch_size=run.batch_size if several else None) for run in found
        ]
    base = {variant.key: variant.optimizer.learning_rate for variant in spec.variants}
    return [
        replace(
            _listed(run),
            note=_part_note(run),
            learning_rate=base[run.variant] * 2.0**run.octave,
            batch_size=run.batch_size if spec.batch_sizes else None,
            sequence_length=run.sequence_length,
            steps=run.steps if spec.step_counts else None,
        )
        for run in found
    ]


def _listed(run: RunRow) -> ReportRun:
    """A run as tables list it, with its end in a sentence."""
    return ReportRun(
        variant=run.variant,
        width=run.width,
        depth=run.depth,
        seed=run.seed,
        state=run.state,
        train_loss=run.train_loss,
        seconds=run.seconds,
        device=run.device or "",
        note=_note(run),
    )


def _note(run: RunRow) -> str:
    if run.tuned:
        return " · ".join(filter(None, [set_table.in_words(run.tuned), _end(run)]))
    if run.reused_from:
        return " · ".join(filter(None, [f"reused from study {run.reused_from}", _end(run)]))
    return _end(run)


def _part_note(run: RunRow) -> str:
    """The note of a run of a learning-rate study, and that it is one of its coordinate check."""
    is_checked = run.record not in (None, "losses")
    return " · ".join(filter(None, ["coordinate check" if is_checked else "", _note(run)]))


def _end(run: RunRow) -> str:
    """Why a run ended as it did, where that needs words."""
    if run.error_text:
        return run.error_text
    if run.state is RunState.DIVERGED and run.first_nonfinite_tensor:
        where = f"step {run.first_nonfinite_step}, first in {run.first_nonfinite_tensor}"
        return f"not finite from {where}"
    if run.attempts > 1:
        return ": ".join(filter(None, [f"attempt {run.attempts}", run.resume_note]))
    return ""


def taken(bundles: Sequence[BundleBudget]) -> str:
    """What the study took so far, in a sentence; nothing before the first bundle has ended."""
    own = [entry.budget for entry in bundles if entry.budget and not entry.reused]
    total = budget.total(own)
    return budget_lines.taken(total) if total else ""
