"""Figures as Plotly JSON; the page fetches them, and again while a study runs."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from muscope.plots import drawing, lr_transfer
from muscope.storage import studies, verdicts
from muscope.vocabulary import Axis, Statistic, TensorKind
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
    axis: Axis = Axis.WIDTH,
) -> JSONResponse:
    """Statistic against width, one panel per step; `layout.meta.summary` says it in words.

    Over another `axis` there is a panel for every width too.
    """
    with database.read() as conn:
        row = studies.get(conn, study_id)
        if row is None:
            raise not_found("study")
        if row.spec.kind == "lr_transfer" or variant not in study_page.labels(row):
            raise not_found("variant with a coordinate check in this study")
        view = View("coordinate-check", statistic, tensor, kind, axis)
        info = study_page.figure_info(conn, row, variant, view)
    figure: dict[str, Any] = drawing.figure(info)
    return JSONResponse(figure)


@router.get("/studies/{study_id}/figures/lr-transfer")
def lr_transfer_figure(
    study_id: StudyIdDep,
    database: DatabaseDep,
    *,
    variant: Annotated[str, Query(max_length=120)],
) -> JSONResponse:
    """Loss against learning rate, one line per width; `layout.meta.summary` says it in words."""
    with database.read() as conn:
        row = studies.get(conn, study_id)
        found = {entry.variant: entry for entry in verdicts.of_transfer(conn, study_id)}
    if row is None:
        raise not_found("study")
    if row.spec.kind != "lr_transfer" or variant not in study_page.labels(row):
        raise not_found("learning-rate variant in this study")
    return JSONResponse(lr_transfer.figure(found.get(variant)))
