"""What `muscope check` does: read, plan, train, judge, print, write."""

import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from muscope import __version__, budget, plan, presets, spec_file, timing
from muscope.budget import Budget
from muscope.catalogue import DatasetUnavailable
from muscope.cli import configured, cost, preflight, searching, terminal
from muscope.cli.gating import Gate
from muscope.cli.preflight import Refusal
from muscope.cli.training_view import TrainingView
from muscope.gate import EVERY_WORD, RATE_WORDS, Checked
from muscope.plan import Plan
from muscope.records import EXTRA_HEADER, ExtraRow, Sample
from muscope.reports import budget_lines, csv, formats, html
from muscope.reports.html import ReportInput, ReportRun
from muscope.reports.verdict_table import verdict_table
from muscope.spec import RunSpec, StudySpec, digest
from muscope.stages import Results, next_stage
from muscope.theory.faults import FAULTS
from muscope.verdicts import acceptance, baseline
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import RunState

if TYPE_CHECKING:
    from muscope.in_process import Arrival  # brings torch


@dataclass(frozen=True, slots=True)
class Outputs:
    """What is printed and written at the end."""

    as_json: bool
    report: Path | None
    csv: Path | None


@dataclass(frozen=True, slots=True)
class AskedOfStudy:
    """The study, and what only a study has; without a `path` it is the demo."""

    path: Path | None
    stop_early: bool = False
    record_every: int = 0
    fault: str = ""

    @property
    def is_demo(self) -> bool:
        """Whether it is the demo as it comes."""
        return self.path is None and not self.fault and not self.record_every

    def refuse_for_own(self) -> None:
        """Refuse what a model of the user's own does not have."""
        if self.stop_early:
            raise Refusal("--stop-early is for studies that are coordinate checks")
        if self.record_every:
            raise Refusal("--record-every is for studies; of your own model all steps are recorded")
        if self.fault:
            raise Refusal("--fault breaks the rules of a study; your own model has its own")


@dataclass(slots=True)
class Trained:
    """All that training gave: the samples, and every run with its last loss."""

    samples: list[Sample] = field(default_factory=list)
    ended: list[tuple[RunSpec, float]] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)
    extras: list[ExtraRow] = field(default_factory=list)

    def add(self, arrival: "Arrival") -> bool:
        """Take what a step brought; whether it was the last of its bundle."""
        self.samples.extend(arrival.samples)
        self.extras.extend(arrival.extras)
        self.budgets.extend([arrival.budget] if arrival.budget else [])
        is_last = arrival.step == arrival.bundle.runs[0].steps
        if is_last:
            self.ended.extend(zip(arrival.bundle.runs, arrival.losses, strict=True))
        return is_last

    def runs_judged(self) -> dict[str, int]:
        """Runs that gave their rows, per variant."""
        return dict(Counter(run.variant.key for run, _ in self.ended))


def run(asked: AskedOfStudy, outputs: Outputs, gate: Gate, *, threads: int) -> int:
    """Check a study, or the demo without one, and give the exit code."""
    spec, planned = _planned(asked)
    can_be_written(outputs.report, outputs.csv, *gate.asked.written, source=asked.path)
    _refuse_for(spec, gate)
    preflight.torch_is_installed()
    for line in (*cost.lines(planned), *cost.power(spec)):
        print(line, file=sys.stderr)
    if spec.kind == "hyperparameter_search":
        if gate.asked.given:
            first = gate.asked.given[0]
            raise Refusal(f"{first} is for coordinate checks; take --json and its verdicts")
        return searching.run(spec, planned, outputs, threads=threads)
    if spec.kind == "lr_transfer":
        from muscope.cli import rates  # which trains coordinate checks too, and so imports this

        return rates.run(spec, planned, outputs, gate, threads=threads)
    settings = spec.model_dump(mode="json")
    gate.refuse_unlike(settings)
    started_at = time.monotonic()
    trained, verdicts = train(spec, planned, threads=threads)
    asked_for_demo = asked.is_demo and not gate.policy
    complaints = acceptance.complaints(spec, verdicts) if asked_for_demo else []
    _print(spec, verdicts, complaints, as_json=outputs.as_json)
    if asked_for_demo and not outputs.as_json:
        _print_demo(complaints)
    if taken := budget.total(trained.budgets):
        print(f"budget: {budget_lines.taken(taken)}", file=sys.stderr)
    _write(spec, trained, verdicts, outputs)
    environment = environment_of(spec)
    now = baseline.keep(verdicts, settings, version=__version__, environment=environment)
    checked = Checked(
        name=spec.name,
        verdicts=tuple(verdicts),
        policy=gate.policy,
        settings=settings,
        seconds=time.monotonic() - started_at,
        comparison=gate.compared(now),
        complaints=tuple(complaints),
    )
    return gate.close(checked, now)


