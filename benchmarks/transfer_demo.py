"""The demo of transfer as `muscope presets run transfer-demo --size laptop` trains it, timed.

It has to show, within six minutes on two idle cores, that the best learning rate of SP drifts and
that of µP does not. Where others share the cores, the seconds of this process's own work say more
than those on the clock; half of them is what two idle cores take at best.
"""

import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence

import torch
from rich.console import Console

from benchmarks import report
from muscope import in_process, plan
from muscope.cli.sweep_view import SweepView, machine
from muscope.lab import engine
from muscope.presets import PRESETS
from muscope.spec import StudySpec
from muscope.verdicts.transfer.judge import judge
from muscope.verdicts.transfer.losses import Trial
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.vocabulary import TransferVerdict

EXPECTED = (TransferVerdict.DRIFTS, TransferVerdict.TRANSFERS)
"""Of SP and of µP."""
TARGET_S = 360.0


def busy_s() -> float:
    """Seconds that the cores worked for this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def trained(spec: StudySpec, threads: int) -> tuple[Sequence[Trial], float]:
    """All trials, and the operations that they took."""
    trials: Sequence[Trial] = ()
    spent = 0.0
    with SweepView(spec, machine(threads), Console(stderr=True)) as view:
        for bundle, known in in_process.sweep(spec, view.step):
            trials, spent = known, spent + bundle.flops
    return trials, spent


def said(judged: TransferJudgement) -> str:
    """A variant's optima and its drift."""
    optima = ", ".join(
        "none" if one.optimum is None else f"{judged.log2_rate(one.optimum):.2f}"
        for one in judged.optima
    )
    return f"{judged.verdict.value}: {optima}; {judged.sentence()}"


def main() -> None:
    """Train it once and print the row."""
    options = report.arguments("Time of the demo of transfer.", repeat=1)
    (spec,) = PRESETS["transfer-demo"].studies("laptop")
    engine.set_threads(0)
    started_at, before = time.perf_counter(), busy_s()
    trials, spent = trained(spec, 0)
    seconds, busy = time.perf_counter() - started_at, busy_s() - before
    counts = Counter(trial.variant for trial in trials)
    judged = judge(spec, trials, runs_judged=counts, final=True)
    threads = torch.get_num_threads()
    planned = plan.plan(spec)
    row: dict[str, str | float] = {
        "threads": str(threads),
        "time": f"{seconds:.0f} s",
        "cores busy": f"{busy:.0f} s",
        "at best": f"{busy / threads:.0f} s",
        "runs": f"{len(trials)} of {planned.run_count}",
        "operations": f"{spent / 1e12:.1f} T, {spent / planned.flops:.0%} of the grid",
    }
    row |= {one.label.split(" · ")[1]: said(one) for one in judged}
    report.say(row, as_json=options.json)
    if tuple(one.verdict for one in judged) != EXPECTED:
        sys.exit("SP should drift and µP transfer")
    if busy / threads > TARGET_S:
        sys.exit(f"two idle cores would take more than {TARGET_S:.0f} s")


if __name__ == "__main__":
    main()
