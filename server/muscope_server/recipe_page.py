"""The recipe of a study: what its page shows and what a download holds."""

from collections.abc import Mapping

from sqlalchemy import Connection

from muscope.recipe import Format, NotARecipe, NotJudged, Recipe, export, recipe
from muscope.recipe.formats import WRITTEN
from muscope.recipe.making import AnyVerdict, default_width
from muscope.recorded import RecordedSpec
from muscope.reports.recipe_table import recipe_table
from muscope.spec import StudySpec
from muscope.storage import verdicts
from muscope.storage.studies import StudyRow
from muscope.vocabulary import CellVerdict, SearchVerdict, TransferVerdict
from muscope_server import urls
from muscope_server.contexts import Export, RecipeContext, RecipeTarget
from muscope_server.errors import Refusal

GOOD = (TransferVerdict.TRANSFERS, SearchVerdict.HOLDS, CellVerdict.FLAT)

RECORDED = (
    "a recorded study has no rules of muscope's own to carry to another size; make a study of the "
    "catalogue's models, or audit your own model with `muscope audit`"
)


def made(conn: Connection, row: StudyRow, target: RecipeTarget) -> Recipe:
    """The recipe of a study for a target; NotARecipe where there is none."""
    if isinstance(row.spec, RecordedSpec):
        raise NotARecipe(RECORDED)
    judged: list[AnyVerdict] = [
        *verdicts.of_study(conn, row.id),
        *verdicts.of_transfer(conn, row.id),
        *verdicts.of_search(conn, row.id),
    ]
    width = _number("width", target.width)
    if width is None:
        width = default_width(row.spec)
    return recipe(row.spec, target.variant, judged, width, _number("depth", target.depth))


def written(conn: Connection, row: StudyRow, target: RecipeTarget, format: Format) -> str:
    """An export; a Refusal with the sentence where there is no recipe, or no such export."""
    try:
        return export(made(conn, row, target), format)
    except NotJudged as error:
        raise Refusal(409, "not_judged", _sentence(error)) from None
    except NotARecipe as error:
        raise Refusal(422, "no_recipe", _sentence(error)) from None


def context(conn: Connection, row: StudyRow, target: RecipeTarget) -> RecipeContext:
    """The tab: the choice, the table, and a download for every format that can say it."""
    target = _complete(conn, row, target)
    try:
        found = made(conn, row, target)
    except NotARecipe as error:
        return RecipeContext(target=target, table=None, problem=_sentence(error), exports=())
    exports = tuple(_export(row, target, found, format) for format in Format)
    return RecipeContext(target=target, table=recipe_table(found), problem="", exports=exports)


def _complete(conn: Connection, row: StudyRow, target: RecipeTarget) -> RecipeTarget:
    """With what the page opens with; of several variants the one with the best verdict."""
    if isinstance(row.spec, RecordedSpec):
        return target
    return RecipeTarget(
        variant=target.variant or _first(conn, row, row.spec),
        width=target.width or str(default_width(row.spec)),
        depth=target.depth or str(row.spec.depths[-1]),
    )


def _first(conn: Connection, row: StudyRow, spec: StudySpec) -> str:
    """The first variant of which the rate transfers or the check passed; else the first."""
    found = verdicts.of_studies(conn, [row.id]).get(row.id, [])
    good = {summary.variant for summary in found if summary.verdict in GOOD}
    keys = [variant.key for variant in spec.variants if not variant.parametrization.fault]
    return next(iter((*(key for key in keys if key in good), *keys)), "")


def _export(row: StudyRow, target: RecipeTarget, found: Recipe, format: Format) -> Export:
    entry = WRITTEN[format]
    try:
        export(found, format)
    except NotARecipe as error:
        return Export(title=entry.title, url="", refusal=_sentence(error))
    query: Mapping[str, str] = {
        "variant": target.variant,
        "width": target.width,
        "depth": target.depth,
        "format": format.value,
    }
    return Export(title=entry.title, url=urls.recipe(row.id, **query), refusal="")


def _number(name: str, text: str) -> int | None:
    """A whole number, or nothing."""
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise NotARecipe(f"the {name} must be a whole number, got {text[:40]!r}")
    return int(text)


def _sentence(error: NotARecipe) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
