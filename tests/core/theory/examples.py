"""The model of the golden numbers: four times as wide and as deep as its base."""

from muscope import catalogue
from muscope.catalogue import Options, OptionValue
from muscope.theory.rule import WeightDims, WeightRule
from muscope.vocabulary import Role, UpdateFamily

BASE, M = 64, 4
"""Base width and width multiplier: n = 256, so 1/sqrt(n) = 1/16 and the base's std is 1/8."""

VOCABULARY, BASE_DEPTH, R = 16, 2, 4

SGD, ADAM = UpdateFamily.SGD_LIKE, UpdateFamily.SIGN_LIKE
MUON, MUON_RMS = UpdateFamily.ORTHOGONAL, UpdateFamily.ORTHOGONAL_RMS
LAMB, ADAFACTOR = UpdateFamily.TRUST_RATIO, UpdateFamily.PARAMETER_SCALED
EMB, HID, OUT = Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT
VEC, SCA = Role.VECTOR, Role.SCALAR


def dims(role: Role, *, m: int = M, r: int = R, writes_stream: bool = False) -> WeightDims:
    """A weight of each role; a lookup table, a hidden weight and a vector in a branch, a scalar."""
    n = m * BASE
    fan_in, fan_out, base_fan_in, base_fan_out = {
        EMB: (1, n, 1, BASE),
        HID: (n, n, BASE, BASE),
        OUT: (n, VOCABULARY, BASE, VOCABULARY),
        VEC: (1, n, 1, BASE),
        SCA: (1, 1, 1, 1),
    }[role]
    return WeightDims(
        role,
        fan_in,
        fan_out,
        base_fan_in,
        base_fan_out,
        depth=r * BASE_DEPTH,
        base_depth=BASE_DEPTH,
        in_branch=role in (HID, VEC),
        writes_stream=writes_stream,
    )


def options(name: str, **given: OptionValue) -> Options:
    """Every option of a parametrization, a random readout unless asked."""
    known = catalogue.PARAMETRIZATION_ENTRIES[name].options
    chosen = {"zero_readout": False, **given}
    return catalogue.with_defaults(catalogue.complete_options(chosen, known), known)


def rule(
    name: str, weight: WeightDims, family: UpdateFamily = ADAM, **given: OptionValue
) -> WeightRule:
    """What a parametrization says of a weight."""
    theory = catalogue.PARAMETRIZATION_ENTRIES[name].theory
    return theory.weight_rule(weight, family, options(name, **given))
