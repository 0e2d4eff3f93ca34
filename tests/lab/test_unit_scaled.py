"""u-µP's operators: factors of theory in both directions, unit size, and µP's training."""

from collections.abc import Callable, Sequence
from statistics import fmean

import pytest
import torch
from torch import Tensor
from torch.func import grad_and_value
from torch.nn import functional

from muscope import catalogue
from muscope.catalogue import Options
from muscope.catalogue.models.entries import gain, matrix, table
from muscope.catalogue.rules import Choice, Size, complaint, dimensions, weight_rules
from muscope.lab import engine, parametrize
from muscope.lab.models import build
from muscope.lab.models.model import Batch
from muscope.lab.models.operators import Operators, Parameters
from muscope.lab.models.unit_scaled import UnitScaledOperators
from muscope.records import StepRecord
from muscope.spec import OptimizerSpec, ParametrizationSpec, RunSpec
from muscope.theory import u_mup_operators as factors
from muscope.theory import u_mup_scales as scales
from muscope.theory.rule import WeightRule
from muscope.theory.symmetry import transform
from muscope.vocabulary import DecayForm, Role, Statistic, TensorKind, UpdateFamily
from tests.lab import specs
from tests.lab.exponents.measuring import slope

TOKENS, FAN_IN, FAN_OUT, ROWS, LENGTH, HEAD_SIZE = 24, 16, 40, 50, 12, 8
ENTRIES = {
    entry.name: entry
    for entry in (
        matrix("hidden", Role.HIDDEN, FAN_OUT, FAN_IN),
        matrix("readout", Role.OUTPUT, FAN_OUT, FAN_IN),
        table("tokens", ROWS, FAN_OUT),
        gain("norm.gain", FAN_IN, in_branch=False),
    )
}


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def operators(weights: dict[str, Tensor], **multipliers: float) -> UnitScaledOperators:
    columns = {name: torch.tensor(value) for name, value in multipliers.items()}
    return UnitScaledOperators(ENTRIES, Parameters(weights, columns))


def check(
    scaled: Callable[..., Tensor],
    plain: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    forward: float,
    backward: Sequence[float],
) -> None:
    """The scaled function is the plain one with these factors of output and gradients."""
    ours, theirs = ([x.clone().requires_grad_() for x in inputs] for _ in range(2))
    output, expected = scaled(*ours), plain(*theirs)
    torch.testing.assert_close(output, expected * forward)
    upstream = normal(*output.shape, seed=7)
    found = torch.autograd.grad(output, ours, upstream)
    gradients = torch.autograd.grad(expected, theirs, upstream)
    for one, other, factor in zip(found, gradients, backward, strict=True):
        torch.testing.assert_close(one, other * factor)


@pytest.mark.parametrize("name", ["hidden", "readout"])
def test_a_matrix_has_one_factor_forward_one_backward_and_one_for_its_gradient(name: str) -> None:
    rule = {"hidden": factors.linear, "readout": factors.linear_readout}[name]
    forward, backward = rule(FAN_IN, FAN_OUT)
    given = {name: forward, scales.READOUT_BACKWARD: backward}
    check(
        lambda x, w: operators({name: w}, **given).linear(name, x),
        functional.linear,
        (normal(TOKENS, FAN_IN), normal(FAN_OUT, FAN_IN, seed=1)),
        forward,
        (backward if name == "readout" else forward, TOKENS**-0.5),
    )


def test_a_bias_is_inside_the_multiplier_of_its_matrix() -> None:
    x = normal(TOKENS, FAN_IN, seed=2)
    check(
        lambda w, b: operators({"hidden": w, "hidden.bias": b}, hidden=0.5).linear("hidden", x),
        lambda w, b: functional.linear(x, w, b[:, 0]),
        (normal(FAN_OUT, FAN_IN), normal(FAN_OUT, 1)),
        0.5,
        (TOKENS**-0.5, TOKENS**-0.5),
    )


def test_a_table_and_a_gain_scale_their_gradients_only() -> None:
    indices = torch.arange(TOKENS) % ROWS
    check(
        lambda w: operators({"tokens": w}).lookup("tokens", indices),
        lambda w: functional.embedding(indices, w),
        (normal(ROWS, FAN_OUT),),
        1.0,
        ((ROWS / TOKENS) ** 0.5,),
    )
    rows = normal(TOKENS, FAN_IN)
    check(
        lambda w: operators({"norm.gain": w}).norm("norm", "rmsnorm", rows),
        lambda w: functional.rms_norm(rows, (FAN_IN,), w.flatten(), eps=1e-9),
        (normal(FAN_IN, 1),),
        1.0,
        (TOKENS**-0.5,),
    )


