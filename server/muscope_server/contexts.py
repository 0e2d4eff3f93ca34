"""What each page gets: one frozen dataclass per page, checked against its template by a test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from muscope.plan import Plan
from muscope.reports import comparison_table
from muscope.reports.card import Card
from muscope.reports.formats import plural
from muscope.reports.html import Chart, Content, ReportRun
from muscope.reports.published_table import PublishedTable
from muscope.reports.rate_table import LossTable, RateRow
from muscope.reports.recipe_table import RecipeTable
from muscope.reports.run_grid import Facet
from muscope.reports.search_section import SearchChart, SearchSection
from muscope.reports.slope_table import Order, SlopeTable
from muscope.storage.attempts import RunningBundle
from muscope.storage.budgets import BundleBudget
from muscope.storage.workers import WorkerRow
from muscope.verdicts.comparison.types import Comparison, Setting
from muscope.verdicts.hyperparameters.types import SearchJudgement
from muscope.verdicts.joined.types import Joined
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.vocabulary import (
    Axis,
    CellVerdict,
    SearchVerdict,
    Statistic,
    StudyState,
    TensorKind,
    TransferVerdict,
)
from muscope_server.forms import Form


@dataclass(frozen=True, slots=True)
class LoginContext:
    """login.html: asks for the token; `next` is where to go afterwards."""

    error: str | None
    next: str


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """error.html: what happened and what to do, in sentences."""

    status: int
    title: str
    message: str


@dataclass(frozen=True, slots=True)
class HelpContext:
    """help.html: what the words mean; `tolerance` is the half-width of flat."""

    tolerance: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is, in numbers and in words; later stages may bring it to `at_most` runs."""

    state: StudyState
    ended: int
    measured: int
    failed: int
    runs: int
    at_most: int = 0
    reused: int = 0

    @property
    def is_live(self) -> bool:
        """Whether anything can still happen."""
        return self.state in (StudyState.QUEUED, StudyState.RUNNING)

    @property
    def words(self) -> str:
        """`4 of 16 runs ended` while it runs; afterwards, how many gave a result."""
        if self.is_live and self.at_most > self.runs:
            return f"{self.ended} of up to {plural(self.at_most, 'run')} ended"
        if self.is_live and self.reused:
            new = plural(self.runs - self.reused, "new run")
            return f"{self.ended - self.reused} of {new} ended, {self.reused} reused"
        if self.is_live:
            return f"{self.ended} of {plural(self.runs, 'run')} ended"
        finished = f"{self.measured} of {plural(self.runs, 'run')} finished"
        return f"{finished}, {self.reused} of them reused" if self.reused else finished

    @property
    def new(self) -> int:
        """How many runs are trained here."""
        return self.runs - self.reused

    @property
    def new_ended(self) -> int:
        """How many of those have ended."""
        return self.ended - self.reused


@dataclass(frozen=True, slots=True)
class Badge:
    """A variant's verdict in the list of studies, and what it lacks; no verdict yet is None."""

    label: str
    verdict: CellVerdict | TransferVerdict | SearchVerdict | None
    standing: str
    is_harmless: bool = False


@dataclass(frozen=True, slots=True)
class StudyLine:
    """One study in the list."""

    id: str
    name: str
    badges: Sequence[Badge]
    progress: Progress
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ExperimentOffer:
    """A published experiment that a click starts, and how long it takes on the workers here."""

    name: str
    size: str
    title: str
    question: str
    claim: str
    source: str
    plan: Plan
    time: str


@dataclass(frozen=True, slots=True)
class ExperimentLink:
    """Where the form is filled in from a published experiment; its time where a worker is known."""

    title: str
    question: str
    url: str
    time: str = ""


@dataclass(frozen=True, slots=True)
class FromExperiment:
    """The published experiment that fills in the form, with its other sizes and studies."""

    title: str
    claim: str
    source: str
    needs: str
    notes: Sequence[str]
    sizes: Sequence[ExperimentLink]
    studies: Sequence[ExperimentLink]


@dataclass(frozen=True, slots=True)
class StudiesContext:
    """studies.html; while there are no studies `experiments` are offered, each click of `key`."""

    studies: Sequence[StudyLine]
    total: int
    demo_runs: int
    experiments: Sequence[ExperimentOffer] = ()
    key: str = ""


@dataclass(frozen=True, slots=True)
class PlanContext:
    """_plan.html: what the form would cost, or why it cannot be planned yet.

    `time` says how long it takes on the workers that are there.
    """

    plan: Plan | None
    time: str
    spec_yaml: str
    problems: Sequence[str]
    hints: Sequence[str]


@dataclass(frozen=True, slots=True)
class NewStudyContext:
    """new_study.html: the form as it was typed, its errors, the plan, a key to submit it once."""

    form: Form
    plan: Plan | None
    time: str
    spec_yaml: str
    problems: Sequence[str]
    hints: Sequence[str]
    key: str
    experiments: Sequence[ExperimentLink] = ()
    experiment: FromExperiment | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """The head of a study's page; refetched while it runs. `statistics` are those of plugins."""

    id: str
    name: str
    kind: str
    progress: Progress
    event_seq: int
    created_at: datetime
    started_at: datetime | None
    seconds: float | None
    waiting: str | None
    failure: str | None
    training: str
    extends: "Related | None" = None
    extended_by: Sequence["Related"] = ()
    trained_again: str = ""
    can_grow: bool = False
    statistics: Sequence[str] = ()
    left: str = ""


