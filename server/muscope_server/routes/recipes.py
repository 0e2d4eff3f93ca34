"""The recipe of a study for a target model, in the formats that frameworks read."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from muscope.recipe import Format
from muscope.recipe.formats import WRITTEN
from muscope_server import recipe_page
from muscope_server.contexts import RecipeTarget
from muscope_server.deps import DatabaseDep, StudyIdDep, study_of
from muscope_server.parameters import WholeNumber, refuse_unknown
from muscope_server.routes.downloads import attachment

router = APIRouter(prefix="/api/v1", dependencies=[Depends(refuse_unknown)])

LONGEST = 200
"""Characters of the key of a variant."""


@router.get("/studies/{study_id}/recipe", response_class=Response)
def read_recipe(
    study_id: StudyIdDep,
    database: DatabaseDep,
    *,
    width: Annotated[WholeNumber, Query(ge=1, le=65_536)],
    depth: Annotated[WholeNumber | None, Query(ge=1, le=512)] = None,
    variant: Annotated[str, Query(max_length=LONGEST)] = "",
    format: Format = Format.JSON,
) -> Response:
    """What to train a model of that size with: per tensor, with warnings; as JSON or an export.

    `variant` is a key or a part of one; without `depth` it is the largest that was studied.
    """
    target = RecipeTarget(variant, str(width), "" if depth is None else str(depth))
    with database.read() as conn:
        row = study_of(conn, study_id)
        text = recipe_page.written(conn, row, target, format)
    entry = WRITTEN[format]
    name = f"recipe-{width}{'' if depth is None else f'x{depth}'}.{entry.suffix}"
    return Response(
        text,
        media_type=f"{entry.media_type}; charset=utf-8",
        headers={"Content-Disposition": attachment(row, name)},
    )