@pytest.mark.parametrize("mult", [0.5, 1.0, 3.0])
def test_functions_of_one_or_two_inputs_have_the_factor_of_their_output(mult: float) -> None:
    x, gate = normal(TOKENS, FAN_IN), normal(TOKENS, FAN_IN, seed=1)

    def scaled(kind: str) -> UnitScaledOperators:
        output = scales.NONLINEARITIES[kind](mult)[0]
        return operators({}, **{scales.NONLINEARITY: mult, scales.NONLINEARITY_OUTPUT: output})

    def elementwise(kind: str, plain: Callable[[Tensor], Tensor]) -> None:
        factor = scales.NONLINEARITIES[kind](mult)[0]
        check(lambda x: scaled(kind).nonlinearity(kind, x), plain, (x,), factor, (factor,))

    elementwise("gelu", lambda x: functional.gelu(mult * x) / mult)
    elementwise("silu", lambda x: x * torch.sigmoid(mult * x))
    elementwise("relu", functional.relu)
    factor = factors.silu_glu(mult)[0]
    check(
        scaled("swiglu").gated,
        lambda x, g: x * g * torch.sigmoid(mult * g),
        (x, gate),
        factor,
        (factor, factor),
    )
    check(operators({}).add, torch.add, (x, gate), 0.5**0.5, (0.5**0.5, 0.5**0.5))


def test_attention_has_one_factor_for_its_output_and_three_gradients() -> None:
    factor = factors.attention(HEAD_SIZE, LENGTH, mult=2.0)[0]
    ours = operators({}, attention=2 / HEAD_SIZE, **{scales.ATTENTION_OUTPUT: factor})

    def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=2 / HEAD_SIZE)

    heads = [normal(2, 3, LENGTH, HEAD_SIZE, seed=seed) for seed in range(3)]
    check(lambda q, k, v: ours.attention("a", q, k, v), plain, heads, factor, (factor,) * 3)


def test_a_loss_is_the_mean_with_the_gradient_of_a_sum() -> None:
    targets = torch.arange(TOKENS) % FAN_OUT
    one_hot = functional.one_hot(targets, FAN_OUT).double()
    inputs = (normal(TOKENS, FAN_OUT),)
    check(
        lambda x: operators({}, logits=2.0).cross_entropy(x, targets),
        lambda x: functional.cross_entropy(2 * x, targets),
        inputs,
        1.0,
        (TOKENS * factors.cross_entropy(FAN_OUT) / 2,),  # alpha_loss_softmax is forward only
    )
    check(
        lambda x: operators({}).mean_squared_error(x, targets),
        lambda x: functional.mse_loss(x, one_hot),
        inputs,
        1.0,
        (TOKENS * FAN_OUT * factors.squared_error(),),
    )


def test_a_branch_gets_a_unit_gradient_and_the_stream_the_true_one() -> None:
    given = {scales.inside(0): 0.6, scales.skip(0): 0.8}
    seen: list[Tensor] = []

    def inside(x: Tensor) -> Tensor:
        outputs = torch.tanh(x)
        outputs.register_hook(seen.append)  # type: ignore[no-untyped-call]
        return outputs

    def plain(x: Tensor) -> Tensor:
        return 0.6 * torch.tanh(x) + 0.8 * x

    x = normal(TOKENS, FAN_IN)
    check(lambda x: operators({}, **given).branch(0, x, inside), plain, (x,), 1.0, (1.0,))
    torch.testing.assert_close(seen[0], normal(TOKENS, FAN_IN, seed=7))  # not times 0.6


def llama(width: int = 128) -> RunSpec:
    """Two blocks whose heads and feed-forward are as in unit-scaling's own layer."""
    options: Options = {
        "head_size": 32,
        "sequence_length": 64,
        "mlp_ratio": 4,
        "queries_per_key": 1,
    }
    run = specs.run("llama", parametrization="u_mup", width=width, model_options=options)
    return run.model_copy(update={"base_width": width})