@dataclass(frozen=True, slots=True)
class Related:
    """Another study that this one extends, or that extends it."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Offer:
    """_extend.html: what would decide the study, and what that costs; or why it cannot be added.

    `words` say what is added, nothing where the verdict advises nothing; `addition` is the same as
    JSON, and `key` makes one study of all clicks on it.
    """

    words: str = ""
    plan: Plan | None = None
    time: str = ""
    addition: str = ""
    key: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RatesOfVariant:
    """The learning rates of one variant, its charts fetched by the page; None is not judged yet."""

    label: str
    judged: TransferJudgement | None
    rows: Sequence[RateRow]
    losses: LossTable | None
    drifts: Sequence[str]
    url: str
    summary: str
    optima_url: str
    optima_summary: str


@dataclass(frozen=True, slots=True)
class SearchOfVariant:
    """The hyperparameter search of one variant, its charts fetched; None is not judged yet."""

    label: str
    judged: SearchJudgement | None
    search: SearchSection | None
    charts: Sequence[SearchChart]


@dataclass(frozen=True, slots=True)
class Export:
    """A recipe in a format: where it is downloaded, or why the format cannot say it."""

    title: str
    url: str
    refusal: str


@dataclass(frozen=True, slots=True)
class RecipeTarget:
    """What a recipe is asked for, as it was typed; nothing is what a page opens with."""

    variant: str = ""
    width: str = ""
    depth: str = ""


@dataclass(frozen=True, slots=True)
class RecipeContext:
    """_recipe_tab.html: the recipe for a target, or the problem in its way, and its exports."""

    target: RecipeTarget
    table: RecipeTable | None
    problem: str
    exports: Sequence[Export]


@dataclass(frozen=True, slots=True)
class GridContext:
    """_grid_tab.html: every run in a table per facet; the losses are held out or of training.

    `has_checks` says that there are coordinate checks, whose losses are of training, `is_joined`
    that a sweep stands beside them.
    """

    facets: Sequence[Facet]
    counts: str
    has_held_out: bool
    has_checks: bool
    is_joined: bool


@dataclass(frozen=True, slots=True)
class PublishedOfPreset:
    """What the source of a study's preset prints of learning rates; a chart of its losses."""

    table: PublishedTable
    summary: str
    url: str


@dataclass(frozen=True, slots=True)
class StudyContext:
    """study.html and its parts: the header and what the open tab needs; the rest is None."""

    study: Header
    tabs: Mapping[str, str]
    tab: str
    kinds: Sequence[TensorKind]
    kind: TensorKind
    statistics: Sequence[Statistic]
    statistic: Statistic
    axes: Sequence[Axis]
    axis: Axis
    order: Order
    tensor: str
    tensors: Sequence[str]
    cards: Sequence[Card]
    tables: Sequence[SlopeTable]
    tolerance: str
    charts: Sequence[Chart]
    rates: Sequence[RatesOfVariant]
    searches: Sequence[SearchOfVariant]
    joined: Sequence[Joined]
    runs: Sequence[ReportRun]
    bundles: Sequence[BundleBudget]
    taken: str
    labels: Mapping[str, str]
    content: Content | None
    published: PublishedOfPreset | None = None
    offer: Offer | None = None
    recipe: RecipeContext | None = None
    grid: GridContext | None = None


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """One worker and what it does now; `bundle` stands at `position` within its study.

    It has `plugins`, by name, and says why others are `refused`.
    """

    row: WorkerRow
    alive: bool
    bundle: RunningBundle | None
    position: str
    plugins: Sequence[str] = ()
    refused: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class WorkersContext:
    """workers.html."""

    workers: Sequence[WorkerLine]
    queued_bundles: int
    running_bundles: int


@dataclass(frozen=True, slots=True)
class Choosable:
    """A variant that can be compared, as `STUDY:VARIANT`."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class ChoosableStudy:
    """A study with its variants; unfolded where one is chosen."""

    id: str
    name: str
    kind: str
    is_open: bool
    variants: Sequence[Choosable]


@dataclass(frozen=True, slots=True)
class ComparisonChart:
    """A figure of a comparison, fetched by the page."""

    name: str
    title: str
    url: str
    is_difference: bool
    summary: str


@dataclass(frozen=True, slots=True)
class CompareContext:
    """compare.html: the chosen variants beside each other, and what can be chosen.

    `problems` say what cannot be compared and why; `against` is the place of the variant that is
    subtracted, `shown` the rest of the view for links; `mark` changes when there is more to show.
    `events` is the stream of what goes on, `after` which of it the page has seen.
    """

    comparison: Comparison | None
    chosen: Sequence[str]
    shown: Mapping[str, str]
    against: int
    problems: Sequence[str]
    sentences: Sequence[str]
    differing: Sequence[tuple[Setting, str]]
    tables: Sequence[comparison_table.Table]
    charts: Sequence[ComparisonChart]
    kinds: Sequence[TensorKind]
    kind: TensorKind
    statistics: Sequence[Statistic]
    statistic: Statistic
    is_live: bool
    studies: Sequence[ChoosableStudy]
    most: int
    mark: str
    events: str
    after: str
