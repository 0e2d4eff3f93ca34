"""What the JSON API answers: rows of the storage and plans, as plain models."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from muscope import catalogue
from muscope.budget import Budget
from muscope.plan import Plan
from muscope.recorded import AnySpec
from muscope.storage.budgets import BundleBudget
from muscope.storage.recordings import Recording
from muscope.storage.studies import StudyRow
from muscope.storage.verdicts import VerdictSummary
from muscope.verdicts.hyperparameters.types import SearchJudgement
from muscope.verdicts.joined.types import Joined
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import (
    BundleState,
    CellVerdict,
    RunState,
    SearchVerdict,
    StudyIntent,
    StudyState,
    TransferVerdict,
    UpdateFamily,
)
from muscope_server.estimates import Estimate


class _View(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class Health(_View):
    """The server answers."""

    status: str = "ok"


class OptionView(_View):
    """One switch or number of an entry of the catalogue."""

    name: str
    default: bool | int | float | str
    help: str
    low: float
    high: float
    allowed: tuple[bool | int | float | str, ...] = Field(validation_alias="words")


class Entry(_View):
    """One entry of the catalogue."""

    name: str
    title: str
    options: tuple[OptionView, ...]


class ModelView(Entry):
    """A model that can be trained."""

    help: str
    dataset: str
    batch_size: int


class OptimizerView(Entry):
    """An optimizer that can train it."""

    help: str
    family: UpdateFamily
    learning_rate: float


class ParametrizationView(Entry):
    """A parametrization that can be judged."""

    source: str


class Catalogue(_View):
    """Everything that a spec can choose from."""

    models: tuple[ModelView, ...]
    optimizers: tuple[OptimizerView, ...]
    parametrizations: tuple[ParametrizationView, ...]

    @classmethod
    def now(cls) -> "Catalogue":
        """What this version knows."""
        return cls(
            models=tuple(map(ModelView.model_validate, catalogue.MODELS.values())),
            optimizers=tuple(map(OptimizerView.model_validate, catalogue.OPTIMIZERS.values())),
            parametrizations=tuple(
                map(ParametrizationView.model_validate, catalogue.PARAMETRIZATION_ENTRIES.values())
            ),
        )


class Created(_View):
    """Where a submitted study is."""

    id: str
    url: str
    api_url: str


class Recorded(_View):
    """What a recorder sent has arrived, and where its study is; `new` unless it had come before."""

    recording: str
    study: str
    url: str
    new: bool

    @classmethod
    def of(cls, recording: Recording, url: str) -> "Recorded":
        """What the storage says of it."""
        return cls(
            recording=recording.id, study=recording.study_id, url=url, new=not recording.was_known
        )


class Extension(Created):
    """A study that extends another: its runs, those it reuses, and why others are trained again."""

    extends: str
    runs: int
    reused: int
    not_reused: str

    @classmethod
    def of(cls, row: StudyRow, said: Mapping[str, Any]) -> "Extension":
        """The study, and what was known when it was made."""
        return cls(
            id=row.id,
            url=f"/studies/{row.id}",
            api_url=f"/api/v1/studies/{row.id}",
            extends=row.extends or "",
            runs=int(said.get("runs", row.runs)),
            reused=int(said.get("reused", row.reused)),
            not_reused=str(said.get("not_reused", "")),
        )


class PlanView(_View):
    """What a study will cost; of one that extends another, what is not `reused` from there."""

    runs: int
    reused: int
    not_reused: tuple[str, ...]
    bundles: int
    largest_parameters: int
    largest_bundle_bytes: int
    flops: float
    measurement_rows: int
    warnings: tuple[str, ...]
    power: str
    seconds: float | None
    time: str

    @classmethod
    def of(cls, planned: Plan, estimate: Estimate, power: str = "") -> "PlanView":
        """The plan without its grid, and how long it takes on the workers that are there.

        `power` says of a learning-rate study which drift it can tell.
        """
        return cls(
            runs=planned.run_count,
            reused=planned.reused,
            not_reused=planned.not_reused,
            bundles=len(planned.bundles),
            largest_parameters=planned.largest_parameters,
            largest_bundle_bytes=max((one.memory_bytes for one in planned.bundles), default=0),
            flops=planned.flops,
            measurement_rows=planned.measurement_rows,
            warnings=planned.warnings,
            power=power,
            seconds=estimate.seconds,
            time=estimate.words,
        )


class BudgetView(_View):
    """What the training of a bundle took, or that of all of them together.

    `fraction` is the part of `ceiling`, the FLOP/s of the best matrix product of the machine, that
    the planned FLOPs came to; `time_s` is with the first step.
    """

    flops: float
    time_s: float
    first_step_s: float
    planned_s: float | None
    peak_bytes: int | None
    ceiling: float | None
    fraction: float | None

    @classmethod
    def of(cls, budget: Budget) -> "BudgetView":
        """The same as numbers."""
        return cls(
            flops=budget.flops,
            time_s=budget.seconds,
            first_step_s=budget.warm_up_s,
            planned_s=budget.planned_s,
            peak_bytes=budget.peak_bytes,
            ceiling=budget.ceiling,
            fraction=budget.fraction,
        )


class BundleBudgetView(_View):
    """One bundle: what is trained in it, on what, and what it took if it has ended."""

    bundle: int
    model: str
    optimizer: str
    width: int
    depth: int
    runs: int
    state: BundleState
    planned_bytes: int
    device: str | None
    threads: int | None
    matmul_precision: str | None
    reused: bool
    budget: BudgetView | None

    @classmethod
    def of(cls, row: BundleBudget) -> "BundleBudgetView":
        """A row of the table."""
        return cls(
            bundle=row.number,
            model=row.spec.variant.model.name,
            optimizer=row.spec.variant.optimizer.name,
            width=row.spec.width,
            depth=row.spec.depth,
            runs=row.runs,
            state=row.state,
            planned_bytes=row.planned_bytes,
            device=row.device,
            threads=row.threads,
            matmul_precision=row.matmul_precision,
            reused=row.reused,
            budget=None if row.budget is None else BudgetView.of(row.budget),
        )


class StudyBudget(_View):
    """What a study has taken so far, and bundle by bundle."""

    total: BudgetView | None
    bundles: tuple[BundleBudgetView, ...]


class SummaryView(_View):
    """One variant's verdict in a word."""

    variant: str
    verdict: CellVerdict | TransferVerdict | SearchVerdict
    final: bool