def test_every_tensor_of_a_llama_starts_at_unit_size() -> None:
    run = llama()
    options = dict(run.variant.model.options)
    entries = {e.name: e for e in catalogue.MODELS["llama"].weights(run.width, 2, options)}
    rules = parametrize.rules(run)
    weights = {n: parametrize.initial(e, rules[n], seed=0) for n, e in entries.items()}
    columns = {n: torch.tensor(value) for n, value in parametrize.multipliers(run).items()}
    tokens = torch.randint(0, 256, (8, 65), generator=torch.Generator().manual_seed(0))
    model = build("llama", run.width, 2, options)

    def loss(weights: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        ours = UnitScaledOperators(entries, Parameters(weights, columns))
        return model.loss(ours, Batch(tokens[:, :-1], tokens[:, 1:])), ours.activations

    gradients, (_, activations) = grad_and_value(loss, has_aux=True)(weights)
    # Logits are q.k / d and W x / n: sizes 1/√d and 1/√n by intent (facts 2.9 and 5.2).
    small = {name for name in activations if name.endswith("logits")} | {"readout"}
    sizes = {name: values.std().item() for name, values in activations.items()}
    assert {name for name, size in sizes.items() if not 0.7 < size < 2.2} == small
    gradient_sizes = {name: values.square().mean().sqrt() for name, values in gradients.items()}
    # Nearly uniform attention hardly depends on q and k, so that their gradients are smaller.
    slow = {name for name in gradients if name.endswith((".q", ".k"))}
    assert {name for name, size in gradient_sizes.items() if not 0.5 < size < 3} == slow
    assert all(0.05 < gradient_sizes[name] < 1 for name in slow)


ALPHAS = ("alpha_attn_softmax", "alpha_ffn_act", "alpha_res", "alpha_res_attn_ratio")


@pytest.mark.parametrize("model", ["gpt", "llama", "mlp"])
def test_members_with_different_alphas_are_stacked_and_do_not_see_each_other(model: str) -> None:
    def member(options: Options) -> RunSpec:
        curved: Options = {"nonlinearity": "gelu"} if model == "mlp" else {}
        run = specs.run(model, parametrization="u_mup", learning_rate=0.1, model_options=curved)
        chosen = ParametrizationSpec(name="u_mup", options=options)
        variant = run.variant.model_copy(update={"parametrization": chosen})
        return run.model_copy(update={"variant": variant})

    given: list[Options] = [{}, dict.fromkeys(ALPHAS, 2.0), {"alpha_loss_softmax": 0.5}]
    members = [member(options) for options in given]
    together = [losses(record) for record in engine.train(members)]
    alone = [[losses(record)[0] for record in engine.train([one])] for one in members]
    for number, trace in enumerate(alone):
        # float32; a stacked product may sum in another order
        assert [step[number] for step in together] == pytest.approx(trace, rel=1e-5)
    assert len(set(together[-1])) == 3


def losses(record: StepRecord) -> list[float]:
    return [progress.train_loss for progress in record.progress]


def test_runs_of_other_operators_are_not_stacked() -> None:
    members = [specs.run(parametrization=name) for name in ("mup", "u_mup")]
    with pytest.raises(ValueError, match="member 1 has operators unit_scaled"):
        engine.train(members)


def test_updates_have_the_exponents_of_facts_5_1() -> None:
    widths = (256, 512, 1024)
    found: dict[str, list[float]] = {"input": [], "hidden.0": [], "readout": []}
    logits: list[float] = []
    for width in widths:
        run = specs.run(parametrization="u_mup", learning_rate=0.01, width=width, depth=1, steps=1)
        members = [run.model_copy(update={"seed": n, "record": "full"}) for n in range(4)]
        first, last = engine.train(members)
        for name, values in found.items():
            values.append(mean(last, TensorKind.WEIGHT, name, Statistic.CONTRIBUTION))
        logits.append(mean(first, TensorKind.ACTIVATION, "readout", Statistic.L1))
    expected = {"input": -0.5, "hidden.0": 0.0, "readout": 0.0}
    for name, values in found.items():  # facts, section 10: 0.05
        assert slope(widths, values) == pytest.approx(expected[name], abs=0.05), name
    assert slope(widths, logits) == pytest.approx(-0.5, abs=0.1)


def mean(record: StepRecord, kind: TensorKind, tensor: str, statistic: Statistic) -> float:
    return fmean(
        getattr(measured.values, statistic.value) or 0.0
        for measured in record.measurements
        if measured.kind is kind and measured.tensor == tensor
    )


class SameNonlinearity(Operators):
    """Plain operators with u-µP's factor of ReLU, which is a constant and not a rule."""

    def nonlinearity(self, kind: str, inputs: Tensor) -> Tensor:
        return super().nonlinearity(kind, inputs) * factors.relu()[0]


def test_u_mup_is_table_8_with_hidden_weights_of_unit_size_and_one_other_rate() -> None:
    run = specs.run(parametrization="u_mup", width=32)
    ours = parametrize.rules(run)
    dims = dimensions("mlp", dict(run.variant.model.options), Size(32, 2, 1, 2))
    table8 = weight_rules(Choice("mup", {"zero_readout": False}), "adamw", dims)
    for name, weight in dims.items():
        theta = 1 / ours[name].multiplier if weight.role is not Role.OUTPUT else 1.0
        moved = transform(ours[name], theta, UpdateFamily.SIGN_LIKE, DecayForm.COUPLED)
        assert (moved.multiplier, moved.init_std) == pytest.approx(
            (table8[name].multiplier, table8[name].init_std)
        )
    rates = {n: r.learning_rate_factor / table8[n].learning_rate_factor for n, r in ours.items()}
    hidden = dict.fromkeys(("hidden.0", "hidden.1"), 32**0.5)
    assert rates == pytest.approx({"input": 32**-0.5, "readout": 1.0, **hidden})
    # The pixels' fan_in is a constant of the base, so the embedding's theta is no rule of width.
    same = {**ours, "input": _rate(ours["input"], ours["input"].learning_rate_factor)}
    theirs = {**table8, "input": _rate(table8["input"], 32**-0.5 / 8)}
    one = trace(UnitScaledOperators, run, same)
    assert one == pytest.approx(trace(SameNonlinearity, run, theirs), rel=1e-9)  # float64
    assert one[-1] < 0.9 * one[0]


def _rate(rule: WeightRule, factor: float) -> WeightRule:
    return WeightRule(rule.multiplier, rule.init_std, factor, 1.0, 1.0)


def trace(
    kind: type[Operators], run: RunSpec, rules: dict[str, WeightRule], *, rate: float = 0.1
) -> list[float]:
    """Losses of six steps of sign descent, which any positive multiple of a gradient gives."""
    entries = {e.name: e for e in catalogue.MODELS["mlp"].weights(run.width, run.depth, {})}
    columns = parametrize.multipliers(run) | {n: rule.multiplier for n, rule in rules.items()}
    multipliers = {n: torch.tensor(value, dtype=torch.float64) for n, value in columns.items()}
    weights = {
        name: normal(*entry.shape, seed=number) * rules[name].init_std
        for number, (name, entry) in enumerate(entries.items())
    }
    batch = Batch(normal(16, 64, seed=9), torch.arange(16) % 10)
    model = build("mlp", run.width, run.depth, {})

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return model.loss(kind(entries, Parameters(weights, multipliers)), batch)

    found = []
    for _ in range(6):
        gradients, value = grad_and_value(loss)(weights)
        found.append(value.item())
        for name, gradient in gradients.items():
            step = rate * rules[name].learning_rate_factor
            weights[name] = weights[name] - step * gradient.sign()
    return found


def test_adams_rates_are_those_of_table_2() -> None:
    rates = {n: r.learning_rate_factor for n, r in parametrize.rules(llama()).items()}
    stack = 2**-0.5  # two blocks
    assert rates["embedding.token"] == pytest.approx(128**-0.5)
    assert rates["blocks.0.attn.q"] == pytest.approx(stack * 128**-0.5)
    assert rates["blocks.1.mlp.down"] == pytest.approx(stack * 512**-0.5)
    assert rates["readout"] == 1.0


@pytest.mark.parametrize(
    ("model", "options", "sentence"),
    [
        ("resnet", {}, "no scales for the convolutions of model 'resnet'; allowed: gpt, llama"),
        ("mlp", {"nonlinearity": "tanh"}, "nonlinearity 'tanh': no source gives it a scale"),
        ("gpt", {"nonlinearity": "squared_relu"}, "'squared_relu': no source gives it a scale"),
        ("gpt", {"norm_placement": "post"}, "derived for norms before each branch"),
        ("gpt", {"residual_multiplier": 2.0}, "leave this at 1 and set alpha_res"),
        ("gpt", {"tied_embeddings": True}, "cannot tie embedding and readout"),
    ],
)
def test_what_the_operators_do_not_cover_is_refused(
    model: str, options: Options, sentence: str
) -> None:
    complete = catalogue.MODELS[model].complete(options)
    assert sentence in (complaint(Choice("u_mup", {}), "adamw", model, complete) or "")


def test_a_study_may_ask_for_u_mup() -> None:
    spec = OptimizerSpec(name="adamw", learning_rate=1.0)
    run = specs.run("llama", parametrization="u_mup", learning_rate=spec.learning_rate)
    assert run.variant.label == "Llama · u-µP · AdamW 1"
