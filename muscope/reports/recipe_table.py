"""A recipe as pages and reports show it: a row for each kind of weight, and sentences."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from muscope.recipe import NotARecipe, Recipe, recipe
from muscope.recipe.lines import lines
from muscope.recipe.making import AnyVerdict, default_width
from muscope.recorded import AnySpec
from muscope.reports import formats
from muscope.spec import StudySpec
from muscope.verdicts.hyperparameters.types import SearchJudgement
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict

DIGITS = 6
"""Of a number that somebody may type: a learning rate is not known to more."""


@dataclass(frozen=True, slots=True)
class RecipeRow:
    """One weight, or those of all blocks; numbers as text. `note` is the number of its rule."""

    name: str
    role: str
    init_std: str
    multiplier: str
    learning_rate: str
    weight_decay: str
    epsilon: str
    optimizer: str
    note: int


@dataclass(frozen=True, slots=True)
class RecipeTable:
    """A recipe with its warnings first; `forward` says the numbers that no weight has."""

    title: str
    label: str
    rate: str
    warnings: tuple[str, ...]
    rows: tuple[RecipeRow, ...]
    rules: tuple[str, ...]
    forward: tuple[str, ...]
    held: str


def recipes(
    spec: AnySpec,
    verdicts: Sequence[VariantVerdict],
    tuned: Sequence[TransferJudgement | SearchJudgement],
) -> tuple[RecipeTable, ...]:
    """Those of a report, for a model four times as wide as the widest: with whatever was tuned.

    Of a coordinate check only the variants that passed: the others carry nothing to another size.
    """
    if not isinstance(spec, StudySpec):
        return ()
    passed = [one for one in verdicts if one.verdict is CellVerdict.FLAT]
    keys = dict.fromkeys(one.variant for one in (tuned or passed))
    return tuple(_tables(spec, keys, (*verdicts, *tuned)))


def _tables(
    spec: StudySpec, keys: Iterable[str], verdicts: Sequence[AnyVerdict]
) -> Iterator[RecipeTable]:
    """Where nothing can be said there is no table: a report has the reasons in its verdicts."""
    for key in keys:
        with contextlib.suppress(NotARecipe):
            yield recipe_table(recipe(spec, key, verdicts, default_width(spec)))


def recipe_table(recipe: Recipe) -> RecipeTable:
    """The table of a recipe."""
    found = lines(recipe)
    rules = tuple(dict.fromkeys(line.tensor.rule for line in found))
    return RecipeTable(
        title=recipe.title,
        label=recipe.label,
        rate=recipe.rate.sentence(),
        warnings=recipe.warnings,
        rows=tuple(
            RecipeRow(
                name=line.name,
                role=line.tensor.role.value,
                init_std=_init(line.tensor.init_std, line.tensor.start),
                multiplier=_number(line.tensor.multiplier),
                learning_rate=_number(line.tensor.learning_rate),
                weight_decay=_number(line.tensor.weight_decay),
                epsilon="–" if line.tensor.epsilon is None else _number(line.tensor.epsilon),
                optimizer=line.tensor.optimizer,
                note=rules.index(line.tensor.rule) + 1,
            )
            for line in found
        ),
        rules=rules,
        forward=tuple(_forward(recipe)),
        held=", ".join(f"{formats.words(name)} {value}" for name, value in recipe.held.items()),
    )


def _init(std: float, start: float) -> str:
    return _number(std) if std or not start else f"starts at {_number(start)}"


def _number(value: float) -> str:
    return f"{value:.{DIGITS}g}"


def _forward(recipe: Recipe) -> Iterator[str]:
    """The numbers of the forward beside its weights."""
    if recipe.attention_scale is not None:
        yield f"q·k is multiplied by {_number(recipe.attention_scale)}"
    if recipe.residual_multiplier is not None:
        yield f"every branch by {_number(recipe.residual_multiplier)}"
    if recipe.tied_multiplier is not None:
        yield f"the logits of the tied embedding by {_number(recipe.tied_multiplier)}"
    of_branches = [name for name in recipe.operator_scales if name.startswith("branches.")]
    for name, scale in recipe.operator_scales.items():
        if name not in of_branches:
            yield f"{formats.words(name)} by {_number(scale)}"
    if of_branches:
        yield f"branches and the stream beside them by {len(of_branches)} numbers (in the JSON)"
