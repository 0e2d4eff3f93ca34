"""The shape of a language model, as the configurations of other frameworks ask for it."""

from dataclasses import dataclass

from muscope.catalogue.models import transformer
from muscope.recipe.types import NotARecipe, Recipe

MODELS = ("gpt", "llama")


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A decoder-only transformer of the catalogue, at the size of a recipe."""

    hidden_size: int
    filter_size: int
    layers: int
    heads: int
    key_heads: int
    head_size: int
    vocabulary: int
    length: int
    tied: bool
    biases: bool
    gated: bool
    learned_positions: bool
    gains: str
    norm: str
    nonlinearity: str
    norm_first: bool
    fused: bool

    @classmethod
    def of(cls, recipe: Recipe, framework: str) -> "LanguageModel":
        """That of a recipe; NotARecipe where the model is something else."""
        if recipe.model.name not in MODELS:
            raise NotARecipe(
                f"{framework} trains language models, and the study's model is "
                f"{recipe.model.name!r}; take the format pytorch or json"
            )
        options = recipe.model.options
        heads = transformer.heads(recipe.width, options)
        return cls(
            hidden_size=recipe.width,
            filter_size=int(options["mlp_ratio"]) * recipe.width,
            layers=recipe.depth,
            heads=heads.queries,
            key_heads=heads.keys,
            head_size=heads.size,
            vocabulary=transformer.classes(options),
            length=int(options["sequence_length"]),
            tied=bool(options["tied_embeddings"]),
            biases=bool(options["biases"]),
            gated=options["nonlinearity"] == "swiglu",
            learned_positions=options["positions"] == "learned",
            gains=str(options["norm_gains"]),
            norm=str(options["norm"]),
            nonlinearity=str(options["nonlinearity"]),
            norm_first=options["norm_placement"] == "pre",
            fused=bool(options["fused_projections"]),
        )


def no_key(framework: str, what: str, instead: str) -> NotARecipe:
    """The sentence for something that a framework's configuration has no key for."""
    return NotARecipe(
        f"{framework}'s configuration has no key for {what}; {instead}, or take the format "
        "pytorch or json"
    )