def _refuse_for(spec: StudySpec, gate: Gate) -> None:
    """Refuse words that no verdict of this study can have, and a baseline without slopes."""
    if spec.sweep is None:
        gate.refuse_words("a coordinate check")
    elif spec.check is not None:
        gate.refuse_words("a study that checks and sweeps", EVERY_WORD)
    else:
        gate.refuse_words("a learning-rate study without a check", RATE_WORDS)
        gate.refuse_baseline("the slopes of a coordinate check; give the study a check")


def _planned(asked: AskedOfStudy) -> tuple[StudySpec, Plan]:
    try:
        spec = spec_file.read(asked.path) if asked.path else presets.demo.demo()
        if spec.extends:
            raise Refusal("extends names a study on a server; send it there with `muscope submit`")
        if asked.stop_early and spec.kind != "coordinate_check":
            raise Refusal("--stop-early is for studies that are coordinate checks")
        spec = _broken(spec, asked.fault) if asked.fault else spec
        spec = _recorded(spec, asked.record_every) if asked.record_every else spec
        spec = spec.model_copy(update={"stop_early": spec.stop_early or asked.stop_early})
        return spec, plan.plan(spec, max_runs=configured.settings().max_runs)
    except ValueError as error:
        raise Refusal(str(error)) from error


def _broken(spec: StudySpec, fault: str) -> StudySpec:
    """The same study with one thing of every parametrization broken on purpose."""
    if fault not in FAULTS:
        raise ValueError(f"unknown fault {fault!r}; --fault knows {', '.join(FAULTS)}")
    written = spec.model_dump(mode="json")
    for parametrization in written["parametrizations"]:
        parametrization["fault"] = fault
    return StudySpec.model_validate_json(json.dumps(written))


def _recorded(spec: StudySpec, every: int) -> StudySpec:
    """The same study, recorded at multiples of so many steps and at the last."""
    written = spec.model_dump(mode="json") | {"record_every": every}
    try:
        return StudySpec.model_validate_json(json.dumps(written))
    except ValidationError as error:
        raise spec_file.SpecError("--record-every", spec_file.explain(error)) from None


def can_be_written(*paths: Path | None, source: Path | None = None) -> None:
    """Refuse before the training, not after it; nothing is written over another, or `source`."""
    taken: set[Path] = set()
    for path in filter(None, paths):
        place = path.absolute()
        if path.is_dir() or not os.access(place.parent, os.W_OK):
            raise Refusal(f"{path} cannot be written; name a file in a folder that is there")
        if source and place == source.absolute():
            raise Refusal(f"{path} is what is checked; name another file to write to")
        if place in taken and (path.is_file() or not path.exists()):
            raise Refusal(f"{path} is named for two things; name a file for each")
        taken.add(place)


def train(
    spec: StudySpec, planned: Plan, *, threads: int
) -> tuple[Trained, tuple[VariantVerdict, ...]]:
    """Train a coordinate check here, with its progress on stderr, and judge it."""
    trained = Trained()
    verdicts: tuple[VariantVerdict, ...] = ()
    with TrainingView(planned, terminal.console(sys.stderr)) as view:
        # only now torch and scipy, which take seconds: a mistake in the study is said at once
        from muscope import in_process
        from muscope.lab import calibration, engine

        engine.set_threads(threads)
        fits_here(planned)
        read_data(spec)
        machine = calibration.calibrate()
        view.say(f"time: {formats.about(timing.study_seconds(planned, [machine]))} here")
        stages = 0
        while runs := next_stage(spec, Results(stages, verdicts=verdicts)):
            stages += 1
            view.stage(bundles := in_process.fitting(plan.bundles(runs)))
            for arrival in in_process.train(bundles, machine):
                if trained.add(arrival):
                    verdicts = _judged(spec, trained, final=False)
                view.show(arrival.bundle, arrival.step, verdicts)
        return trained, _judged(spec, trained, final=True)


def _judged(spec: StudySpec, trained: Trained, *, final: bool) -> tuple[VariantVerdict, ...]:
    from muscope.verdicts.judge import judge  # as above

    return judge(spec, trained.samples, runs_judged=trained.runs_judged(), final=final)


