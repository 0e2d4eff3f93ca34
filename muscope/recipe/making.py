"""From a judged study to a recipe: the rules of its variant at the target's size and tuned rate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from muscope.catalogue import (
    MODELS,
    OPTIMIZERS,
    PARAMETRIZATION_ENTRIES,
    Options,
    WeightEntry,
    rules,
)
from muscope.catalogue.rules import Choice, Size
from muscope.recipe import doubts, rates
from muscope.recipe.types import BaseRate, Chosen, NotARecipe, Recipe, TensorRecipe
from muscope.spec import StudySpec, Variant, digest
from muscope.theory.rule import WeightRule
from muscope.verdicts.audit import forms
from muscope.verdicts.hyperparameters.types import SearchJudgement
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import Role

LARGEST_WIDTH, LARGEST_DEPTH = 65_536, 512
"""As a study may have them (`spec.Width`, `spec.Depth`)."""
OF_THE_REST = ("muon", "muon_match_rms")
"""Optimizers whose epsilon is that of AdamW, which steps the other weights."""
MOST_NAMED = 12
"""Variants that a sentence names."""
WIDER = 4
"""Times the largest width that was trained, for a target that nobody has said."""

AnyVerdict: TypeAlias = VariantVerdict | TransferJudgement | SearchJudgement


def recipe(
    spec: StudySpec,
    variant_key: str,
    verdicts: Sequence[AnyVerdict],
    width: int,
    depth: int | None = None,
) -> Recipe:
    """What to train a model of that width and depth with; NotARecipe where nothing can be said.

    The variant may be said by a part of its key that no other has. Without a depth it is the
    largest that was studied. The base learning rate is what the study tuned, else the one that was
    given; whatever speaks against it is in `warnings`.
    """
    variant = variant_of(spec, variant_key)
    depth = max(spec.depths) if depth is None else depth
    _check_size(variant, width, depth)
    own = [verdict for verdict in verdicts if verdict.variant == variant.key]
    rate = rates.base_rate(spec, variant, own, width=width, depth=depth)
    said = doubts.of(spec, variant, own, rate, width=width, depth=depth)
    given = _Given(spec, variant, _tuned(variant, own), _size(spec, width, depth))
    return _recipe(given, rate, said)


@dataclass(frozen=True, slots=True)
class _Given:
    """What a recipe is made of: the study's variant, and as a search tuned it."""

    spec: StudySpec
    variant: Variant
    tuned: Variant
    size: Size

    @property
    def choice(self) -> Choice:
        """The parametrization with what was tuned of it."""
        own = self.tuned.parametrization
        return Choice(own.name, own.options)


def _tuned(variant: Variant, verdicts: Sequence[AnyVerdict]) -> Variant:
    """With the multipliers that a search found, where there was one."""
    searched = next((one for one in verdicts if isinstance(one, SearchJudgement)), None)
    if searched is None:
        return variant
    return rates.winning(searched).hyperparameters.applied_to(variant)


def variant_of(spec: StudySpec, text: str) -> Variant:
    """The variant with that key, or the only one whose key has that in it; any if there is one."""
    keys = {variant.key: variant for variant in spec.variants}
    found = [text] if text in keys else [key for key in keys if text.lower() in key.lower()]
    if len(found) != 1:
        what = f"{len(found)} variants have {text!r} in their key" if text else "say which variant"
        more = ", …" if len(keys) > MOST_NAMED else ""
        named = ", ".join([*keys][:MOST_NAMED])
        raise NotARecipe(f"{what}; the study has {named}{more}")
    variant = keys[found[0]]
    if variant.parametrization.fault:
        raise NotARecipe(
            f"the variant {variant.key!r} is broken on purpose ({variant.parametrization.title}), "
            "and its recipe would carry the fault; take a healthy variant"
        )
    return variant


def _check_size(variant: Variant, width: int, depth: int) -> None:
    for name, value, largest in (("width", width, LARGEST_WIDTH), ("depth", depth, LARGEST_DEPTH)):
        if type(value) is not int or not 1 <= value <= largest:
            raise NotARecipe(f"the {name} must be a whole number from 1 to {largest}, got {value}")
    complaint = MODELS[variant.model.name].check(width, dict(variant.model.options))
    if complaint:
        raise NotARecipe(f"model {variant.model.name!r}: {complaint}")


def _size(spec: StudySpec, width: int, depth: int) -> Size:
    return Size(width, depth, spec.base_width or spec.widths[0], spec.base_depth or spec.depths[0])


