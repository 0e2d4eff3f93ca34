"""What a reader takes home: every table as CSV, the report as one HTML file."""

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.responses import Response, StreamingResponse

from muscope.recorded import RecordedSpec
from muscope.records import EXTRA_HEADER
from muscope.reports import csv, html, set_table
from muscope.storage import budgets, losses, measurements, plugins, studies, verdicts
from muscope.storage.database import Database
from muscope.storage.studies import StudyRow
from muscope_server.deps import DatabaseDep, PlacesDep, StudyIdDep, a_place, study_of
from muscope_server.downloading import Chunks, Download
from muscope_server.errors import not_found
from muscope_server.parameters import refuse_unknown
from muscope_server.schemas import BudgetView, BundleBudgetView, RunView
from muscope_server.study_page.report import report_input

router = APIRouter(prefix="/api/v1", dependencies=[Depends(refuse_unknown)])

CHUNK_CHARACTERS = 65_536
SANDBOX = "sandbox; default-src 'none'"
"""Should a browser show the report instead of saving it, it runs nothing in our origin."""


@router.get("/studies/{study_id}/measurements.csv", response_class=StreamingResponse)
def download_measurements(
    study_id: StudyIdDep, database: DatabaseDep, places: PlacesDep
) -> Response:
    """Every measurement that the charts show, streamed."""
    name = _attachment_of(database, study_id, "measurements.csv")
    return Download(_chunks(database, study_id), places, headers=name)


@router.get("/studies/{study_id}/plugin-statistics.csv", response_class=StreamingResponse)
def download_plugin_statistics(
    study_id: StudyIdDep, database: DatabaseDep, places: PlacesDep
) -> Response:
    """Every number of the plugins' statistics that a study records, streamed."""
    name = _attachment_of(database, study_id, "plugin-statistics.csv")
    return Download(_extras(database, study_id), places, headers=name)


@router.get("/studies/{study_id}/losses.csv", response_class=Response)
def download_losses(study_id: StudyIdDep, database: DatabaseDep) -> Response:
    """A learning-rate study's losses: a row per run that has ended; infinite where it diverged."""
    with database.read() as conn:
        row = study_of(conn, study_id)
        if isinstance(row.spec, RecordedSpec):
            raise not_found("learning-rate study")
        trials = losses.trials(conn, study_id)
    return csv_file(row, "losses.csv", csv.losses(row.spec, trials))


@router.get("/studies/{study_id}/sets.csv", response_class=Response)
def download_sets(study_id: StudyIdDep, database: DatabaseDep) -> Response:
    """A hyperparameter search: a row per set and width, with its losses and how it trained."""
    with database.read() as conn:
        row, judged = study_of(conn, study_id), verdicts.of_search(conn, study_id)
    return csv_file(row, "sets.csv", set_table.as_csv(judged))


@router.get("/studies/{study_id}/slopes.csv", response_class=Response)
def download_slopes(study_id: StudyIdDep, database: DatabaseDep) -> Response:
    """Every slope of a coordinate check's verdicts, on every axis: a row per cell."""
    with database.read() as conn:
        row, judged = study_of(conn, study_id), verdicts.of_study(conn, study_id)
    return csv_file(row, "slopes.csv", csv.slopes(judged))


@router.get("/studies/{study_id}/runs.csv", response_class=Response)
def download_runs(study_id: StudyIdDep, database: DatabaseDep) -> Response:
    """Every run: where it stands in the grid, how it ended, how long it took, why it failed."""
    with database.read() as conn:
        row, found = study_of(conn, study_id), studies.runs(conn, study_id)
    names = tuple(RunView.model_fields)
    rows = ([getattr(run, name) for name in names] for run in map(RunView.model_validate, found))
    return csv_file(row, "runs.csv", csv.lines(rows, names))


@router.get("/studies/{study_id}/budget.csv", response_class=Response)
def download_budget(study_id: StudyIdDep, database: DatabaseDep) -> Response:
    """What every bundle took: a row per bundle."""
    with database.read() as conn:
        row = study_of(conn, study_id)
        found = [BundleBudgetView.of(entry) for entry in budgets.of_study(conn, study_id)]
    outer = [name for name in BundleBudgetView.model_fields if name != "budget"]
    inner = list(BudgetView.model_fields)
    rows = (
        [
            *(getattr(entry, name) for name in outer),
            *(getattr(entry.budget, name, None) for name in inner),
        ]
        for entry in found
    )
    return csv_file(row, "budget.csv", csv.lines(rows, (*outer, *inner)))


@router.get(
    "/studies/{study_id}/report.html", response_class=Response, dependencies=[Depends(a_place)]
)
def download_report(study_id: StudyIdDep, database: DatabaseDep) -> Response:
    """The report: it opens offline and makes no request."""
    with database.read() as conn:
        row = study_of(conn, study_id)
        report = report_input(conn, row)
    return Response(
        html.render(report),
        media_type="text/html; charset=utf-8",
        headers={
            "Content-Disposition": attachment(row, "report.html"),
            "Content-Security-Policy": SANDBOX,
        },
    )


def csv_file(row: StudyRow, what: str, lines: Iterable[str]) -> Response:
    """A table of a study as a file; what can be long is streamed instead."""
    return Response(
        "".join(lines),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": attachment(row, what)},
    )


def attachment(row: StudyRow, what: str) -> str:
    """A Content-Disposition with an ASCII name and the full one beside it (RFC 5987)."""
    name = f"muscope-{_slug(row.name)}-{row.id}-{what}"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _slug(name: str) -> str:
    """Letters, digits and dashes of any script; no path, dot or quote survives."""
    return re.sub(r"[^\w]+", "-", name).strip("-_")[:60] or "study"


def _attachment_of(database: Database, study_id: str, what: str) -> dict[str, str]:
    with database.read() as conn:
        return {"Content-Disposition": attachment(study_of(conn, study_id), what)}


def _chunks(database: Database, study_id: str) -> Chunks:
    """One snapshot of the database for all of them."""
    with database.read() as conn:
        yield from _pieces(csv.lines(measurements.csv_rows(conn, study_id)))


def _extras(database: Database, study_id: str) -> Chunks:
    """The same of plugins' statistics."""
    with database.read() as conn:
        yield from _pieces(csv.lines(plugins.csv_rows(conn, study_id), EXTRA_HEADER))


def _pieces(lines: Iterable[str]) -> Chunks:
    """Lines in pieces that are worth sending."""
    waiting: list[str] = []
    length = 0
    for line in lines:
        waiting.append(line)
        length += len(line)
        if length >= CHUNK_CHARACTERS:
            yield "".join(waiting)
            waiting, length = [], 0
    yield "".join(waiting)
