"""A learning-rate study seen in the terminal while it trains: how far it is, how long it takes."""

import time
from functools import lru_cache
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from muscope.machine import Machine
from muscope.plan import PlannedBundle
from muscope.reports import formats
from muscope.spec import RunSpec, StudySpec
from muscope.stages import remaining
from muscope.stages.remaining import Asked
from muscope.verdicts.transfer.places import Place, place_of


class SweepView:
    """A live bar on a terminal, a line after each bundle elsewhere; both with the time left.

    The bar is as long as what the search usually trains, so that it may stand or jump near its end.
    """

    def __init__(self, spec: StudySpec, machine: Machine, console: Console) -> None:
        self._spec, self._machine, self._console = spec, machine, console
        self._asked: list[Asked] = []
        self._begun: set[Place] = set()
        self._started_at = self._bundle_at = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1.0)

    def __enter__(self) -> Self:
        self._bar.start()
        self._console.print(f"time: {formats.about(self.left_s)} here", soft_wrap=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    @property
    def left_s(self) -> float:
        """Seconds that are left, by what was measured so far."""
        found = remaining.seconds(self._spec, self._asked, [self._machine], self._begun)
        return found or 0.0

    def step(self, bundle: PlannedBundle, step: int) -> None:
        """A step of a bundle is done."""
        run, members = bundle.runs[0], len(bundle.runs)
        if step == 0:
            self._bundle_at = time.monotonic()
            self._asked.append(Asked(run, members))
            self._begun |= {place_of(self._spec, one) for one in bundle.runs}
        is_last = step == run.steps
        seconds = time.monotonic() - self._bundle_at if is_last else None
        self._asked[-1] = Asked(run, members, (step + 1) / (run.steps + 1), seconds)
        words = f"{place(run)} · {formats.plural(members, 'run')}"
        if is_last:
            self._console.print(f"{words} · done · {self._left()}", soft_wrap=True)
        elif self._console.is_terminal:
            spent, left = time.monotonic() - self._started_at, self.left_s
            done = spent / (spent + left) if left else 1.0
            words = f"{words} · step {step} of {run.steps} · {self._left()}"
            self._bar.update(self._task, completed=done, description=words)

    def _left(self) -> str:
        left = self.left_s
        if left:
            return f"{formats.about(left)} left"
        return "the search may ask for more" if self._spec.has_stages else "all trained"


@lru_cache(maxsize=4)
def machine(threads: int) -> Machine:
    """This machine with so many threads, 0 are all; measured once in a process, which takes 1 s."""
    # only now torch, which takes seconds
    from muscope.lab import calibration, engine

    engine.set_threads(threads)
    return calibration.calibrate()


def place(run: RunSpec) -> str:
    """Where in the grid a bundle is."""
    further = (
        f" batch {run.batch_size}" if run.batch_size else "",
        f" sequences of {run.sequence_length}" if run.sequence_length else "",
    )
    return f"width {run.width} depth {run.depth}{''.join(further)} steps {run.steps}"
