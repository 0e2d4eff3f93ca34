"""The numbers of a model under a rule, whole and broken: what sizes are calculated from.

Every number is an array (rules, places): the healthy rule first, then one for each fault, at every
place of an axis. A place is a width, or a depth.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np

from muscope.catalogue import rules
from muscope.catalogue.models import MODELS
from muscope.catalogue.models.transformer import heads
from muscope.catalogue.optimizers import OPTIMIZERS
from muscope.catalogue.options import Options
from muscope.catalogue.parametrizations import PARAMETRIZATION_ENTRIES
from muscope.catalogue.rules import Choice, Size
from muscope.theory.faults.fault import Fault, Weight
from muscope.theory.rule import WeightDims, WeightRule
from muscope.theory.u_mup_scales import READOUT_BACKWARD
from muscope.verdicts.slopes import Floats
from muscope.vocabulary import Role, UpdateFamily


@dataclass(frozen=True, slots=True)
class Question:
    """What was trained: all that the numbers of a model depend on but its size."""

    parametrization: Choice
    optimizer: str
    optimizer_options: Options
    learning_rate: float
    model: str
    options: Options

    def __hash__(self) -> int:
        """Of names and options, so that what was worked out once is found again."""
        given = (self.parametrization.options, self.optimizer_options, self.options)
        words = tuple(tuple(sorted(options.items())) for options in given)
        return hash((self.parametrization.name, self.optimizer, self.model, words))

    @property
    def complete(self) -> Options:
        """Every option of the model."""
        return MODELS[self.model].complete(self.options)


@dataclass(frozen=True, slots=True)
class Layer:
    """A weight: y = multiplier * (W x), with its first std, its rate and its optimizer."""

    role: Role
    family: UpdateFamily
    fan_in: Floats  # (places,)
    fan_out: Floats
    multiplier: Floats  # (rules, places)
    std: Floats
    rate: Floats
    epsilon: Floats


@dataclass(frozen=True)
class Numbers:
    """All numbers of a model of one depth, at several places of an axis."""

    question: Question
    faults: Sequence[Fault]
    sizes: Sequence[Size]

    @property
    def depth(self) -> int:
        """How many blocks or hidden layers."""
        return self.sizes[0].depth

    @cached_property
    def layers(self) -> Mapping[str, Layer]:
        """Every weight of a model of one block by its name: the others are like it."""
        by_place = [self._dims(size) for size in self.sizes]
        return {name: self._layer([dims[name] for dims in by_place]) for name in by_place[0]}

    @cached_property
    def attention(self) -> Floats:
        """What q.k is multiplied by."""
        question, complete = self.question, self.question.complete
        if "head_size" not in complete:
            return np.ones((len(self.faults) + 1, len(self.sizes)))
        rows = []
        for size in self.sizes:
            own = rules.attention_scale(
                question.parametrization, question.model, question.options, size
            )
            here, base = (heads(width, complete).size for width in (size.width, size.base_width))
            by_rule = complete["attention_scale"] == "rule"
            alpha = float(complete["attention_alpha"]) if by_rule else own
            scales = [fault.attention(own / alpha, here, base) for fault in self.faults]
            rows.append([own, *(alpha * scale if by_rule else own for scale in scales)])
        return np.array(rows).T

    @cached_property
    def width(self) -> Floats:
        """What the readout sums over: the last stage of a ResNet has 4 times the width."""
        model, options = self.question.model, self.question.options
        wide = [MODELS[model].weights(size.width, 1, options) for size in self.sizes]
        readouts = [[entry for entry in each if entry.role is Role.OUTPUT] for each in wide]
        return np.array(
            [
                float(found[0].fan_in if found else size.width)
                for found, size in zip(readouts, self.sizes, strict=True)
            ]
        )

    @cached_property
    def tied(self) -> Floats:
        """What the logits of tied embeddings are multiplied by."""
        question = self.question
        rows = []
        for size in self.sizes:
            dims = rules.dimensions(
                question.model, {**question.options, "tied_embeddings": False}, size
            )
            family = OPTIMIZERS[question.optimizer].family_of(Role.OUTPUT)
            readouts = self._rules(dims[rules.READOUT], family)
            embedding = self._rules(dims[rules.TOKENS], family)[0]
            ratio = readouts[0].init_std / embedding.init_std
            rows.append([readout.multiplier * ratio for readout in readouts])
        return np.array(rows).T

    @cached_property
    def head_size(self) -> Floats:
        """Elements per head, 1 without attention."""
        complete = self.question.complete
        if "head_size" not in complete:
            return np.ones(len(self.sizes))
        return np.array([float(heads(size.width, complete).size) for size in self.sizes])

    @cached_property
    def residual(self) -> Floats:
        """What every branch is multiplied by."""
        question, rows = self.question, []
        for size in self.sizes:
            right = rules.residual_multiplier(
                question.parametrization, question.model, question.options, size
            )
            own = float(question.complete.get("residual_multiplier", 1.0))
            r = size.depth / size.base_depth
            broken = [own * fault.residual(right / own, r) for fault in self.faults]
            rows.append([right, *broken])
        return np.array(rows).T

    @cached_property
    def backward(self) -> Floats | None:
        """What u-µP's readout multiplies gradients with; None where it is its multiplier."""
        question = self.question
        found = [
            rules.operator_scales(
                question.parametrization, question.model, question.options, size
            ).get(READOUT_BACKWARD)
            for size in self.sizes
        ]
        return None if None in found else np.array([float(factor or 1) for factor in found])

    @property
    def scales_gradients(self) -> bool:
        """Whether gradients of weights leave the multiplier out, as unit-scaled operators do."""
        name = self.question.parametrization.name
        return PARAMETRIZATION_ENTRIES[name].operators == "unit_scaled"

    def _dims(self, size: Size) -> dict[str, WeightDims]:
        shallow = replace(size, depth=1)
        found = rules.dimensions(self.question.model, self.question.options, shallow)
        return {
            name: replace(dims, depth=size.depth, base_depth=size.base_depth)
            for name, dims in found.items()
        }

    def _layer(self, dims: Sequence[WeightDims]) -> Layer:
        family = OPTIMIZERS[self.question.optimizer].family_of(
            dims[0].role, self.question.optimizer_options
        )
        found = [self._rules(each, family) for each in dims]
        return Layer(
            role=dims[0].role,
            family=family,
            fan_in=np.array([float(each.fan_in) for each in dims]),
            fan_out=np.array([float(each.fan_out) for each in dims]),
            multiplier=np.array([[rule.multiplier for rule in row] for row in found]).T,
            std=np.array([[rule.init_std for rule in row] for row in found]).T,
            rate=np.array([[rule.learning_rate_factor for rule in row] for row in found]).T,
            epsilon=np.array([[rule.epsilon_factor for rule in row] for row in found]).T
            * float(self.question.optimizer_options.get("epsilon", 0.0)),
        )

    def _rules(self, dims: WeightDims, family: UpdateFamily) -> list[WeightRule]:
        weight = Weight(dims, family, self._rule_of)
        return [weight.rule, *(_broken(fault, weight) for fault in self.faults)]

    @cached_property
    def _rule_of(self) -> Callable[[WeightDims, UpdateFamily], WeightRule]:
        """The healthy rule; every fault asks for the same ones."""
        choice = self.question.parametrization
        theory, options = choice.theory, choice.complete

        @cache
        def rule_of(dims: WeightDims, family: UpdateFamily) -> WeightRule:
            return theory.weight_rule(dims, family, options)

        return rule_of


def _broken(fault: Fault, weight: Weight) -> WeightRule:
    """The rule with the fault; as it was where no source has the rule that it would be."""
    try:
        return fault.change(weight)
    except ValueError:
        return weight.rule
