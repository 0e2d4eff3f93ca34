"""Whole models under u-µP against unit-scaling's: values, gradients, sizes while training."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from muscope import plan
from muscope.catalogue import Options
from muscope.lab import parametrize
from muscope.lab.models import build
from muscope.lab.models.model import Batch
from muscope.lab.models.operators import Parameters
from muscope.lab.models.unit_scaled import UnitScaledOperators
from muscope.spec import ParametrizationSpec, RunSpec
from tests.lab import specs
from tests.originals import ours
from tests.originals import unit_scaling_models as models
from tests.originals.comparison import Comparison, furthest, tensors_apart
from tests.originals.unit_scaling_twins import unit_scaling

SWIGLU: Options = {"mlp_ratio": 4, "norm": "rmsnorm", "nonlinearity": "swiglu"}
ALPHAS: Options = {
    "alpha_attn_softmax": 2.0,
    "alpha_ffn_act": 0.5,
    "alpha_res": 0.7,
    "alpha_res_attn_ratio": 3.0,
    "alpha_loss_softmax": 1.5,
    "readout_constraint": "to_output_scale",
}


OTHER = ", other multipliers"


class Case(NamedTuple):
    """Their model; ours with its options and those of u-µP."""

    twin: type[nn.Module]
    model: str
    switches: Options
    alphas: Options


CASES = {
    "llama": Case(models.Transformer, "llama", {}, {}),
    f"llama{OTHER}": Case(models.Transformer, "llama", {}, ALPHAS),
    "llama, biases and gains": Case(
        models.Transformer, "llama", {"biases": True, "norm_gains": "vector"}, {}
    ),
    "gpt": Case(models.Transformer, "gpt", {}, {}),
    f"gpt{OTHER}": Case(models.Transformer, "gpt", {}, ALPHAS),
    "gpt as their TransformerDecoder": Case(models.Decoder, "gpt", SWIGLU, {}),
    "mlp, GELU and biases": Case(models.Mlp, "mlp", {"nonlinearity": "gelu", "biases": True}, {}),
}
TRAINED = ("llama", f"llama{OTHER}", "gpt as their TransformerDecoder")
SCALARS: dict[str, tuple[str, float, Options]] = {
    "AdamW": ("adamw_independent", 0.3, {"weight_decay": 1e-2}),
    "SGD": ("sgd", 0.1, {"momentum": 0.9}),
}
"""Ours, learning rate and options by their optimizer."""
Tensors = Mapping[str, Tensor]


def run(case: str, optimizer: str = "AdamW") -> RunSpec:
    """A small run under u-µP."""
    ours_is, learning_rate, options = SCALARS[optimizer]
    made = specs.run(
        CASES[case].model,
        parametrization="u_mup",
        width=64,
        optimizer=ours_is,
        learning_rate=learning_rate,
        options=options,
        model_options=CASES[case].switches,
        steps=4,
    )
    chosen = ParametrizationSpec(name="u_mup", options=CASES[case].alphas)
    variant = made.variant.model_copy(update={"parametrization": chosen})
    return made.model_copy(update={"variant": variant})


class Passed(NamedTuple):
    """What a forward and a backward give, by our names."""

    seen: Tensors
    gradients_of_seen: Tensors
    gradients_of_weights: Tensors


def values_and_gradients(case: str) -> float:
    """Of the stream after every block, the logits and the loss; and gradients of every weight."""
    here = run(case)
    return distance(here, CASES[case].twin(here))


def distance(here: RunSpec, twin: nn.Module) -> float:
    """How far a run's model is from a twin, at equal weights on equal data."""
    start, batch = _first_values(here), _double(ours.batch(here))
    theirs = _theirs(twin, start, batch)
    mine = _ours(here, start, batch, tuple(theirs.gradients_of_seen))
    return max(
        tensors_apart(found[name], value)
        for found, wanted in zip(mine, theirs, strict=True)
        for name, value in wanted.items()
    )


def _theirs(twin: nn.Module, start: Tensors, batch: Batch) -> Passed:
    models.load(twin, start)
    loss, seen = twin(batch)
    passed = _differentiated(loss, seen, dict(twin.named_parameters()))
    return passed._replace(
        gradients_of_weights=models.by_our_names(twin, passed.gradients_of_weights)
    )


