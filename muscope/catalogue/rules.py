"""The rule of every weight of a model: where parametrization, optimizer and model meet."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from muscope.catalogue import unit_scaling
from muscope.catalogue.models import MODELS, WeightEntry, WeightKind
from muscope.catalogue.models.transformer import heads
from muscope.catalogue.optimizers import OPTIMIZERS, OptimizerEntry
from muscope.catalogue.options import Options, OptionValue, with_defaults
from muscope.catalogue.parametrizations import PARAMETRIZATION_ENTRIES
from muscope.theory import tuning, u_mup_scales
from muscope.theory.faults import FAULTS, Fault, Weight
from muscope.theory.rule import Parametrization, WeightDims, WeightRule
from muscope.vocabulary import DecayForm, Role, UpdateFamily


@dataclass(frozen=True, slots=True)
class Size:
    """How large a model is, and the base model that its rules refer to."""

    width: int
    depth: int
    base_width: int
    base_depth: int


@dataclass(frozen=True, slots=True)
class Choice:
    """A parametrization with its options, of which silent ones may be missing.

    With a `fault` its rules are those that it has with one thing broken.
    """

    name: str
    options: Mapping[str, OptionValue]
    fault: str = ""

    @property
    def theory(self) -> Parametrization:
        """Its rules."""
        return PARAMETRIZATION_ENTRIES[self.name].theory

    @property
    def complete(self) -> Options:
        """Every option with its value."""
        return with_defaults(self.options, PARAMETRIZATION_ENTRIES[self.name].options)

    @property
    def broken(self) -> Fault | None:
        """What is broken in it, if anything is."""
        return FAULTS[self.fault] if self.fault else None

    @property
    def healthy(self) -> "Choice":
        """The same with nothing broken."""
        return replace(self, fault="")

    def rules(self) -> Callable[[WeightDims, UpdateFamily], WeightRule]:
        """What gives the rule of a weight, or ValueError where no source has one."""
        theory, options, fault = self.theory, self.complete, self.broken

        def rule_of(dims: WeightDims, family: UpdateFamily) -> WeightRule:
            return theory.weight_rule(dims, family, options)

        def broken_rule_of(dims: WeightDims, family: UpdateFamily) -> WeightRule:
            return fault.change(Weight(dims, family, rule_of)) if fault else rule_of(dims, family)

        return broken_rule_of

    @property
    def title(self) -> str:
        """Its name in quotes, with the words among its options: 'mup' (form table3)."""
        words = ", ".join(f"{k} {v}" for k, v in self.complete.items() if isinstance(v, str))
        return f"{self.name!r} ({words})" if words else f"{self.name!r}"


def dimensions(model: str, options: Options, size: Size) -> dict[str, WeightDims]:
    """The dimensions of every weight, here and in the base model, by name.

    The base model's weights are taken as deep as the model's, so that every block has its
    counterpart; of the base depth only the number matters.
    """
    here = MODELS[model].weights(size.width, size.depth, options)
    base = MODELS[model].weights(size.base_width, size.depth, options)
    pairs = zip(here, base, strict=True)
    return {entry.name: _dims(entry, other, size) for entry, other in pairs}


def weight_rules(
    parametrization: Choice,
    optimizer: str,
    dims: Mapping[str, WeightDims],
    optimizer_options: Options | None = None,
) -> dict[str, WeightRule]:
    """The rule of every weight, or ValueError where no source gives one."""
    entry, rule_of = OPTIMIZERS[optimizer], parametrization.rules()
    rules = {
        name: rule_of(weight, entry.family_of(weight.role, optimizer_options))
        for name, weight in dims.items()
    }
    return {name: _as_used(rule, entry, dims[name].role) for name, rule in rules.items()}


def _as_used(rule: WeightRule, entry: OptimizerEntry, role: Role) -> WeightRule:
    """The rule with decay and epsilon for where the optimizer puts them (facts 1, 3)."""
    decay = 1.0 if entry.decay is DecayForm.INDEPENDENT else rule.weight_decay_factor
    power = 2 if entry.squares_epsilon(role) else 1
    return replace(rule, weight_decay_factor=decay, epsilon_factor=rule.epsilon_factor**power)


def attention_scale(parametrization: Choice, model: str, options: Options, size: Size) -> float:
    """What q.k is multiplied by: the rule's scale or the model's, times the model's alpha.

    1 for a model without attention.
    """
    given = MODELS[model].complete(options)
    if "head_size" not in given:
        return 1.0
    here, base = heads(size.width, given).size, heads(size.base_width, given).size
    by_rule = parametrization.theory.attention_scale(here, base, parametrization.complete)
    fault = parametrization.broken
    scale = {
        "rule": fault.attention(by_rule, here, base) if fault else by_rule,
        "1/d": 1 / here,
        "1/sqrt(d)": 1 / math.sqrt(here),
    }[str(given["attention_scale"])]
    own = tuning.factor(parametrization.complete, tuning.ATTENTION)
    return scale * float(given["attention_alpha"]) * own


def operator_scales(
    parametrization: Choice, model: str, options: Options, size: Size
) -> dict[str, float]:
    """The scales that unit-scaled operators take beside those of weights; plain ones take none."""
    if PARAMETRIZATION_ENTRIES[parametrization.name].operators == "plain":
        return {}
    attention = attention_scale(parametrization, model, options, size)
    forward = unit_scaling.forward(model, options, size.width, size.depth, attention=attention)
    return u_mup_scales.scales(forward, parametrization.complete)


def residual_multiplier(parametrization: Choice, model: str, options: Options, size: Size) -> float:
    """What every branch is multiplied by: the rule's number times the model's."""
    theory, complete = parametrization.theory, parametrization.complete
    own = float(MODELS[model].complete(options).get("residual_multiplier", 1.0))
    own *= tuning.factor(complete, tuning.RESIDUAL)
    by_rule = theory.residual_multiplier(size.depth, size.base_depth, complete)
    fault = parametrization.broken
    return own * (fault.residual(by_rule, size.depth / size.base_depth) if fault else by_rule)


def tied_multiplier(
    parametrization: Choice, optimizer: str, model: str, options: Options, size: Size
) -> float:
    """What the logits of tied embeddings are multiplied by, so that they start as a readout's.

    A readout makes A_out * (W x) with W of the std B_out; the token embedding in its place has the
    std B_emb, so A = A_out B_out / B_emb (docs/facts.md 2.4). ValueError where the two cannot be
    one weight.
    """
    healthy = parametrization.healthy
    refusal = _tied_complaint(healthy, optimizer, model, options)
    if refusal:
        raise ValueError(refusal)
    embedding, readout = _tied(healthy, optimizer, model, options, size)
    _, broken = _tied(parametrization, optimizer, model, options, size)
    return broken.multiplier * readout.init_std / embedding.init_std


def complaint(parametrization: Choice, optimizer: str, model: str, options: Options) -> str | None:
    """Why these three do not go together, or None; the same at every width.

    Of a fault `broken.complaint` says whether it changes anything.
    """
    parametrization = parametrization.healthy
    dims = dimensions(model, options, _BASE)
    refusal = _model_complaint(parametrization.theory, dims, model, options)
    if refusal:
        return refusal
    switches = parametrization.complete
    if switches["zero_readout"] and switches["sp_unembedding"]:
        return (
            f"parametrization {parametrization.name!r}: a readout that starts at zero has no other "
            "size; of zero_readout and sp_unembedding set one to false"
        )
    try:
        weight_rules(parametrization, optimizer, dims)
    except ValueError as error:
        return f"optimizer {optimizer!r}: {error}"
    return (
        _labels_complaint(parametrization.name, optimizer, model, options)
        or _zeros_complaint(parametrization, optimizer, model, options)
        or _tied_complaint(parametrization, optimizer, model, options)
    )


def _model_complaint(
    theory: Parametrization, dims: Mapping[str, WeightDims], model: str, options: Options
) -> str | None:
    """Why the parametrization has no rules for this model, whatever the optimizer."""
    if theory.needs_branches and not any(weight.in_branch for weight in dims.values()):
        return (
            f"parametrization {theory.name!r} scales residual branches, and model {model!r} has "
            "none; take 'mup', which is the same in width"
        )
    if theory.needs_branches and MODELS[model].complete(options).get("norm_placement") == "post":
        return (
            f"parametrization {theory.name!r} with norm_placement 'post': no source derives its "
            "factors of depth for norms after the sum, only for those before each branch. Set "
            "norm_placement to 'pre', or take 'mup', which is the same in width"
        )
    if PARAMETRIZATION_ENTRIES[theory.name].operators == "unit_scaled":
        uncovered = unit_scaling.complaint(theory.name, model, options)
        if uncovered:
            return uncovered
    if theory.why_no_biases and any(weight.is_bias for weight in dims.values()):
        return theory.why_no_biases
    return None


_SHARES = (UpdateFamily.TRUST_RATIO, UpdateFamily.PARAMETER_SCALED)


def _zeros_complaint(
    parametrization: Choice, optimizer: str, model: str, options: Options
) -> str | None:
    """Whether a weight that starts at zero has one rate for its first update and for the others.

    LAMB and Adafactor take a share of the weight, but of zeros a fixed amount, as Adam does. No
    learning rate is both where the rule of a share is not that of an amount (facts 1, 2.12, 3).
    """
    theory, switches = parametrization.theory, parametrization.complete
    family = OPTIMIZERS[optimizer].family
    if family not in _SHARES:
        return None
    for name, weight in dimensions(model, options, _LARGE).items():
        switch = _starts_at_zero_by(weight, switches)
        share, amount = (
            theory.weight_rule(weight, one, switches).learning_rate_factor
            for one in (family, UpdateFamily.SIGN_LIKE)
        )
        if switch and not math.isclose(share, amount):
            return (
                f"parametrization {parametrization.title} has no learning rate for {name!r} with "
                f"optimizer {optimizer!r}: it starts at zero, where the update is a fixed amount "
                "and no share of the weight, and the two need different rates, "
                f"{amount:.4g} and {share:.4g} times the base's at 4 times the width. "
                f"Set {switch} to false, or take 'adamw'"
            )
    return None


def _starts_at_zero_by(weight: WeightDims, switches: Options) -> str | None:
    """The option by which a weight starts at zero, if it does."""
    if weight.is_bias:
        return "biases"
    if weight.starts_at_zero:
        return "zero_query"
    return "zero_readout" if weight.role is Role.OUTPUT and switches["zero_readout"] else None


def _labels_complaint(name: str, optimizer: str, model: str, options: Options) -> str | None:
    """Whether labels can be drawn from the model, and their gradient be that of the loss."""
    if not OPTIMIZERS[optimizer].draws_labels:
        return None
    if MODELS[model].complete(options).get("loss") == "mse":
        return (
            f"optimizer {optimizer!r} draws labels from the model's softmax, and a model with loss "
            "'mse' has none: no source gives another way. Set loss to 'cross_entropy', or "
            "take 'adamw'"
        )
    if PARAMETRIZATION_ENTRIES[name].operators == "unit_scaled":
        return (
            f"optimizer {optimizer!r} divides a gradient by a curvature, and parametrization "
            f"{name!r} rescales gradients on their way back, so that they are not the loss's: no "
            "source gives a rule for its clip. Take 'adamw', or parametrization 'mup'"
        )
    return None


# Wide enough for every number and size of heads; only ratios matter.
_BASE = Size(2**20, 1, 2**20, 1)
_LARGE = Size(2**22, 1, 2**20, 1)
_TIED_IN = {
    "learning_rate_factor": "learning-rate factors",
    "weight_decay_factor": "weight-decay factors",
    "epsilon_factor": "epsilon factors",
}
TOKENS, READOUT = "embedding.token", "readout"
"""The weights that `tied_embeddings` makes one."""


def _tied_complaint(
    parametrization: Choice, optimizer: str, model: str, options: Options
) -> str | None:
    """Whether one weight can serve as both: asked of the rules' numbers at two widths."""
    if not options.get("tied_embeddings"):
        return None
    name = parametrization.title
    if parametrization.complete["zero_readout"]:
        return (
            f"parametrization {name}: with tied embeddings a readout that starts at zero is an "
            "embedding that starts at zero; set zero_readout to false"
        )
    pairs = [_tied(parametrization, optimizer, model, options, size) for size in (_BASE, _LARGE)]
    why = _apart(pairs)
    return why and (
        f"parametrization {name} cannot tie embedding and readout with optimizer {optimizer!r}: "
        f"its rules give them {why}. Take 'mup' with form table8 or table9, 'sp' with init gpt2, "
        "'cerebras' or 'complete_p', or set tied_embeddings to false"
    )


