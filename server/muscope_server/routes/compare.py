"""Variants beside each other: the page, its JSON and CSV twins, and its figures."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response

from muscope.reports import comparison_table
from muscope.storage.database import Database
from muscope.verdicts.comparison.types import Comparison
from muscope.vocabulary import Statistic, TensorKind
from muscope_server import compare_page, compare_told, templates
from muscope_server.compare_choice import View
from muscope_server.compare_told import Told
from muscope_server.deps import DatabaseDep, an_easel
from muscope_server.errors import not_found
from muscope_server.services.remembering import Remembered

router = APIRouter()


def _view(
    chosen: Annotated[list[str] | None, Query(alias="with")] = None,
    against: Annotated[str, Query(max_length=200)] = "",
    kind: TensorKind = TensorKind.ACTIVATION,
    statistic: Statistic | None = None,
) -> View:
    """What a request asks for."""
    return View(tuple(chosen or ()), against, kind, statistic)


def _comparisons(request: Request) -> Remembered[Told]:
    """Those that were looked at last."""
    return cast(Remembered[Told], request.app.state.comparisons)


ViewDep = Annotated[View, Depends(_view)]
ComparisonsDep = Annotated[Remembered[Told], Depends(_comparisons)]


@router.get("/compare", include_in_schema=False)
def compare_page_of(
    request: Request,
    *,
    view: ViewDep,
    database: DatabaseDep,
    comparisons: ComparisonsDep,
    part: str = "",
    seen: str = "",
) -> Response:
    """The page, or the `part` that the live view fetches again; what is wrong is said on it.

    Of a part that was `seen` as it is, there is nothing to send.
    """
    if part not in ("", "comparison"):
        raise not_found("page")
    with database.read() as conn:
        if part:
            context = compare_page.part(conn, view, comparisons, seen=seen)
        else:
            context = compare_page.page(conn, view, comparisons)
    if context is None:
        return Response(status_code=204)
    if not part:
        return templates.render(request, "compare.html", context)
    answer = templates.render(request, "_comparison.html", context)
    # the figures were drawn of what the page had before
    answer.headers["HX-Trigger"] = "live:figures"
    return answer


@router.get("/api/v1/compare")
def read_comparison(
    view: ViewDep, database: DatabaseDep, comparisons: ComparisonsDep
) -> Comparison:
    """Each variant by itself, what is the same for all, and how each pair differs.

    Variants are named by `with=STUDY:VARIANT`, once each.
    """
    return _told(database, view, comparisons).comparison


@router.get("/api/v1/compare/variants.csv", response_class=Response)
def download_variants(
    view: ViewDep, database: DatabaseDep, comparisons: ComparisonsDep
) -> Response:
    """The table of a comparison: a row per variant."""
    compared = _told(database, view, comparisons).comparison
    return _csv("".join(comparison_table.variants_csv(compared)), "variants")


@router.get("/api/v1/compare/differences.csv", response_class=Response)
def download_differences(
    view: ViewDep, database: DatabaseDep, comparisons: ComparisonsDep
) -> Response:
    """Every difference of every pair, at equal rates too: the first less the second."""
    compared = _told(database, view, comparisons).comparison
    return _csv("".join(comparison_table.differences_csv(compared)), "differences")


@router.get("/api/v1/compare/figures/{name}", dependencies=[Depends(an_easel)])
def comparison_figure(
    name: str, view: ViewDep, database: DatabaseDep, comparisons: ComparisonsDep
) -> JSONResponse:
    """A figure of a comparison; `layout.meta.summary` says it in words."""
    if name not in compare_told.FIGURES:
        raise not_found("figure of a comparison")
    figures = _told(database, view, comparisons).figures
    return JSONResponse(figures.get(name) or compare_told.empty())


def _told(database: Database, view: View, comparisons: Remembered[Told]) -> Told:
    with database.read() as conn:
        return compare_page.comparable(conn, view, comparisons)


def _csv(text: str, name: str) -> Response:
    return Response(
        text,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="muscope-compare-{name}.csv"'},
    )
