"""Figures as Plotly JSON; the page fetches them, and again while a study runs."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from muscope.plots import drawing
from muscope.storage import studies
from muscope.vocabulary import Statistic, TensorKind
from muscope_server import study_page
from muscope_server.deps import DatabaseDep, StudyIdDep
from muscope_server.errors import not_found
from muscope_server.study_page import View

router = APIRouter(prefix="/api/v1")


@router.get("/studies/{study_id}/figures/coordinate-check")
def coordinate_check_figure(
    study_id: StudyIdDep,
    database: DatabaseDep,
    *,
    variant: Annotated[str, Query(max_length=120)],
    kind: TensorKind = TensorKind.ACTIVATION,
    statistic: Statistic = Statistic.L1,
    tensor: Annotated[str, Query(max_length=200)] = "",
) -> JSONResponse:
    """Statistic against width, one panel per step; `layout.meta.summary` says it in words."""
    with database.read() as conn:
        row = studies.get(conn, study_id)
        if row is None:
            raise not_found("study")
        if variant not in study_page.labels(row):
            raise not_found("variant in this study")
        view = View(tab="coordinate-check", statistic=statistic, tensor=tensor, kind=kind)
        info = study_page.figure_info(conn, row, variant, view)
    figure: dict[str, Any] = drawing.figure(info)
    return JSONResponse(figure)
