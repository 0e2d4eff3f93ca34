"""Figures as Plotly JSON; the page fetches them, and again while a study runs."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from muscope import presets
from muscope.plots import drawing, hyperparameters, lr_transfer, optima, published_rates
from muscope.presets import PublishedRates
from muscope.storage import verdicts
from muscope.storage.database import Database
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.vocabulary import Axis, Statistic, TensorKind
from muscope_server import experiments
from muscope_server.deps import DatabaseDep, StudyIdDep, an_easel, study_of
from muscope_server.errors import not_found
from muscope_server.parameters import refuse_unknown
from muscope_server.study_page import coordinate_check
from muscope_server.study_page.asked import labels
from muscope_server.study_page.view import View

router = APIRouter(prefix="/api/v1", dependencies=[Depends(refuse_unknown), Depends(an_easel)])


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
        row = study_of(conn, study_id)
        if row.spec.coordinate_check is None or variant not in labels(row):
            raise not_found("variant with a coordinate check in this study")
        view = View("coordinate-check", statistic, tensor, kind, axis)
        info = coordinate_check.figure_info(conn, row, variant, view)
    figure: dict[str, Any] = drawing.figure(info)
    return JSONResponse(figure)


@router.get("/studies/{study_id}/figures/lr-transfer")
def lr_transfer_figure(
    study_id: StudyIdDep,
    database: DatabaseDep,
    *,
    variant: Annotated[str, Query(max_length=120)],
    axis: Axis | None = None,
) -> JSONResponse:
    """Loss against learning rate, a line per place; `layout.meta.summary` says it in words.

    The lines lie along an axis of the study; without one, along what it asks over.
    """
    judged, published = _judged(study_id, database, variant)
    return JSONResponse(published_rates.over_losses(lr_transfer.figure(judged, axis), published))


@router.get("/studies/{study_id}/figures/lr-optima")
def lr_optima_figure(
    study_id: StudyIdDep,
    database: DatabaseDep,
    *,
    variant: Annotated[str, Query(max_length=120)],
    axis: Axis | None = None,
) -> JSONResponse:
    """The best learning rate over an axis, with its fit; `layout.meta.summary` says it in words."""
    judged, published = _judged(study_id, database, variant)
    return JSONResponse(published_rates.over_optima(optima.figure(judged, axis), published))


@router.get("/presets/{name}/figures/published")
def published_figure(name: str) -> JSONResponse:
    """The losses that the source of a preset prints; `layout.meta.summary` says it in words."""
    rates = experiments.preset(name).rates
    if rates is None or not rates.losses:
        raise not_found("preset with published losses")
    return JSONResponse(published_rates.figure(rates))


@router.get("/studies/{study_id}/figures/search")
def search_figure(
    study_id: StudyIdDep,
    database: DatabaseDep,
    *,
    variant: Annotated[str, Query(max_length=120)],
    shown: hyperparameters.Shown = "values",
) -> JSONResponse:
    """A hyperparameter search: its losses over `values`, over `pairs`, or at larger `widths`."""
    with database.read() as conn:
        row = study_of(conn, study_id)
        found = {entry.variant: entry for entry in verdicts.of_search(conn, study_id)}
    if row.spec.kind != "hyperparameter_search" or variant not in labels(row):
        raise not_found("hyperparameter search of this variant in this study")
    return JSONResponse(hyperparameters.figure(found.get(variant), shown))


def _judged(
    study_id: str, database: Database, variant: str
) -> tuple[TransferJudgement | None, PublishedRates | None]:
    """The judgement of a variant's learning rates, as far as there is one; and what was printed."""
    with database.read() as conn:
        row = study_of(conn, study_id)
        found = {entry.variant: entry for entry in verdicts.of_transfer(conn, study_id)}
    if row.spec.kind != "lr_transfer" or variant not in labels(row):
        raise not_found("learning-rate variant in this study")
    return found.get(variant), presets.published_rates(row.spec, variant)
