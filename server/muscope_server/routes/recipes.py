"""The recipe of a study for a target model, in the formats that frameworks read."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from muscope.recipe import Format
from muscope.recipe.formats import WRITTEN
from muscope.storage import studies
from muscope_server import recipe_page
from muscope_server.contexts import RecipeTarget
from muscope_server.deps import DatabaseDep, StudyIdDep
from muscope_server.errors import not_found
from muscope_server.routes.downloads import attachment

router = APIRouter(prefix="/api/v1")

LONGEST = 200
"""Characters of the key of a variant."""


@router.get("/studies/{study_id}/recipe", response_class=Response)
def read_recipe(
    study_id: StudyIdDep,
    database: DatabaseDep,
    *,
    width: Annotated[int, Query(ge=1, le=65_536)],
    depth: Annotated[int | None, Query(ge=1, le=512)] = None,
    variant: Annotated[str, Query(max_length=LONGEST)] = "",
    format: Format = Format.JSON,
) -> Response:
    """What to train a model of that size with: per tensor, with warnings; as JSON or an export.

    `variant` is a key or a part of one; without `depth` it is the largest that was studied.
    """
    target = RecipeTarget(variant, str(width), "" if depth is None else str(depth))
    with database.read() as conn:
        row = studies.get(conn, study_id)
        if row is None:
            raise not_found("study")
        text = recipe_page.written(conn, row, target, format)
    entry = WRITTEN[format]
    name = f"recipe-{width}{'' if depth is None else f'x{depth}'}.{entry.suffix}"
    return Response(
        text,
        media_type=f"{entry.media_type}; charset=utf-8",
        headers={"Content-Disposition": attachment(row, name)},
    )