def _apart(pairs: Sequence[tuple[WeightRule, WeightRule]]) -> str | None:
    """What embedding and readout do not share: factors, or a ratio of stds that stays."""
    for field, words in _TIED_IN.items():
        for embedding, readout in pairs:
            one, other = getattr(embedding, field), getattr(readout, field)
            if not math.isclose(one, other):
                return f"different {words}, {one:.4g} and {other:.4g}"
    narrow, wide = (readout.init_std / embedding.init_std for embedding, readout in pairs)
    if not math.isclose(narrow, wide):
        return f"stds whose ratio changes by {wide / narrow:.4g} when the width is 4 times as large"
    return None


def _tied(
    parametrization: Choice, optimizer: str, model: str, options: Options, size: Size
) -> tuple[WeightRule, WeightRule]:
    """The rules of token embedding and readout as if they were two weights."""
    dims = dimensions(model, {**options, "tied_embeddings": False}, size)
    both = {name: dims[name] for name in (TOKENS, READOUT)}
    rules = weight_rules(parametrization, optimizer, both)
    return rules[TOKENS], rules[READOUT]


def _dims(here: WeightEntry, base: WeightEntry, size: Size) -> WeightDims:
    return WeightDims(
        role=here.role,
        fan_in=here.fan_in,
        fan_out=here.fan_out,
        base_fan_in=base.fan_in,
        base_fan_out=base.fan_out,
        depth=size.depth,
        base_depth=size.base_depth,
        in_branch=here.in_branch,
        writes_stream=here.writes_stream,
        part=here.part,
        fused_fan_out=here.fused_fan_out,
        starts_at_zero=here.starts_at_zero,
        is_bias=here.kind is WeightKind.BIAS,
    )
