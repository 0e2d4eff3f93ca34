"""µP against microsoft/mup: first values, scalars of every tensor, sizes while training."""

from collections.abc import Iterator
from functools import partial

import torch

from muscope.catalogue import Options
from muscope.lab.parametrize import rules
from muscope.spec import RunSpec
from tests.lab import specs
from tests.originals import mup_twins, ours
from tests.originals.comparison import Comparison, furthest, tensors_apart

MODELS: dict[str, tuple[str, Options]] = {
    "mlp": ("mlp", {}),
    "mlp with biases": ("mlp", {"biases": True}),
    "gpt": ("gpt", {}),
    "gpt with biases, gains and growing heads": (
        "gpt",
        {"biases": True, "norm_gains": "vector", "heads": 2},
    ),
    "resnet": ("resnet", {"dataset": "digits"}),
}
"""A model and its options by title."""
DRAWN = ("mlp", "gpt")
"""Those whose first values are drawn often; our biases start at 0, and a ResNet is slow to make."""
DECAY = 0.3
SCALARS: dict[str, tuple[float, Options]] = {
    "adam": (1e-2, {"weight_decay": DECAY}),
    "adamw": (1e-2, {"weight_decay": DECAY}),
    "sgd": (0.1, {"momentum": 0.9}),
}
"""Learning rate and options by optimizer; our SGD has no decay."""
SEED = 1
"""Of seed 0 the sign of one gradient of 4096 is rounding, of which Adam makes a whole step."""


def run(
    model: str,
    optimizer: str = "adamw",
    *,
    width: int = 64,
    base_width: int = 16,
    zero_readout: bool = False,
) -> RunSpec:
    """A small run under µP."""
    learning_rate, options = SCALARS[optimizer]
    name, switches = MODELS[model]
    stages = 4 if name == "resnet" else 1  # its last one is four times as wide as its first
    return specs.run(
        name,
        width=width // stages,
        base_width=base_width // stages,
        zero_readout=zero_readout,
        optimizer=optimizer,
        learning_rate=learning_rate,
        options=options,
        model_options=switches,
        steps=4,
        seed=SEED,
    )


def first_values(model: str) -> float:
    """mup makes µP's first values of SP's, which are those of a run that is its own base."""
    here = run(model)
    twin = mup_twins.plain(here)
    mup_twins.load(twin, ours.initial(here.model_copy(update={"base_width": here.width})))
    theirs = mup_twins.named(mup_twins.based(here, twin, rescale=True))
    return max(tensors_apart(value, theirs[name]) for name, value in ours.initial(here).items())


def growth_of_std(model: str) -> float:
    """How the std of torch's first values depends on width, once mup rescaled them."""
    wide, narrow = (run(model, width=width, base_width=64) for width in (256, 64))
    here, base, before = _stds(wide), _stds(narrow), rules(narrow)
    return furthest(
        (rule.init_std / before[name].init_std, here[name] / base[name])
        for name, rule in rules(wide).items()
    )


def _stds(here: RunSpec, draws: int = 8) -> dict[str, float]:
    """The root of the mean square over some draws of every parameter."""
    torch.manual_seed(here.width)
    models = [mup_twins.based(here, mup_twins.plain(here), rescale=True) for _ in range(draws)]
    values = [mup_twins.named(model) for model in models]
    return {
        name: float(torch.stack([one[name].detach() for one in values]).square().mean().sqrt())
        for name in values[0]
    }


def learning_rates(model: str, optimizer: str) -> float:
    """Of every tensor; at a ratio of widths that is no power of two."""
    return _scalars_apart(model, optimizer, "lr", SCALARS[optimizer][0], "learning_rate_factor")


def decays(model: str, optimizer: str) -> float:
    """Of every tensor, in the form that torch's optimizer has."""
    return _scalars_apart(model, optimizer, "weight_decay", DECAY, "weight_decay_factor")


def _scalars_apart(model: str, optimizer: str, theirs: str, base: float, factor: str) -> float:
    here = run(model, optimizer, width=64, base_width=24)
    twin = mup_twins.based(here, mup_twins.plain(here), rescale=True)
    groups = mup_twins.groups(mup_twins.optimizer(here, twin, weight_decay=DECAY), twin)
    found = rules(here)
    return furthest(
        (base * getattr(found[name], factor), group[theirs]) for name, group in groups.items()
    )


def trained_sizes(model: str, optimizer: str) -> float:
    """The l1 of every activation and the loss at steps 0 to 4, from equal weights on equal data."""
    pairs = []
    for zero_readout in (False, True):
        here = run(model, optimizer, zero_readout=zero_readout)
        twin = mup_twins.based(here, mup_twins.plain(here), rescale=False)
        mup_twins.load(twin, ours.initial(here))
        theirs = mup_twins.train(here, twin, ours.batch(here))
        pairs += list(zip(ours.sizes(here), theirs, strict=True))
    left_out = MADE_OF_ROUNDING if "biases" in model and optimizer != "sgd" else ()
    return furthest(
        (mine[name], twins[name])
        for mine, twins in pairs
        for name in twins
        if not name.endswith(left_out)
    )


MADE_OF_ROUNDING = (".attn.k", ".attn.logits")
"""Softmax does not see a bias of the keys: its gradient is rounding, and Adam makes steps of it."""


FLOAT32 = 2e-6, "float32, sums of up to 128 terms in another order, five forwards"
FLOAT64 = 1e-15, "a product here is a quotient there"


def _rows(model: str) -> Iterator[Comparison]:
    def row(
        ours: str,
        original: str,
        compared: str,
        difference: partial[float],
        tolerance: tuple[float, str],
    ) -> Comparison:
        return Comparison(ours, f"{original} 1.0.0", compared, model, difference, *tolerance)

    yield row(
        "`mup`",
        "mup.set_base_shapes",
        "first values, made from SP's",
        partial(first_values, model),
        (1e-6, "float32, one product"),
    )
    if model in DRAWN:
        yield row(
            "`mup`",
            "mup.set_base_shapes",
            "growth of the std of torch's own first values",
            partial(growth_of_std, model),
            (0.05, "four standard errors of 8 draws of 512 numbers"),
        )
    for name, maker in mup_twins.OPTIMIZERS.items():
        for compared, measure, tolerance in (
            ("learning rate of every tensor", learning_rates, FLOAT64),
            ("weight decay of every tensor", decays, FLOAT64),
            ("l1 of every activation and loss, steps 0 to 4", trained_sizes, FLOAT32),
        ):
            difference = partial(measure, model, name)
            yield row(f"`mup`, `{name}`", f"mup.{maker.__name__}", compared, difference, tolerance)


COMPARISONS: tuple[Comparison, ...] = tuple(row for model in MODELS for row in _rows(model))
