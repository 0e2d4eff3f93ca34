"""What a reader takes home: the measurements as CSV, the report as one HTML file."""

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse

from muscope.recorded import RecordedSpec
from muscope.records import EXTRA_HEADER
from muscope.reports import csv, html, set_table
from muscope.storage import budgets, losses, measurements, plugins, studies, verdicts
from muscope.storage.database import Database
from muscope.storage.studies import StudyRow
from muscope_server import study_page
from muscope_server.deps import DatabaseDep, PlacesDep, StudyIdDep
from muscope_server.downloading import Chunks, Download
from muscope_server.errors import not_found
from muscope_server.schemas import BudgetView, BundleBudgetView

router = APIRouter(prefix="/api/v1")

CHUNK_CHARACTERS = 65_536
SANDBOX = "sandbox; default-src 'none'"
"""Should a browser show the report instead of saving it, it runs nothing in our origin."""


@router.get("/studies/{study_id}/measurements.csv", response_class=StreamingResponse)
def download_measurements(
    study_id: StudyIdDep, database: DatabaseDep, places: PlacesDep
) -> Response:
    """Every measurement that the charts show, streamed."""
    row = _row(database, study_id)
    name = {"Content-Disposition": attachment(row, "measurements.csv")}
    return Download(_chunks(database, study_id), places, headers=name)


@router.get("/studies/{study_id}/plugin-statistics.csv", response_class=StreamingResponse)
def download_plugin_statistics(
    study_id: StudyIdDep, database: DatabaseDep, places: PlacesDep
) -> Response:
    """Every number of the plugins' statistics that a study records, streamed."""
    row = _row(database, study_id)
    name = {"Content-Disposition": attachment(row, "plugin-statistics.csv")}
    return Download(_extras(database, study_id), places, headers=name)


@router.get("/studies/{study_id}/losses.csv", response_class=Response)
def download_losses(study_id: StudyIdDep, database: DatabaseDep) -> Response:
    """A learning-rate study's losses: a row per run that has ended; infinite where it diverged."""
    row = _row(database, study_id)
    spec = row.spec
    if isinstance(spec, RecordedSpec):
        raise not_found("learning-rate study")
    with database.read() as conn:
        trials = losses.trials(conn, study_id)
    return Response(
        "".join(csv.losses(spec, trials)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": attachment(row, "losses.csv")},
    )


@router.get("/studies/{study_id}/sets.csv", response_class=Response)
def download_sets(study_id: StudyIdDep, database: DatabaseDep) -> Response:
    """A hyperparameter search: a row per set and width, with its losses and how it trained."""
    row = _row(database, study_id)
    with database.read() as conn:
        judged = verdicts.of_search(conn, study_id)
    return Response(
        "".join(set_table.as_csv(judged)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": attachment(row, "sets.csv")},
    )


@router.get("/studies/{study_id}/slopes.csv", response_class=Response)
def download_slopes(study_id: StudyIdDep, database: DatabaseDep) -> Response:
    """Every slope of a coordinate check's verdicts, on every axis: a row per cell."""
    row = _row(database, study_id)
    with database.read() as conn:
        judged = verdicts.of_study(conn, study_id)
    return Response(
        "".join(csv.slopes(judged)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": attachment(row, "slopes.csv")},
    )


@router.get("/studies/{study_id}/budget.csv", response_class=Response)
def download_budget(study_id: StudyIdDep, database: DatabaseDep) -> Response:
    """What every bundle took: a row per bundle."""
    row = _row(database, study_id)
    with database.read() as conn:
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
    return Response(
        "".join(csv.lines(rows, (*outer, *inner))),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": attachment(row, "budget.csv")},
    )


@router.get("/studies/{study_id}/report.html", response_class=Response)
def download_report(study_id: StudyIdDep, database: DatabaseDep) -> Response:
    """The report: it opens offline and makes no request."""
    with database.read() as conn:
        row = studies.get(conn, study_id)
        if row is None:
            raise not_found("study")
        report = study_page.report_input(conn, row)
    return Response(
        html.render(report),
        media_type="text/html; charset=utf-8",
        headers={
            "Content-Disposition": attachment(row, "report.html"),
            "Content-Security-Policy": SANDBOX,
        },
    )


def attachment(row: StudyRow, what: str) -> str:
    """A Content-Disposition with an ASCII name and the full one beside it (RFC 5987)."""
    name = f"muscope-{_slug(row.name)}-{row.id}-{what}"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _slug(name: str) -> str:
    """Letters, digits and dashes of any script; no path, dot or quote survives."""
    return re.sub(r"[^\w]+", "-", name).strip("-_")[:60] or "study"


def _row(database: Database, study_id: str) -> StudyRow:
    with database.read() as conn:
        row = studies.get(conn, study_id)
    if row is None:
        raise not_found("study")
    return row


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