def _recipe(given: _Given, rate: BaseRate, warnings: tuple[str, ...]) -> Recipe:
    variant, choice, size = given.tuned, given.choice, given.size
    model, options = variant.model.name, dict(variant.model.options)
    has_attention = "head_size" in options
    return Recipe(
        study=given.spec.name,
        study_digest=digest(given.spec),
        variant=given.variant.key,
        label=variant.label,
        parametrization=_chosen_parametrization(variant),
        optimizer=_chosen_optimizer(variant),
        model=Chosen(
            name=model, title=MODELS[model].title, options=MODELS[model].complete(options)
        ),
        width=size.width,
        depth=size.depth,
        base_width=size.base_width,
        base_depth=size.base_depth,
        rate=rate,
        tensors=tuple(_tensors(given, rate)),
        attention_scale=rules.attention_scale(choice, model, options, size)
        if has_attention
        else None,
        residual_multiplier=_residual_multiplier(choice, model, options, size),
        tied_multiplier=_tied_multiplier(variant, choice, size),
        operator_scales=rules.operator_scales(choice, model, options, size),
        held=_held(given.spec, variant, rate),
        source=choice.theory.source,
        warnings=warnings,
    )


def _chosen_parametrization(variant: Variant) -> Chosen:
    own = variant.parametrization
    entry = PARAMETRIZATION_ENTRIES[own.name]
    return Chosen(name=own.name, title=entry.title, options=dict(own.complete))


def _chosen_optimizer(variant: Variant) -> Chosen:
    own = variant.optimizer
    entry = OPTIMIZERS[own.name]
    return Chosen(name=own.name, title=entry.title, options=dict(own.complete))


def _tensors(given: _Given, rate: BaseRate) -> Iterator[TensorRecipe]:
    """Every weight of the target model, in the order of its forward."""
    variant, choice, size = given.tuned, given.choice, given.size
    model, options = variant.model.name, dict(variant.model.options)
    optimizer = variant.optimizer
    entry = OPTIMIZERS[optimizer.name]
    dims = rules.dimensions(model, options, size)
    found = rules.weight_rules(choice, optimizer.name, dims, dict(optimizer.options))
    lines = _lines(choice)
    for weight in MODELS[model].weights(size.width, size.depth, options):
        yield _tensor(
            weight,
            found[weight.name],
            rate=rate.learning_rate,
            options=optimizer.complete,
            optimizer=entry.for_role(weight.role),
            line=lines[weight.role],
        )


def _tensor(
    weight: WeightEntry,
    rule: WeightRule,
    *,
    rate: float,
    options: Options,
    optimizer: str,
    line: str,
) -> TensorRecipe:
    known = {option.name for option in OPTIMIZERS[optimizer].options}
    has_epsilon = "epsilon" in known and optimizer not in OF_THE_REST
    epsilon = float(options["epsilon"]) * rule.epsilon_factor if has_epsilon else None
    return TensorRecipe(
        name=weight.name,
        role=weight.role,
        kind=weight.kind,
        fan_in=weight.fan_in,
        fan_out=weight.fan_out,
        shape=weight.shape,
        start=weight.start / rule.multiplier,
        init_std=rule.init_std,
        multiplier=rule.multiplier,
        learning_rate=rate * rule.learning_rate_factor,
        weight_decay=float(options.get("weight_decay", 0.0)) * rule.weight_decay_factor,
        epsilon=epsilon,
        optimizer=optimizer,
        rule=line,
    )


def _lines(choice: Choice) -> dict[Role, str]:
    """The line of the rule table by role, as the source prints it, with the source."""
    form = forms.forms(Choice(choice.name, choice.complete))[0]
    return {role: form.formula(role) for role in Role}


def _residual_multiplier(choice: Choice, model: str, options: Options, size: Size) -> float | None:
    """None for a model without branches, and where operators have one for each."""
    dims = rules.dimensions(model, options, size)
    is_unit_scaled = PARAMETRIZATION_ENTRIES[choice.name].operators == "unit_scaled"
    if is_unit_scaled or not any(weight.in_branch for weight in dims.values()):
        return None
    return rules.residual_multiplier(choice, model, options, size)


def _tied_multiplier(variant: Variant, choice: Choice, size: Size) -> float | None:
    options = dict(variant.model.options)
    if not options.get("tied_embeddings"):
        return None
    return rules.tied_multiplier(choice, variant.optimizer.name, variant.model.name, options, size)


def _held(spec: StudySpec, variant: Variant, rate: BaseRate) -> Options:
    """What was the same in all that the study tuned: the recipe is for a model trained alike."""
    optimizer = variant.optimizer.complete
    return {
        "steps": rate.steps or spec.steps,
        "batch_size": rate.batch_size or variant.model.batch_size,
        **({"sequence_length": rate.sequence_length} if rate.sequence_length else {}),
        "seeds": spec.seeds,
        "widths": ", ".join(map(str, spec.widths)),
        "depths": ", ".join(map(str, spec.depths)),
        **{name: optimizer[name] for name in ("schedule", "warmup_steps") if name in optimizer},
    }


def default_width(spec: StudySpec) -> int:
    """The width of a target that nobody has said: any model that has the one has the other."""
    return WIDER * spec.widths[-1]
