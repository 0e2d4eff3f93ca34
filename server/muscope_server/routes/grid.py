"""The runs of a study where its grid has them: the twins of its Grid tab."""

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from muscope.reports import run_grid
from muscope.reports.run_grid import PlacedRun
from muscope.storage.studies import StudyRow
from muscope_server import grid_tab, schemas
from muscope_server.deps import DatabaseDep, StudyIdDep, study_of
from muscope_server.parameters import refuse_unknown
from muscope_server.routes.downloads import csv_file

router = APIRouter(prefix="/api/v1", dependencies=[Depends(refuse_unknown)])


@router.get("/studies/{study_id}/grid")
def read_grid(study_id: StudyIdDep, database: DatabaseDep) -> schemas.RunGrid:
    """Every run with its place, its state and its latest loss, held out where it was evaluated."""
    _, found = _placed(database, study_id)
    return schemas.RunGrid(runs=tuple(map(schemas.GridRunView.model_validate, found)))


@router.get("/studies/{study_id}/grid.csv", response_class=Response)
def download_grid(study_id: StudyIdDep, database: DatabaseDep) -> Response:
    """The same as CSV, a row per run."""
    row, found = _placed(database, study_id)
    return csv_file(row, "grid.csv", run_grid.lines(found))


def _placed(database: DatabaseDep, study_id: str) -> tuple[StudyRow, list[PlacedRun]]:
    with database.read() as conn:
        row = study_of(conn, study_id)
        return row, list(grid_tab.placed(conn, row))
