"""What of a study its reader looks at: a tab, and in it a statistic, a tensor, an axis."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from muscope.recorded import AnySpec
from muscope.recording import STATISTICS
from muscope.reports import html
from muscope.reports.slope_table import Order
from muscope.spec import StudySpec
from muscope.storage.studies import StudyRow
from muscope.vocabulary import Axis, Statistic, TensorKind
from muscope_server.study_page.asked import statistics_of

TABS: Mapping[str, Mapping[str, str]] = {
    "coordinate_check": {
        "verdict": "Verdict",
        "coordinate-check": "Coordinate check",
        "grid": "Grid",
        "runs": "Runs",
        "recipe": "Recipe",
        "report": "Report",
    },
    "recorded": {
        "verdict": "Verdict",
        "coordinate-check": "Coordinate check",
        "grid": "Grid",
        "runs": "Runs",
        "report": "Report",
    },
    "lr_transfer": {
        "lr-transfer": "LR transfer",
        "grid": "Grid",
        "runs": "Runs",
        "recipe": "Recipe",
        "report": "Report",
    },
    "hyperparameter_search": {
        "search": "Search",
        "runs": "Runs",
        "recipe": "Recipe",
        "report": "Report",
    },
}
"""Of every kind of study; a page opens on the first."""

OF_CHECKS = ("verdict", "coordinate-check")
"""What a learning-rate study with a coordinate check has before its own."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the page that can be fetched alone, and the tab it belongs to."""

    template: str
    tab: str


PARTS = {
    "": Part("study.html", ""),
    "header": Part("_study_header.html", "header"),
    "verdict": Part("_verdict_tab.html", "verdict"),
    "rates": Part("_rates_table.html", "lr-transfer"),
    "grid": Part("_grid_tab.html", "grid"),
    "search": Part("_search_table.html", "search"),
    "runs": Part("_runs_tab.html", "runs"),
}


@dataclass(frozen=True, slots=True)
class View:
    """What the reader chose to see; all of it is in the URL."""

    tab: str
    statistic: Statistic
    tensor: str
    kind: TensorKind = TensorKind.ACTIVATION
    axis: Axis = Axis.WIDTH
    order: Order = "model"

    def of(self, row: StudyRow) -> "View":
        """The same view with a tab, a kind, a statistic and an axis that this study has."""
        tabs, check = tabs_of(row.spec), row.spec.coordinate_check
        # the header is a part that belongs to every tab
        tab = self.tab if self.tab in (*tabs, "header") else next(iter(tabs))
        axes = axes_of(row, tab)
        axis = self.axis if self.axis in axes or not axes else axes[0]
        if check is None or tab == "lr-transfer":
            return replace(self, tab=tab, axis=axis)
        kinds = STATISTICS[check.record]
        kind = self.kind if self.kind in kinds else TensorKind.ACTIVATION
        offered = statistics_of(row, kind)
        known = self.statistic if self.statistic in offered else offered[0]
        return replace(self, tab=tab, kind=kind, statistic=known, axis=axis)


def tabs_of(spec: AnySpec) -> Mapping[str, str]:
    """The tabs of a study, by their name in its address; one that checks and sweeps has both's."""
    own = TABS[spec.kind]
    if spec.kind != "lr_transfer" or spec.coordinate_check is None:
        return own
    return {**{name: TABS["coordinate_check"][name] for name in OF_CHECKS}, **own}


def axes_of(row: StudyRow, tab: str) -> tuple[Axis, ...]:
    """What a tab can be looked at over."""
    if tab == "lr-transfer" and isinstance(row.spec, StudySpec):
        return row.spec.transfer_axes
    check = row.spec.coordinate_check
    return () if check is None else html.varied(check)
