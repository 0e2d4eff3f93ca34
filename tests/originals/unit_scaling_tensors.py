"""u-µP's multipliers, first values, rates and decays of every tensor against unit-scaling's."""

from collections.abc import Callable, Iterator
from functools import partial

import torch

from muscope.catalogue.rules import Choice, Size, dimensions, weight_rules
from muscope.theory.rule import WeightRule
from tests.originals import unit_scaling_twins as twins
from tests.originals.comparison import Comparison, furthest
from tests.originals.ours import our_name
from tests.originals.unit_scaling_twins import normal, unit_scaling

TOKENS = 24
WIDTH, DEPTH, RATE, DECAY = 64, 3, 0.7, 2e-4
OURS = {"Adam": "adam", "AdamW": "adamw", "SGD": "sgd"}
GPT = {"head_size": 32, "sequence_length": 16, "mlp_ratio": 4}


def rules(optimizer: str, constraint: str = "none") -> dict[str, WeightRule]:
    """Ours, by our names, without the positions that their decoder does not have."""
    dims = dimensions("gpt", GPT, Size(WIDTH, DEPTH, WIDTH, DEPTH))
    dims.pop("embedding.position")
    return weight_rules(Choice("u_mup", {"readout_constraint": constraint}), optimizer, dims)


def groups(optimizer: str, **more: object) -> dict[str, dict[str, float]]:
    """Theirs, by our names."""
    model = twins.decoder(WIDTH, DEPTH, vocabulary=256)
    stepper = getattr(unit_scaling.optim, optimizer)(
        model.parameters(), lr=RATE, weight_decay=DECAY, **more
    )
    found = twins.groups(stepper, model)
    return {name: found[twins.theirs(name)] for name in rules("adamw")}


def learning_rates(optimizer: str, constraint: str | None = None) -> float:
    """Of every tensor, with the factor of depth."""
    more = {"readout_constraint": constraint} if optimizer == "SGD" else {}
    found = groups(optimizer, **more)
    ours = rules(OURS[optimizer], constraint or "none")
    return furthest(
        (RATE * rule.learning_rate_factor, found[name]["lr"]) for name, rule in ours.items()
    )


def decays() -> float:
    """What AdamW shrinks every tensor by in a step, with decay independent of the rate."""
    found = groups("AdamW")
    return furthest(
        (DECAY * rule.weight_decay_factor, found[name]["lr"] * found[name]["weight_decay"])
        for name, rule in rules("adamw_independent").items()
    )


def vector_rates(optimizer: str, constraint: str | None = None) -> float:
    """Of biases and gains, in the blocks and after them."""
    more = {"readout_constraint": constraint} if optimizer == "SGD" else {}
    model = twins.with_vectors(WIDTH, DEPTH)
    stepper = getattr(unit_scaling.optim, optimizer)(model.parameters(), lr=RATE, **more)
    options = {**GPT, "biases": True, "norm_gains": "vector"}
    dims = dimensions("gpt", options, Size(WIDTH, DEPTH, WIDTH, DEPTH))
    choice = Choice("u_mup", {"readout_constraint": constraint or "none"})
    ours = weight_rules(choice, OURS[optimizer], dims)
    return furthest(
        (RATE * ours[our_name(name)].learning_rate_factor, group["lr"])
        for name, group in twins.groups(stepper, model).items()
    )


def multipliers() -> float:
    """The forward factor of every weight of their decoder."""
    model = twins.decoder(WIDTH, DEPTH, vocabulary=256).double()
    parameters = dict(model.named_parameters())

    def pairs() -> Iterator[tuple[float, float]]:
        for name, rule in rules("adamw").items():
            weight = parameters[twins.theirs(name)].detach()
            layer = model.get_submodule(twins.theirs(name).removesuffix(".weight"))
            if name == "embedding.token":
                seen, unscaled = layer(torch.arange(256)), weight
            else:
                inputs = normal(TOKENS, weight.shape[1]).detach()
                seen, unscaled = layer(inputs), inputs @ weight.T
            share = (seen * unscaled).sum() / unscaled.square().sum()
            yield rule.multiplier, float(share.detach())

    return furthest(pairs())


def init_stds() -> float:
    """The std of every weight of their decoder as it is born."""
    torch.manual_seed(0)
    parameters = dict(twins.decoder(256, DEPTH, vocabulary=256).named_parameters())
    return furthest(
        (rule.init_std, float(parameters[twins.theirs(name)].detach().std()))
        for name, rule in rules("adamw").items()
    )


FLOAT64 = 1e-12, "float64"
ONE_OPERATION = 1e-15, "a root here is a power there"
SAMPLED = 0.012, "four standard errors of 65536 numbers"


def _rows() -> Iterator[Comparison]:
    def row(
        original: str,
        compared: str,
        difference: Callable[[], float],
        tolerance: tuple[float, str],
        case: str = "",
    ) -> Comparison:
        title = f"unit_scaling.{original} {unit_scaling.__version__}"
        compared = f"{compared} of every tensor"
        return Comparison("`u_mup`", title, compared, case, difference, *tolerance)

    yield row("TransformerDecoder", "multiplier", multipliers, FLOAT64)
    yield row("TransformerDecoder", "init std", init_stds, SAMPLED)
    for case, measure in (("", learning_rates), ("biases, gains", vector_rates)):
        for name in OURS:
            rates = partial(measure, name)
            yield row(f"optim.{name}", "learning rate", rates, ONE_OPERATION, case)
        rates = partial(measure, "SGD", "to_output_scale")
        constrained = ", ".join(filter(None, ("readout constraint", case)))
        yield row("optim.SGD", "learning rate", rates, ONE_OPERATION, constrained)
    yield row("optim.AdamW", "independent weight decay", decays, ONE_OPERATION)


COMPARISONS: tuple[Comparison, ...] = tuple(_rows())
