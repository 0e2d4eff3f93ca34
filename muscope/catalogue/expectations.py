"""What theory's expectations depend on, of one variant of a study: the powers of its rules.

Nothing is said twice: how numbers depend on width is read off the rules, at the narrowest and the
widest width of the study.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from muscope.catalogue import rules
from muscope.catalogue.models import MODELS
from muscope.catalogue.models.transformer import heads
from muscope.catalogue.optimizers import OPTIMIZERS
from muscope.catalogue.options import Options
from muscope.catalogue.rules import READOUT, Choice, Size
from muscope.theory import expected
from muscope.theory.expected import Coordinates, Powers, Standard
from muscope.theory.rule import WeightDims, WeightRule
from muscope.theory.u_mup_scales import READOUT_BACKWARD
from muscope.vocabulary import Role, Statistic, TensorKind, UpdateFamily


class Place(Protocol):
    """Which tensor a slope is of, and at which step; an activation has the role of its weight."""

    @property
    def kind(self) -> TensorKind: ...
    @property
    def tensor(self) -> str: ...
    @property
    def role(self) -> Role: ...
    @property
    def step(self) -> int: ...
    @property
    def aligns_slowly(self) -> bool: ...


@dataclass(frozen=True)
class Expectations:
    """The coordinates of every slope of one variant, for `muscope.theory.expected`.

    `widths` are those of the study, `depth` its largest.
    """

    parametrization: Choice
    optimizer: str
    optimizer_options: Options
    model: str
    options: Options
    widths: Sequence[int]
    depth: int

    def on_depth(self, place: Place, statistic: Statistic) -> Standard:
        """What a slope on depth is held against; the facts speak of pre-norm blocks only."""
        is_pre_norm = self._model_options.get("norm_placement") == "pre"
        name, options = self.parametrization.name, self.parametrization.complete
        return expected.on_depth(
            expected.depth_scheme(name, options) if is_pre_norm else "",
            self._family(Role.HIDDEN),
            role=place.role,
            statistic=statistic,
            step=place.step,
            kind=place.kind,
        )

    def at(self, place: Place, statistic: Statistic) -> Coordinates:
        """All that the expectation of one slope depends on."""
        complete = self.parametrization.complete
        return Coordinates(
            row=self._row,
            zero_readout=bool(complete["zero_readout"]),
            family=self._family(place.role),
            role=place.role,
            statistic=statistic,
            step=place.step,
            aligns_slowly=place.aligns_slowly,
            kind=place.kind,
            mixed=self._family(Role.HIDDEN) is not self._family(Role.OUTPUT),
            sp_unembedding=bool(complete["sp_unembedding"]),
            zero_query=bool(self._model_options.get("zero_query", False)),
            tied=bool(self._model_options.get("tied_embeddings", False)),
            attention_start=self._attention_start,
            powers=self._powers_of(place),
            part=self._part_of(place),
        )

    @cached_property
    def _model_options(self) -> Options:
        return MODELS[self.model].complete(self.options)

    @cached_property
    def _row(self) -> str:
        """Spectral µP is µP where the readout's power is µP's: far wider than the vocabulary."""
        name, options = self.parametrization.name, self.parametrization.complete
        row = expected.row(name, options, self._family(Role.HIDDEN))
        return "mup" if row == "spectral" and self._readout == -1 else row

    def _family(self, role: Role) -> UpdateFamily:
        of = Role.HIDDEN if role in (Role.ATTENTION_LOGITS, Role.RESIDUAL) else role
        return OPTIMIZERS[self.optimizer].family_of(of, self.optimizer_options)

    def _powers_of(self, place: Place) -> Powers | None:
        """Of the weight itself, or of the one that an activation of that role is made by."""
        if place.kind is not TensorKind.ACTIVATION:
            return self._powers.get(place.tensor)
        makers = {Role.EMBEDDING: self._first_of(Role.EMBEDDING), Role.OUTPUT: READOUT}
        return self._powers.get(makers.get(place.role, ""))

    def _part_of(self, place: Place) -> str:
        """Which projection a weight belongs to, its gradient, its update or what it hands on."""
        if place.role is Role.ATTENTION_LOGITS:
            return "attention.logits"
        name = place.tensor
        if place.kind is TensorKind.ACTIVATION and name.endswith(".attn.out"):
            name = name.removesuffix("out") + "o"
        return self._narrow[name][0].part if name in self._narrow else ""

    @cached_property
    def _powers(self) -> dict[str, Powers]:
        return {name: self._of_weight(name) for name in self._narrow}

    def _of_weight(self, name: str) -> Powers:
        (dims, one), (wide_dims, other) = self._narrow[name], self._wide[name]
        starts = one.init_std > 0
        norms = (_norm(dims, one), _norm(wide_dims, other))
        is_score = self._is_score(dims)
        return Powers(
            multiplier=self._power(one.multiplier, other.multiplier),
            rate=self._power(one.learning_rate_factor, other.learning_rate_factor),
            size=self._power(one.init_std, other.init_std) if starts else None,
            spectral=self._power(*norms) if starts else None,
            readout=self._readout if self._keeps_sizes and not is_score else None,
            keeps_sizes=self._keeps_sizes,
            backward=self._through_scores if is_score else self._straight_back,
        )

    def _is_score(self, dims: WeightDims) -> bool:
        """Whether its gradient comes back through q.k of growing heads."""
        return self._attention_start is not None and dims.part in ("attention.q", "attention.k")

    @property
    def _straight_back(self) -> float | None:
        return self._backward if self._keeps_sizes else None

    @property
    def _through_scores(self) -> float | None:
        """The power of what a gradient is multiplied with on its way back through q.k.

        The gradient of a score is a sum over d values and what comes back, independent at the
        start, so sqrt(d); times the scale of q.k it has the power of the logits (docs/decisions/
        0026). None over a zero query, which stops the gradients of keys, and where operators have
        backward scales of their own.
        """
        start, back = self._attention_start, self._straight_back
        stops = bool(self._model_options.get("zero_query"))
        if start is None or back is None or stops or self._backward_scale(self._ends[0]):
            return None
        return back + start

    @cached_property
    def _readout(self) -> float | None:
        """The power of the effective readout's entries, were it not zero."""
        return self._power(*(rule.multiplier * rule.init_std for rule in self._random_readouts))

    @cached_property
    def _backward(self) -> float | None:
        """The power of what a readout that is not zero multiplies gradients with.

        Its entries with its multiplier, or with the backward scale of unit-scaled operators.
        """
        factors = [self._backward_scale(width) for width in self._ends]
        pairs = zip(factors, self._random_readouts, strict=True)
        return self._power(
            *(
                (rule.multiplier if factor is None else factor) * rule.init_std
                for factor, rule in pairs
            )
        )

    def _backward_scale(self, width: int) -> float | None:
        scales = rules.operator_scales(
            self.parametrization, self.model, self.options, self._size(width)
        )
        return scales.get(READOUT_BACKWARD)

    @cached_property
    def _random_readouts(self) -> tuple[WeightRule, ...]:
        """At the narrowest and at the widest, were it neither zero nor tied."""
        given = {**self.parametrization.options, "zero_readout": False}
        untied = {**self.options, "tied_embeddings": False}
        random = replace(self.parametrization, options=given)
        return tuple(self._rules(random, untied, width)[READOUT][1] for width in self._ends)

    @cached_property
    def _keeps_sizes(self) -> bool:
        """Whether hidden entries fall as 1/sqrt(n), so that outputs are as large as inputs."""
        return all(
            abs(self._power(one.multiplier * one.init_std, other.multiplier * other.init_std) + 0.5)
            < 1e-6
            for name, (dims, one) in self._narrow.items()
            for other in (self._wide[name][1],)
            if dims.role is Role.HIDDEN and one.init_std > 0
        )

    @cached_property
    def _attention_start(self) -> float | None:
        """sqrt(head size) for independent queries and keys, times the scale of q.k."""
        if "head_size" not in self._model_options:
            return None
        one, other = (heads(width, self._model_options).size for width in self._ends)
        if one == other:
            return None
        scales = (
            rules.attention_scale(self.parametrization, self.model, self.options, self._size(width))
            for width in self._ends
        )
        return self._power(math.sqrt(one), math.sqrt(other)) + self._power(*scales)

    @cached_property
    def _ends(self) -> tuple[int, int]:
        """The narrowest and the widest; of a single width, 4 times as wide."""
        narrow, wide = min(self.widths), max(self.widths)
        return narrow, wide if wide > narrow else 4 * narrow

    @cached_property
    def _narrow(self) -> Mapping[str, tuple[WeightDims, WeightRule]]:
        return self._rules(self.parametrization, self.options, self._ends[0])

    @cached_property
    def _wide(self) -> Mapping[str, tuple[WeightDims, WeightRule]]:
        return self._rules(self.parametrization, self.options, self._ends[1])

    def _rules(
        self, parametrization: Choice, options: Options, width: int
    ) -> dict[str, tuple[WeightDims, WeightRule]]:
        dims = rules.dimensions(self.model, options, self._size(width))
        found = rules.weight_rules(parametrization, self.optimizer, dims, self.optimizer_options)
        return {name: (dims[name], found[name]) for name in dims}

    def _size(self, width: int) -> Size:
        """Powers of width depend neither on the base width nor on the base depth."""
        return Size(width, self.depth, self._ends[0], self.depth)

    def _first_of(self, role: Role) -> str:
        return next(name for name, (dims, _) in self._narrow.items() if dims.role is role)

    def _power(self, one: float, other: float) -> float:
        """The slope between narrowest and widest, free of rounding."""
        return round(math.log(other / one) / math.log(self._ends[1] / self._ends[0]), 9)


def _norm(dims: WeightDims, rule: WeightRule) -> float:
    """The norm of the effective random matrix over sqrt(fan_out / fan_in).

    A Gaussian (a, b) of std 1 has the spectral norm sqrt(a) + sqrt(b) (facts 6: 2 sqrt(n)). Of a
    table it is the size of a row.
    """
    a, b = dims.fan_out, dims.fan_in
    if b == 1:
        return rule.multiplier * rule.init_std
    return rule.multiplier * rule.init_std * (math.sqrt(a) + math.sqrt(b)) / math.sqrt(a / b)
