"""The result of `muscope.coordinate_check` and of `muscope check FILE.py`."""

import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from rich.console import Console

from muscope import __version__
from muscope import own_check as checks
from muscope.check_result import words
from muscope.gate import Checked, Lost, Policy, Source
from muscope.gate.policy import SURE
from muscope.lab.own_model import size_in_words
from muscope.own_check import Failure, OwnArrival, Prepared
from muscope.own_check.question import NOT_GIVEN
from muscope.plots import coordinate_check, drawing
from muscope.records import Sample
from muscope.reports import csv, own_report
from muscope.reports.verdict_table import verdict_table
from muscope.verdicts import baseline
from muscope.verdicts.baseline import Baseline, Comparison
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import Axis, Statistic, TensorKind

WIDTH = 100
"""Columns of the table where no terminal says how wide it is."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A finished check: `.verdict` says what became of every tensor.

    `print(result.table())` for people, `.figure()` in a notebook, `.report(path)` for colleagues,
    `.passed()` for programs.
    """

    prepared: Prepared
    arrivals: tuple[OwnArrival, ...]
    verdict: VariantVerdict
    seconds: float

    @classmethod
    def of(
        cls, prepared: Prepared, arrivals: Iterable[OwnArrival], seconds: Callable[[], float]
    ) -> "CheckResult":
        """Judge what was trained; `seconds` is asked when all of it was."""
        trained = tuple(arrivals)
        verdict = checks.judge(prepared, trained, final=True)
        return cls(prepared, trained, verdict, seconds())

    @property
    def failures(self) -> Sequence[Failure]:
        """The sizes that could not be judged, each with a sentence and its error."""
        return tuple(self.prepared.failures)

    @property
    def notes(self) -> Sequence[str]:
        """What was assumed, and what the training has shown."""
        return tuple(self.prepared.said)

    @property
    def samples(self) -> list[Sample]:
        """Every measurement."""
        return [sample for arrival in self.arrivals for sample in arrival.samples]

    def passed(self, fail_on: str | Iterable[str] = SURE) -> bool:
        """Whether no tensor has a verdict of `fail_on`, and every size was judged.

        Unless told otherwise an inconclusive check has not passed.
        """
        return self.checked(Policy.of(fail_on, "fail_on")).has_passed

    def checked(self, policy: Policy, against: Baseline | None = None) -> Checked:
        """What a build is told, perhaps compared with a baseline."""
        return Checked(
            name=self.prepared.question.name,
            verdicts=(self.verdict,),
            policy=policy,
            settings=words.settings(self.prepared),
            seconds=self.seconds,
            lost=tuple(
                Lost(size_in_words(failure.width, failure.depth), failure.sentence)
                for failure in self.prepared.failures
            ),
            comparison=self.compared(against) if against else None,
            source=_source(self.prepared),
        )

    def baseline(self) -> Baseline:
        """Its slopes, to compare a later check with."""
        return baseline.keep(
            (self.verdict,),
            words.settings(self.prepared),
            version=__version__,
            environment=words.measured_on(),
        )

    def compared(self, before: Baseline) -> Comparison:
        """Its slopes against those of an earlier check; ValueError where settings differ."""
        now = self.baseline()
        baseline.refuse_unlike(before.settings, now.settings)
        return baseline.compare(before, now)

    def table(self, width: int = WIDTH) -> str:
        """The verdict table as text of so many columns: `print(result.table())`."""
        console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
        console.print(verdict_table([self.verdict]))
        text = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
        return str(text) + "".join(f"{line}\n" for line in self._said)

    def figure(
        self, statistic: Statistic | str = Statistic.CHANGE, axis: Axis | str = Axis.WIDTH
    ) -> Any:
        """Size against width, depth or steps, in panels, as a Plotly figure."""
        found = coordinate_check.info(
            self.samples,
            self.verdict,
            Statistic(statistic),
            spec=checks.grid(self.prepared, self.arrivals),
            kind=TensorKind.ACTIVATION,
            title=self.verdict.label,
            axis=Axis(axis),
            is_over=True,
        )
        return drawing.plotly_figure(drawing.figure(found))

    def report(self, path: str | Path) -> Path:
        """Write the report, one HTML file that opens offline; gives its path."""
        found = words.report(self.prepared, self.arrivals, self.verdict)
        written = Path(path)
        written.write_text(own_report.render(found), encoding="utf-8")
        return written

    def csv(self, path: str | Path) -> Path:
        """Write every measurement, a row for each; gives its path."""
        written = Path(path)
        with written.open("w", encoding="utf-8", newline="") as file:
            file.writelines(csv.lines(map(csv.row, self.samples)))
        return written

    def data(self) -> dict[str, JsonValue]:
        """What was asked, found and judged, as JSON has it."""
        return words.as_data(self.prepared, self.verdict)

    def json(self) -> str:
        """The same as text, like `muscope check --json`."""
        return json.dumps(self.data(), indent=2, ensure_ascii=False)

    def push(self, url: str, token: str) -> str:
        """Send it to a muscope server, which keeps and shows it; gives the address of its page.

        Pushed again it is the same study there.
        """
        # whoever does not push needs nothing of the network
        from muscope.client import Client, PushedStudy

        prepared = self.prepared
        study = PushedStudy(
            name=prepared.question.name,
            variant=prepared.variant,
            tensors={
                sized.depth or NOT_GIVEN: sized.activations.tensors for sized in prepared.sizes
            },
            runs=self.arrivals,
            planned_runs=checks.grid(prepared, self.arrivals).planned_runs,
            environment=words.measured_on(),
        )
        return Client(url, token).push(study)

    @property
    def _said(self) -> list[str]:
        """What stands under the table."""
        lost = [f"not judged: {failure.sentence}" for failure in self.failures]
        return [*(f"note: {note}" for note in self.notes), *lost]

    def __repr__(self) -> str:
        return f"<CheckResult {self.verdict.label}: {self.verdict.sentence()}>"

    def _repr_html_(self) -> str:
        """The table, as a notebook shows it."""
        console = Console(file=io.StringIO(), width=WIDTH, record=True, force_jupyter=False)
        console.print(verdict_table([self.verdict]))
        frame = '<pre style="line-height:normal;font-family:monospace">{code}</pre>'
        for line in self._said:
            console.print(line, highlight=False, markup=False)
        return console.export_html(inline_styles=True, code_format=frame)


def _source(prepared: Prepared) -> Source | None:
    """Where `build` is written, if that is a file."""
    code: Any = getattr(prepared.question.file.build, "__code__", None)
    if code is None or not Path(code.co_filename).is_file():
        return None
    path = Path(code.co_filename)
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path
    return Source(str(shown), code.co_firstlineno)