def _differentiated(loss: Tensor, seen: Tensors, weights: Tensors) -> Passed:
    found = iter(torch.autograd.grad(loss, [*seen.values(), *weights.values()]))
    of_seen = {name: next(found) for name in seen}
    return Passed({"loss": loss, **seen}, of_seen, {name: next(found) for name in weights})


def _ours(here: RunSpec, start: Tensors, batch: Batch, names: tuple[str, ...]) -> Passed:
    spec = here.variant.model
    weights = {name: value.clone().requires_grad_() for name, value in start.items()}
    multipliers = {
        name: torch.tensor(value, dtype=torch.float64)
        for name, value in parametrize.multipliers(here).items()
    }
    entries = {entry.name: entry for entry in plan.weights(here)}
    operators = UnitScaledOperators(entries, Parameters(weights, multipliers))
    loss = build(spec.name, here.width, here.depth, dict(spec.options)).loss(operators, batch)
    seen = {name: operators.activations[name] for name in names}
    return _differentiated(loss, seen, weights)


def _first_values(here: RunSpec) -> dict[str, Tensor]:
    """Ours in float64; biases, which start at zero, at something that shows what scales them."""
    return {
        name: torch.linspace(-1, 1, value.numel(), dtype=torch.float64).view_as(value)
        if name.endswith(".bias")
        else value.double()
        for name, value in ours.initial(here).items()
    }


def _double(batch: Batch) -> Batch:
    is_text = batch.inputs.dtype == torch.int64
    return batch if is_text else Batch(batch.inputs.double(), batch.targets)


def trained_sizes(case: str, optimizer: str) -> float:
    """The l1 of the stream after every block and of the logits, and the loss, steps 0 to 4."""
    here = run(case, optimizer)
    twin, batch = CASES[case].twin(here), ours.batch(here)
    models.load(twin, ours.initial(here))
    stepper = _optimizer(here, optimizer, twin)
    return furthest(
        (mine[name], size)
        for mine in ours.sizes(here)
        for name, size in _stepped(twin, stepper, batch).items()
    )


def _optimizer(here: RunSpec, name: str, twin: nn.Module) -> torch.optim.Optimizer:
    """Theirs, with the scalars of the run."""
    _, learning_rate, options = SCALARS[name]
    more: dict[str, object] = dict(options)
    if name == "SGD":
        constraint = here.variant.parametrization.complete["readout_constraint"]
        more["readout_constraint"] = None if constraint == "none" else constraint
    else:
        chosen = here.variant.optimizer.options
        more |= {"betas": (chosen["beta1"], chosen["beta2"]), "eps": chosen["epsilon"]}
    made = getattr(unit_scaling.optim, name)(twin.parameters(), lr=learning_rate, **more)
    assert isinstance(made, torch.optim.Optimizer)
    return made


def _stepped(twin: nn.Module, stepper: torch.optim.Optimizer, batch: Batch) -> dict[str, float]:
    """The sizes of a forward, then one update."""
    stepper.zero_grad()
    loss, seen = twin(batch)
    loss.backward()
    stepper.step()
    sizes = {name: float(value.detach().abs().mean()) for name, value in seen.items()}
    return {"loss": float(loss.detach()), **sizes}


def _rows() -> Iterator[Comparison]:
    version = unit_scaling.__version__
    for case in CASES:
        yield Comparison(
            "`u_mup`, whole models",
            f"unit_scaling modules {version}",
            "activations, their gradients, gradients of every weight",
            case,
            partial(values_and_gradients, case),
            1e-6,
            "float64, but for means of RMSNorm and angles in float32",
        )
    for optimizer, (name, *_) in SCALARS.items():
        for case in TRAINED:
            yield Comparison(
                f"`u_mup`, `{name}`",
                f"unit_scaling.optim.{optimizer} {version}",
                "l1 of every activation and loss, steps 0 to 4",
                case,
                partial(trained_sizes, case, optimizer),
                4e-6,
                "float32, five forwards: theirs is 3e-6 from float64, ours 1e-6",
            )


COMPARISONS: tuple[Comparison, ...] = tuple(_rows())
