"""What each page gets: one frozen dataclass per page, checked against its template by a test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from muscope.plan import Plan
from muscope.reports.card import Card
from muscope.reports.html import Chart, Content, ReportRun
from muscope.reports.slope_table import SlopeTable
from muscope.storage.attempts import RunningBundle
from muscope.storage.workers import WorkerRow
from muscope.vocabulary import CellVerdict, Statistic, StudyState
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
class Badge:
    """A variant's verdict in the list of studies; no verdict yet is None."""

    label: str
    verdict: CellVerdict | None
    final: bool


@dataclass(frozen=True, slots=True)
class StudyLine:
    """One study in the list."""

    id: str
    name: str
    badges: Sequence[Badge]
    state: StudyState
    runs_ended: int
    runs: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StudiesContext:
    """studies.html."""

    studies: Sequence[StudyLine]
    total: int
    demo_runs: int


@dataclass(frozen=True, slots=True)
class PlanContext:
    """_plan.html: what the form would cost, or why it cannot be planned yet."""

    plan: Plan | None
    spec_yaml: str
    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class NewStudyContext:
    """new_study.html: the form as it was typed, its errors, the plan, a key to submit it once."""

    form: Form
    plan: Plan | None
    spec_yaml: str
    problems: Sequence[str]
    key: str


@dataclass(frozen=True, slots=True)
class Header:
    """The head of a study's page; refetched while it runs."""

    id: str
    name: str
    state: StudyState
    runs_ended: int
    runs: int
    failed: int
    event_seq: int
    created_at: datetime
    seconds: float | None
    waiting: str | None
    training: str

    @property
    def is_live(self) -> bool:
        """Whether anything can still happen."""
        return self.state in (StudyState.QUEUED, StudyState.RUNNING)


@dataclass(frozen=True, slots=True)
class StudyContext:
    """study.html and its parts: the header and what the open tab needs; the rest is None."""

    study: Header
    tabs: Mapping[str, str]
    tab: str
    statistics: Sequence[Statistic]
    statistic: Statistic
    tensor: str
    tensors: Sequence[str]
    cards: Sequence[Card]
    tables: Sequence[SlopeTable]
    tolerance: str
    charts: Sequence[Chart]
    runs: Sequence[ReportRun]
    labels: Mapping[str, str]
    content: Content | None


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """One worker and what it does now."""

    row: WorkerRow
    alive: bool
    bundle: RunningBundle | None


@dataclass(frozen=True, slots=True)
class WorkersContext:
    """workers.html."""

    workers: Sequence[WorkerLine]
    queued_bundles: int
    running_bundles: int
