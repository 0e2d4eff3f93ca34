"""The equivalent forms of a rule: the same training, other stds, rates and multipliers (facts 1).

A static audit sees std and learning rate but seldom the multiplier, so it asks which form both fit.
"""

from dataclasses import dataclass, replace

from muscope.catalogue.optimizers import OptimizerEntry
from muscope.catalogue.own_dims import dims
from muscope.catalogue.rules import Choice, Size
from muscope.own_model.roles import OwnRole
from muscope.theory import symmetry
from muscope.theory.rule import VECTORS, WeightDims, WeightRule
from muscope.verdicts.audit import ratios
from muscope.verdicts.audit.finding import Quantity
from muscope.verdicts.audit.ratios import Ratios
from muscope.verdicts.audit.sizes import Sizes
from muscope.vocabulary import DecayForm, Role, UpdateFamily

_TABLES = {"table8": "Table 8", "table3": "Table 3", "table9": "Table 9"}


@dataclass(frozen=True, slots=True)
class Stepper:
    """What a rule depends on: the update family, the form of decay, and what epsilon is added to.

    (`OptimizerEntry.squared_epsilon`.)
    """

    family: UpdateFamily
    decay: DecayForm
    squares_epsilon: bool = False

    @classmethod
    def of(cls, entry: OptimizerEntry, role: Role) -> "Stepper":
        """The optimizer's, for weights of that role."""
        return cls(entry.family_of(role), entry.decay, entry.squares_epsilon(role))


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write the rule: as the choice has it, or without its multipliers."""

    label: str
    choice: Choice
    is_folded: bool = False

    def rule(self, dims: WeightDims, stepper: Stepper) -> WeightRule:
        """The rule of one weight; ValueError where no source gives one."""
        rule = self.choice.theory.weight_rule(dims, stepper.family, self.choice.complete)
        if stepper.decay is DecayForm.INDEPENDENT:
            rule = replace(rule, weight_decay_factor=1.0)
        rule = folded(rule, stepper) if self.is_folded else rule
        power = 2 if stepper.squares_epsilon else 1
        return replace(rule, epsilon_factor=rule.epsilon_factor**power)

    def wanted(self, role: OwnRole, stepper: Stepper, sizes: Sizes) -> tuple[Ratios, ...]:
        """The ratios that it allows; none where it has no rule for weights that are tied."""
        own = self._ratios(role, role.role, stepper, sizes)
        if role.tied:
            return self._tied(own, role, stepper, sizes)
        if sizes.is_in_depth and role.role is Role.HIDDEN and not role.writes_stream:
            # the names do not say for sure which is the last weight of its branch
            other = replace(role, writes_stream=True)
            return own, self._ratios(other, role.role, stepper, sizes)
        return (own,)

    def _ratios(self, role: OwnRole, column: Role, stepper: Stepper, sizes: Sizes) -> Ratios:
        here, base = (self.rule(dims, stepper) for dims in dimensions(role, column, sizes))
        return ratios.wanted(here, base, column)

    def _tied(
        self, lookup: Ratios, role: OwnRole, stepper: Stepper, sizes: Sizes
    ) -> tuple[Ratios, ...]:
        """One tensor has one learning rate; its module can only say the readout's multiplier."""
        readout = self._ratios(role, Role.OUTPUT, stepper, sizes)
        if abs(lookup[Quantity.RATE] / readout[Quantity.RATE] - 1) > 1e-9:
            return ()
        return {**lookup, Quantity.MULTIPLIER: readout[Quantity.MULTIPLIER]}, readout

    def formula(self, role: Role) -> str:
        """The row as the source prints it, with the source."""
        rows = self.choice.theory.formulas(self.choice.complete)
        row = rows.get(role) or rows.get(Role.VECTOR, "")
        source = self.choice.theory.source
        if self.label in _TABLES.values():
            source = f"{source.partition(', Table')[0]}, {self.label}"
        note = ", its multiplier folded into std and rates" if self.is_folded else ""
        return f"{row} ({source}{note})" if row else f"{source}{note}"


def forms(choice: Choice) -> tuple[Form, ...]:
    """The forms that a model may have been written in, the usual one first."""
    seen = Choice(choice.name, {**choice.options, "zero_readout": False})
    if choice.name != "mup":
        return Form("as printed", seen), Form("without multipliers", seen, is_folded=True)
    names = [str(choice.options["form"])] if "form" in choice.options else list(_TABLES)
    return tuple(
        Form(_TABLES[name], Choice(choice.name, {**seen.options, "form": name})) for name in names
    )


def for_role(given: tuple[Form, ...], role: Role) -> tuple[Form, ...]:
    """The forms that count for a role: of a bias the model's, or that without a multiplier."""
    return (given[0], replace(given[0], is_folded=True)) if role in VECTORS else given


def folded(rule: WeightRule, stepper: Stepper) -> WeightRule:
    """The equivalent rule with multiplier 1."""
    decay = stepper.decay if stepper.decay is DecayForm.INDEPENDENT else DecayForm.COUPLED
    return symmetry.transform(rule, 1 / rule.multiplier, stepper.family, decay)


def dimensions(role: OwnRole, column: Role, sizes: Sizes) -> tuple[WeightDims, WeightDims]:
    """One logical sub-matrix, (here, in the base model); `column` is the role asked for."""
    here = Size(sizes.width, sizes.depth, sizes.base_width, sizes.base_depth)
    base = Size(sizes.base_width, sizes.base_depth, sizes.base_width, sizes.base_depth)
    return dims(role, column, here), dims(role, column, base)
