"""Variants beside each other: the page, its JSON and CSV twins, and its figures."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response

from muscope.reports import comparison_table
from muscope.verdicts.comparison.types import Comparison
from muscope.vocabulary import Statistic, TensorKind
from muscope_server import compare_page, templates
from muscope_server.compare_page import View
from muscope_server.deps import DatabaseDep
from muscope_server.errors import not_found

router = APIRouter()

PARTS = {
    "": ("compare.html", compare_page.page),
    "comparison": ("_comparison.html", compare_page.part),
}


def _view(
    chosen: Annotated[list[str] | None, Query(alias="with")] = None,
    against: Annotated[str, Query(max_length=200)] = "",
    kind: TensorKind = TensorKind.ACTIVATION,
    statistic: Statistic | None = None,
) -> View:
    """What a request asks for."""
    return View(tuple(chosen or ()), against, kind, statistic)


ViewDep = Annotated[View, Depends(_view)]


@router.get("/compare", include_in_schema=False)
def compare_page_of(
    request: Request, view: ViewDep, database: DatabaseDep, part: str = "", seen: str = ""
) -> Response:
    """The page, or the `part` that the live view fetches again; what is wrong is said on it.

    Of a part that was `seen` as it is, there is nothing to send.
    """
    if part not in PARTS:
        raise not_found("page")
    template, read = PARTS[part]
    with database.read() as conn:
        if seen and seen == compare_page.mark(conn, view):
            return Response(status_code=204)
        context = read(conn, view)
    return templates.render(request, template, context)


@router.get("/api/v1/compare")
def read_comparison(view: ViewDep, database: DatabaseDep) -> Comparison:
    """Each variant by itself, what is the same for all, and how each pair differs.

    Variants are named by `with=STUDY:VARIANT`, once each.
    """
    return _compared(database, view)


@router.get("/api/v1/compare/variants.csv", response_class=Response)
def download_variants(view: ViewDep, database: DatabaseDep) -> Response:
    """The table of a comparison: a row per variant."""
    return _csv("".join(comparison_table.variants_csv(_compared(database, view))), "variants")


@router.get("/api/v1/compare/differences.csv", response_class=Response)
def download_differences(view: ViewDep, database: DatabaseDep) -> Response:
    """Every difference of every pair, at equal rates too: the first less the second."""
    text = "".join(comparison_table.differences_csv(_compared(database, view)))
    return _csv(text, "differences")


@router.get("/api/v1/compare/figures/{name}")
def comparison_figure(name: str, view: ViewDep, database: DatabaseDep) -> JSONResponse:
    """A figure of a comparison; `layout.meta.summary` says it in words."""
    if name not in compare_page.FIGURES:
        raise not_found("figure of a comparison")
    with database.read() as conn:
        found = compare_page.comparable(conn, view)
    figure: dict[str, Any] = compare_page.figure(found, name)
    return JSONResponse(figure)


def _compared(database: DatabaseDep, view: View) -> Comparison:
    with database.read() as conn:
        found = compare_page.comparable(conn, view)
    return found.comparison


def _csv(text: str, name: str) -> Response:
    return Response(
        text,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="muscope-compare-{name}.csv"'},
    )
