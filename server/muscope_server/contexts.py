"""What each page gets: one frozen dataclass per page, checked against its template by a test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from muscope.plan import Plan
from muscope.reports.card import Card
from muscope.reports.formats import plural
from muscope.reports.html import Chart, Content, ReportRun
from muscope.reports.rate_table import LossTable, RateRow
from muscope.reports.slope_table import Order, SlopeTable
from muscope.storage.attempts import RunningBundle
from muscope.storage.budgets import BundleBudget
from muscope.storage.workers import WorkerRow
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.vocabulary import Axis, CellVerdict, Statistic, StudyState, TensorKind, TransferVerdict
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
    verdict: CellVerdict | TransferVerdict | None
    standing: str


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
    """Where the form is filled in from a published experiment."""

    title: str
    question: str
    url: str


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
    """The learning rates of one variant, its chart fetched by the page; None is not judged yet."""

    label: str
    judged: TransferJudgement | None
    rows: Sequence[RateRow]
    losses: LossTable | None
    drifts: Sequence[str]
    url: str
    summary: str


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
    runs: Sequence[ReportRun]
    bundles: Sequence[BundleBudget]
    taken: str
    labels: Mapping[str, str]
    content: Content | None
    offer: Offer | None = None


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
