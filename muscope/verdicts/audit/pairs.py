"""Every parameter at a size and at the base's, with its role, what steps it, and what was found."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from muscope.catalogue.optimizers import OPTIMIZERS, OptimizerEntry
from muscope.own_model.facts import Built, Parameter, pooled
from muscope.own_model.roles import OwnRole
from muscope.verdicts.audit.forms import Stepper
from muscope.verdicts.audit.ratios import Found, found
from muscope.verdicts.audit.sizes import Sizes
from muscope.vocabulary import Role

# What somebody may know of an optimizer better than the name of its class says.
_MAY_BE = {"adamw": ("adamw_independent",), "muon": ("muon_match_rms",)}


@dataclass(frozen=True, slots=True)
class Pair:
    """A parameter here and in the base model. In depth it stands for all blocks' of its kind."""

    here: Parameter
    base: Parameter
    role: OwnRole
    sizes: Sizes
    stepper: Stepper
    found: Found

    @classmethod
    def of(
        cls,
        here: Parameter,
        base: Parameter,
        role: OwnRole,
        sizes: Sizes,
        optimizer: str | None,
    ) -> "Pair":
        """With what steps it; ValueError where that is unknown, or not what `optimizer` says."""
        stepper = _stepper(here, role, optimizer)
        return cls(here, base, role, sizes, stepper, found(here, base, sizes.growth))


def in_width(
    model: Built, base: Built, roles: Mapping[str, OwnRole], optimizer: str | None
) -> list[Pair]:
    """Every parameter at two widths, in the model's order."""
    sizes = Sizes(model.width, base.width, model.depth or 1, model.depth or 1)
    bases = base.by_name()
    return [
        Pair.of(here, bases[here.name], roles[here.name], sizes, optimizer)
        for here in model.parameters
    ]


def in_depth(
    model: Built, base: Built, roles: Mapping[str, OwnRole], optimizer: str | None
) -> list[Pair]:
    """Every kind of parameter at two depths and one width; more of a kind are in the branches."""
    sizes = Sizes(model.width, base.width, model.depth or 1, base.depth or 1)
    bases = dict(_kinds(base))
    pairs = []
    for key, members in _kinds(model):
        if fewer := bases.get(key):
            role = replace(roles[members[0].name], in_branch=len(members) > len(fewer))
            pairs.append(Pair.of(_merged(members), _merged(fewer), role, sizes, optimizer))
    return pairs


_Key = tuple[str, tuple[int, ...]]


def _kinds(model: Built) -> Iterator[tuple[_Key, list[Parameter]]]:
    """Parameters of one pattern and shape."""
    kinds: dict[_Key, list[Parameter]] = defaultdict(list)
    for parameter in model.parameters:
        kinds[parameter.pattern, parameter.shape].append(parameter)
    yield from kinds.items()


def _merged(members: Sequence[Parameter]) -> Parameter:
    """All of a kind as one: their values as one sample, their stepping if they share it."""
    first = members[0]
    shared = all(member.steppings == first.steppings for member in members)
    return replace(
        first,
        name=first.pattern,
        values=pooled([member.values for member in members]),
        steppings=first.steppings if shared else (),
    )


def _stepper(parameter: Parameter, role: OwnRole, optimizer: str | None) -> Stepper:
    """What steps it, or would."""
    asserted = OPTIMIZERS[optimizer] if optimizer else None
    if not parameter.steppings:
        return Stepper.of(asserted or OPTIMIZERS["adamw"], role.role)
    stepping = parameter.steppings[0]
    entry = _entry(stepping.optimizer, stepping.class_name, asserted)
    return Stepper(entry.family, entry.decay, entry.squared_epsilon)


def _entry(name: str | None, class_name: str, asserted: OptimizerEntry | None) -> OptimizerEntry:
    """The catalogue's optimizer for a class; ValueError where that cannot be."""
    if name is None:
        if asserted is None:
            raise ValueError(
                f"the optimizer {class_name} is not known: say with --optimizer which of "
                f"{', '.join(OPTIMIZERS)} it is like"
            )
        return asserted
    if asserted is None:
        return OPTIMIZERS[name]
    if asserted.name in _MAY_BE.get(name, ()):
        return asserted
    entry = OPTIMIZERS[name]
    families = {asserted.family_of(role) for role in (Role.HIDDEN, Role.EMBEDDING)}
    if entry.family not in families:
        raise ValueError(
            f"build returned the optimizer {class_name}, and --optimizer says {asserted.name}: "
            "leave --optimizer out to audit the one that is there"
        )
    return entry
