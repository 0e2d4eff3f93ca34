"""The abc-symmetry: one function, many tables (Yang et al. 2022, Lemma J.1; docs/facts.md 1)."""

from muscope.theory.rule import WeightRule
from muscope.vocabulary import DecayForm, UpdateFamily

# A weight 1/theta as large sees a gradient theta as large. Its update must be 1/theta as large:
# that takes C / theta^power, where Phi(theta g) is theta Phi(g), Phi(g) or, for an update that is
# a share of its weight, Phi(g) / theta.
POWER: dict[UpdateFamily, int] = {
    UpdateFamily.SGD_LIKE: 2,
    UpdateFamily.SIGN_LIKE: 1,
    UpdateFamily.ORTHOGONAL: 1,
    UpdateFamily.ORTHOGONAL_RMS: 1,
    UpdateFamily.TRUST_RATIO: 0,
    UpdateFamily.PARAMETER_SCALED: 0,
}


def transform(
    rule: WeightRule,
    theta: float,
    family: UpdateFamily,
    decay: DecayForm = DecayForm.COUPLED,
) -> WeightRule:
    """The rule that trains the same function with a multiplier theta times as large.

    Epsilon moves with the gradients. No rule moves what an optimizer adds to or compares with the
    weight itself: a share of a weight that is zero is such a case.
    """
    power = POWER[family]
    return WeightRule(
        multiplier=rule.multiplier * theta,
        init_std=rule.init_std / theta,
        learning_rate_factor=rule.learning_rate_factor / theta**power,
        weight_decay_factor=rule.weight_decay_factor * _decay(theta, family, decay),
        epsilon_factor=rule.epsilon_factor * theta,
    )


def _decay(theta: float, family: UpdateFamily, decay: DecayForm) -> float:
    """Rows lambda of facts 1: what keeps the shrinking of the weight per step.

    LAMB adds lambda w to Adam's direction before it takes the ratio (facts 3), so that it has to
    stay as large as the direction, which no theta moves.
    """
    if decay is DecayForm.INDEPENDENT:
        return 1.0
    if decay is DecayForm.L2 and family is not UpdateFamily.SGD_LIKE:
        raise ValueError(
            f"weight decay in the form {decay.value!r} enters the update of a {family.value!r} "
            "optimizer: no abc-symmetry holds"
        )
    return theta if family is UpdateFamily.TRUST_RATIO else theta ** POWER[family]
