"""The Coordinate check tab: a chart for each variant, of every tensor or of one."""

from collections.abc import Mapping

from sqlalchemy import Connection

from muscope import plan
from muscope.plots import coordinate_check
from muscope.plots.coordinate_check import CoordinateCheckInfo
from muscope.recorded import RecordedSpec
from muscope.reports.html import Chart
from muscope.spec import RunSpec, StudySpec
from muscope.storage import measurements, recordings, verdicts
from muscope.storage.studies import StudyRow
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import Axis
from muscope_server import urls
from muscope_server.study_page.asked import check_of, labels
from muscope_server.study_page.progress import is_over
from muscope_server.study_page.view import View


def charts(conn: Connection, row: StudyRow, view: View) -> list[Chart]:
    """A chart for each variant, which the page fetches."""
    judged = {entry.variant: entry for entry in verdicts.of_study(conn, row.id)}
    found = []
    shown = urls.shown(view.kind, view.statistic, view.tensor, view.axis)
    for key, label in labels(row).items():
        info = _info(conn, row, key, view, judged=judged)
        url = urls.figure(row.id, variant=key, **shown)
        # a variant that has no such tensor has no chart of it either
        if info.panels or not view.tensor:
            summary = coordinate_check.summary(info)
            found.append(Chart(label, view.kind, view.statistic, summary, url=url, axis=view.axis))
    return found


def figure_info(conn: Connection, row: StudyRow, variant: str, view: View) -> CoordinateCheckInfo:
    """What the chart of one variant shows."""
    judged = {entry.variant: entry for entry in verdicts.of_study(conn, row.id)}
    return _info(conn, row, variant, view, judged=judged)


def _info(
    conn: Connection,
    row: StudyRow,
    variant: str,
    view: View,
    *,
    judged: Mapping[str, VariantVerdict],
) -> CoordinateCheckInfo:
    return coordinate_check.info(
        measurements.samples(conn, row.id, variant=variant, kind=view.kind),
        judged.get(variant),
        view.statistic,
        spec=check_of(row),
        kind=view.kind,
        title=labels(row)[variant],
        tensor=view.tensor,
        axis=view.axis,
        is_over=is_over(row),
    )


def tensors(conn: Connection, row: StudyRow, view: View) -> list[str]:
    """Every tensor of which any run of the study records the kind, in the order of the model.

    Over depth they are called as its slopes call them.
    """
    if view.axis is Axis.DEPTH:
        judged = verdicts.of_study(conn, row.id)
        cells = (cell for one in judged for cell in one.cells_on(view.axis))
        return list(dict.fromkeys(cell.tensor for cell in cells if cell.kind is view.kind))
    if isinstance(row.spec, RecordedSpec):
        return recordings.tensor_names(conn, row.id)
    shapes = _shapes(row.spec.coordinate_check or row.spec)
    recorded = (entry for run in shapes for entry in plan.tensors(run))
    return list(dict.fromkeys(entry.name for entry in recorded if entry.kind is view.kind))


def _shapes(spec: StudySpec) -> list[RunSpec]:
    """One run for each set of tensors."""
    seen = {(run.variant.model.name, run.depth): run for run in plan.runs(spec)}
    return list(seen.values())
