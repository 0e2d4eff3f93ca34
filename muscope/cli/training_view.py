"""Training seen in the terminal: a bar with provisional verdicts, or plain lines in a log."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from muscope import catalogue
from muscope.cli import so_far
from muscope.plan import Plan, PlannedBundle
from muscope.verdicts.types import VariantVerdict


class TrainingView:
    """Follows the bundles of a plan; the bar moves by their FLOPs, so that it moves evenly."""

    def __init__(self, planned: Plan, console: Console) -> None:
        self._bundles, self._console = planned.bundles, console
        self._stages, self._before = 0, 0.0
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        self._task = self._bar.add_task("loading torch", total=planned.flops)
        self._live = Live(self._bar, console=console, transient=True, refresh_per_second=4)
        self._started_at = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._console.print("loading torch")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def say(self, words: str) -> None:
        """Print a line that stays."""
        self._console.print(words, soft_wrap=True)

    def stage(self, bundles: tuple[PlannedBundle, ...]) -> None:
        """Go on with the bundles of the next stage; the bar is as long as all that may come."""
        self._before += sum(bundle.flops for bundle in self._bundles) if self._stages else 0.0
        self._stages, self._bundles = self._stages + 1, bundles

    def show(self, bundle: PlannedBundle, step: int, verdicts: Sequence[VariantVerdict]) -> None:
        """Show that a step of a bundle is done, with the verdicts so far."""
        number = self._bundles.index(bundle)
        stage = f"stage {self._stages} · " if self._stages > 1 else ""
        words = f"{stage}bundle {number + 1} of {len(self._bundles)} · {_title(bundle)}"
        if self._console.is_terminal:
            self._advance(number, step, words)
            self._live.update(Group(self._bar, so_far.table(verdicts)))
        elif step == bundle.runs[0].steps:
            seconds = time.monotonic() - self._started_at
            self._console.print(f"{words} · done after {seconds:.1f} s", soft_wrap=True)

    def _advance(self, number: int, step: int, words: str) -> None:
        last = self._bundles[number].runs[0].steps
        before = self._before + sum(bundle.flops for bundle in self._bundles[:number])
        done = before + self._bundles[number].flops * (step + 1) / (last + 1)
        self._bar.update(self._task, completed=done, description=f"{words} · step {step} of {last}")


def _title(bundle: PlannedBundle) -> str:
    run = bundle.runs[0]
    model = catalogue.MODELS[run.variant.model.name].title
    optimizer = catalogue.OPTIMIZERS[run.variant.optimizer.name].title
    batch_size = f" batch {run.batch_size}" if run.batch_size else ""
    length = f" sequences of {run.sequence_length}" if run.sequence_length else ""
    return f"{model} {optimizer} width {run.width} depth {run.depth}{batch_size}{length}"