def fits_here(planned: Plan) -> None:
    """Refuse what this machine cannot hold: its kernel would end us, or somebody else."""
    from muscope.lab import environment  # as above

    alone = [plan.together(bundle.runs[:1]) for bundle in planned.bundles]
    largest = max(alone, key=lambda bundle: bundle.memory_bytes)
    run, memory = largest.runs[0], environment.describe().memory_bytes
    if largest.memory_bytes > memory:
        raise Refusal(
            f"one run of width {run.width} and depth {run.depth} needs about "
            f"{largest.memory_bytes / 2**30:.1f} GiB, this machine has {memory / 2**30:.1f} GiB; "
            "take smaller widths or batches"
        )


def read_data(spec: StudySpec) -> None:
    """Refuse before the training where the data of any model are missing."""
    from muscope.lab import data  # as above

    settings = configured.settings()
    data.use(data.Places(settings.datasets_folder, settings.huggingface_allowed))
    try:
        for arm in spec.arms:
            data.batch(arm.model)
            if spec.batches == "fresh":
                data.fresh(arm.model, step=0, seed=0)
    except DatasetUnavailable as error:
        raise Refusal(str(error)) from error


def _print(
    spec: StudySpec,
    verdicts: Sequence[VariantVerdict],
    complaints: Sequence[str],
    *,
    as_json: bool,
) -> None:
    if as_json:
        print(json.dumps(_as_data(spec, verdicts, complaints), indent=2, ensure_ascii=False))
        return
    terminal.console().print(verdict_table(verdicts))


def _print_demo(complaints: Sequence[str]) -> None:
    """Whether the demo showed what it should, and if not, why."""
    console = terminal.console()
    console.print()
    for complaint in complaints:
        console.print(f"✕ not as it should be: {complaint}", style="red")
    if not complaints:
        console.print(
            "✓ as it should be: SP grows with width, no tensor of µP grows or shrinks",
            style="green",
        )


def _as_data(
    spec: StudySpec, verdicts: Sequence[VariantVerdict], complaints: Sequence[str]
) -> dict[str, object]:
    return {
        "study": spec.model_dump(mode="json"),
        "digest": digest(spec),
        "verdicts": [
            {"sentence": verdict.sentence(), **verdict.model_dump(mode="json")}
            for verdict in verdicts
        ],
        "complaints": list(complaints),
    }


def _write(
    spec: StudySpec, trained: Trained, verdicts: Sequence[VariantVerdict], outputs: Outputs
) -> None:
    if outputs.csv:
        rows = map(csv.row, trained.samples)
        with outputs.csv.open("w", encoding="utf-8", newline="") as file:
            file.writelines(csv.lines(rows))
        print(f"measurements: {outputs.csv}", file=sys.stderr)
    if outputs.csv and trained.extras:
        beside = outputs.csv.with_suffix(".plugins.csv")
        with beside.open("w", encoding="utf-8", newline="") as file:
            file.writelines(csv.lines(trained.extras, EXTRA_HEADER))
        print(f"statistics of plugins: {beside}", file=sys.stderr)
    if outputs.report:
        outputs.report.write_text(report(spec, trained, verdicts), encoding="utf-8")
        print(f"report: {outputs.report}", file=sys.stderr)


def report(spec: StudySpec, trained: Trained, verdicts: Sequence[VariantVerdict]) -> str:
    """The report of a study that was trained here."""
    content = ReportInput(
        spec=spec,
        verdicts=verdicts,
        samples=trained.samples,
        runs=[
            report_run(run, loss, several=len(spec.batch_sizes) > 1) for run, loss in trained.ended
        ],
        environment=environment_of(spec),
        created_at=datetime.now(UTC),
    )
    return html.render(content)


def report_run(run: RunSpec, loss: float, *, several: bool) -> ReportRun:
    """A run as the report lists it; its batch size where a variant has several."""
    return ReportRun(
        variant=run.variant.key,
        width=run.width,
        depth=run.depth,
        seed=run.seed,
        state=RunState.FINISHED if math.isfinite(loss) else RunState.DIVERGED,
        train_loss=loss,
        batch_size=run.model.batch_size if several else None,
    )


def environment_of(spec: StudySpec) -> dict[str, str]:
    """Versions, device and the digest of the data: they decide the numbers."""
    # torch is there by now: something was trained
    from muscope.lab import data, environment

    here = environment.describe()
    digests = {data.name(arm.model): data.digest(arm.model) for arm in spec.arms}
    return {
        "torch": here.torch_version,
        "device": here.device,
        **{f"data {name}": digests[name] for name in sorted(digests)},
    }