class StudyView(_View):
    """A study in a list."""

    id: str
    name: str
    kind: str
    state: StudyState
    intent: StudyIntent
    runs: int
    counts: dict[RunState, int]
    event_seq: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    spec_digest: str
    extends: str | None
    reused: int


class ListedStudy(StudyView):
    """A study in a list, with its verdicts so far."""

    verdicts: tuple[SummaryView, ...]

    @classmethod
    def of(cls, row: StudyRow, verdicts: Sequence[VerdictSummary]) -> "ListedStudy":
        """A row of the list."""
        plain = StudyView.model_validate(row).model_dump()
        return cls(**plain, verdicts=tuple(map(SummaryView.model_validate, verdicts)))


class StudyList(_View):
    """One page of studies, newest first."""

    studies: tuple[ListedStudy, ...]
    total: int
    limit: int
    offset: int


class FullStudy(StudyView):
    """A study with what it asked."""

    spec: AnySpec


class RunView(_View):
    """One run and how it ended."""

    id: int
    ordinal: int
    variant: str
    width: int
    depth: int
    octave: float
    seed: int
    stage: int
    state: RunState
    row_count: int | None
    digest: str | None
    first_nonfinite_step: int | None
    first_nonfinite_tensor: str | None
    error_code: str | None
    error_text: str | None
    device: str | None
    worker_id: str | None
    seconds: float | None
    train_loss: float | None
    attempts: int
    resume_note: str | None
    reused_from: str | None
    batch_size: int | None
    record: str | None
    sequence_length: int | None
    steps: int | None


class RunList(_View):
    """Every run of a study, in the order of its grid."""

    runs: tuple[RunView, ...]


class GridRunView(_View):
    """One run where its grid has it; `column` is log2 of its learning rate, or its seed."""

    number: int
    variant: str
    held: tuple[str, ...]
    width: int
    seed: int
    column: float
    is_check: bool
    state: RunState
    loss: float | None
    step: int | None
    note: str


class RunGrid(_View):
    """Every run of a study as its heat-map has it."""

    runs: tuple[GridRunView, ...]


class VerdictList(_View):
    """The verdict of every variant that has one, in full: `transfers` of a learning-rate study,
    `searches` of a hyperparameter search; `joined` says of a learning-rate study whether its
    coordinate check agrees, and known reasons where not."""

    verdicts: tuple[VariantVerdict, ...]
    transfers: tuple[TransferJudgement, ...]
    searches: tuple[SearchJudgement, ...]
    joined: tuple[Joined, ...]
    sentences: dict[str, str]
