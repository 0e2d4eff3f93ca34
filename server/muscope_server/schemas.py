"""What the JSON API answers: rows of the storage and plans, as plain models."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from muscope import catalogue
from muscope.plan import Plan
from muscope.spec import StudySpec
from muscope.storage.studies import StudyRow
from muscope.storage.verdicts import VerdictSummary
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict, RunState, StudyIntent, StudyState, UpdateFamily


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
    allowed: tuple[bool | int | float | str, ...]


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


class PlanView(_View):
    """What a study will cost."""

    runs: int
    bundles: int
    largest_parameters: int
    largest_bundle_bytes: int
    flops: float
    measurement_rows: int
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, planned: Plan) -> "PlanView":
        """The plan without its grid."""
        return cls(
            runs=planned.run_count,
            bundles=len(planned.bundles),
            largest_parameters=planned.largest_parameters,
            largest_bundle_bytes=max(bundle.memory_bytes for bundle in planned.bundles),
            flops=planned.flops,
            measurement_rows=planned.measurement_rows,
            warnings=planned.warnings,
        )


class SummaryView(_View):
    """One variant's verdict in a word."""

    variant: str
    verdict: CellVerdict
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

    spec: StudySpec


class RunView(_View):
    """One run and how it ended."""

    id: int
    ordinal: int
    variant: str
    width: int
    depth: int
    seed: int
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


class RunList(_View):
    """Every run of a study, in the order of its grid."""

    runs: tuple[RunView, ...]


class VerdictList(_View):
    """The verdict of every variant that has one, in full."""

    verdicts: tuple[VariantVerdict, ...]
    sentences: dict[str, str]
