"""A learning-rate study trained here stage by stage, with its progress, and judged."""

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from muscope.cli import terminal
from muscope.cli.sweep_view import SweepView, machine
from muscope.spec import StudySpec
from muscope.verdicts.transfer.types import TransferJudgement

if TYPE_CHECKING:
    from muscope.verdicts.transfer.losses import Trial


def trained(spec: StudySpec, *, threads: int) -> "Sequence[Trial]":
    """Train a learning-rate study here, with its progress on stderr: every run with its loss."""
    # only now torch, which takes seconds: a mistake in the study is said at once
    from muscope import in_process
    from muscope.lab import engine

    engine.set_threads(threads)
    known: Sequence[Trial] = ()
    with SweepView(spec, machine(threads), terminal.console(sys.stderr)) as view:
        for _, trials in in_process.sweep(spec, view.step):
            known = trials
    return known


def judged(spec: StudySpec, known: "Sequence[Trial]") -> tuple[TransferJudgement, ...]:
    """The verdicts on all that was trained."""
    from muscope.verdicts.transfer.judge import judge  # as above, scipy

    counts = Counter(trial.variant for trial in known)
    return judge(spec, known, runs_judged=counts, final=True)
