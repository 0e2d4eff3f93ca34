"""The tuned numbers of a judged study, for a model of another size, tensor by tensor."""

from muscope.recipe.formats import Format, export
from muscope.recipe.making import recipe, variant_of
from muscope.recipe.types import NotARecipe, NotJudged, Recipe

__all__ = ["Format", "NotARecipe", "NotJudged", "Recipe", "export", "recipe", "variant_of"]
