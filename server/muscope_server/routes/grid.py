"""The runs of a study where its grid has them: the twins of its Grid tab."""

from fastapi import APIRouter
from fastapi.responses import Response

from muscope.reports import run_grid
from muscope.reports.run_grid import PlacedRun
from muscope.storage import studies
from muscope.storage.studies import StudyRow
from muscope_server import grid_tab, schemas
from muscope_server.deps import DatabaseDep, StudyIdDep
from muscope_server.errors import not_found
from muscope_server.routes.downloads import attachment

router = APIRouter(prefix="/api/v1")


@router.get("/studies/{study_id}/grid")
def read_grid(study_id: StudyIdDep, database: DatabaseDep) -> schemas.RunGrid:
    """Every run with its place, its state and its latest loss, held out where it was evaluated."""
    _, found = _placed(database, study_id)
    return schemas.RunGrid(runs=tuple(map(schemas.GridRunView.model_validate, found)))


@router.get("/studies/{study_id}/grid.csv", response_class=Response)
def download_grid(study_id: StudyIdDep, database: DatabaseDep) -> Response:
    """The same as CSV, a row per run."""
    row, found = _placed(database, study_id)
    return Response(
        "".join(run_grid.lines(found)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": attachment(row, "grid.csv")},
    )


def _placed(database: DatabaseDep, study_id: str) -> tuple[StudyRow, list[PlacedRun]]:
    with database.read() as conn:
        row = studies.get(conn, study_id)
        if row is None:
            raise not_found("study")
        return row, list(grid_tab.placed(conn, row))
