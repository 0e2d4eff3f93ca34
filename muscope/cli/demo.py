"""The demo study of `muscope up`: submitted, then its progress shown in the terminal."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from celery import Celery
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from muscope import dispatch, plan
from muscope.cli import so_far
from muscope.presets import demo
from muscope.storage import bundles, events, studies, verdicts
from muscope.storage.database import Database
from muscope.storage.events import EventRow
from muscope.verdicts.types import VariantVerdict

POLL_S = 0.5


def submit(db: Database, app: Celery) -> str:
    """Create the demo study, then send its bundles; give its id."""
    spec = demo.demo()
    with db.write() as conn:
        study_id, _ = studies.create(conn, spec, plan.plan(spec))
    with db.write() as conn:
        waiting = bundles.queued_ids(conn, study_id)
        bundles.mark_sent(conn, waiting)
    dispatch.send(app, waiting)
    return study_id


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a study stands."""

    ended: int
    total: int
    verdicts: tuple[VariantVerdict, ...]
    is_over: bool


class Watch:
    """Follows a study in the database and shows it: a live bar on a terminal, lines elsewhere."""

    def __init__(self, db: Database, study_id: str, console: Console) -> None:
        self.study_id = study_id
        self._db, self._console = db, console
        self._seq, self._next_at = 0, 0.0
        self._last: Standing | None = None
        self._bar = Progress(
            TextColumn("demo"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("runs"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
        )
        self._task = self._bar.add_task("waiting for the worker", total=None)
        self._live = Live(self._bar, console=console, transient=True, refresh_per_second=4)

    def poll(self) -> bool:
        """Look, at most twice a second, and show what is new; say whether the study is over."""
        if time.monotonic() < self._next_at:
            return False
        self._next_at = time.monotonic() + POLL_S
        standing, news = self._look()
        if self._console.is_terminal:
            self._live.start()
            self._draw(standing, news)
        else:
            self._tell(standing)
        self._last = standing
        if standing.is_over:
            self.close()
        return standing.is_over

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()

    def _look(self) -> tuple[Standing, list[EventRow]]:
        with self._db.read() as conn:
            study = studies.get(conn, self.study_id)
            judged = tuple(verdicts.of_study(conn, self.study_id))
            is_judged = self.study_id not in verdicts.unjudged(conn)
            news = events.since(conn, self.study_id, self._seq)
        counts = study.counts if study else {}
        ended = sum(count for state, count in counts.items() if state.is_terminal)
        total = sum(counts.values())
        return Standing(ended, total, judged, is_over=ended == total and is_judged), news

    def _draw(self, standing: Standing, news: Sequence[EventRow]) -> None:
        self._bar.update(self._task, completed=standing.ended, total=standing.total)
        for event in news:
            self._seq = event.seq
            if event.kind == "step" and event.data:
                step = "bundle {bundle} · step {step} of {steps}".format(**event.data)
                self._bar.update(self._task, description=step)
        self._live.update(Group(self._bar, so_far.table(standing.verdicts)))

    def _tell(self, standing: Standing) -> None:
        if self._last is None or self._last.ended != standing.ended:
            judged = [verdict for verdict in standing.verdicts if verdict.cells]
            words = ", ".join(f"{verdict.label} {so_far.word(verdict)}" for verdict in judged)
            line = f"demo: {standing.ended} of {standing.total} runs have ended"
            text = f"{line}; so far: {words}" if words else line
            self._console.print(text, soft_wrap=True)
