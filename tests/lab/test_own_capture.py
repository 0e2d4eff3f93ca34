"""Every tensor of somebody's model is met once, whatever the model is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from muscope.lab.own import inspection
from muscope.lab.own.capture import Capture, Seen
from muscope.own_model.tensors import Face, Sight

WIDTH, TIME, CLASSES = 8, 5, 7


def look(model: nn.Module, inputs: Tensor, **forward: Any) -> Sight:
    return inspection.look(model, lambda m: _loss(m(inputs, **forward)), WIDTH)


def _loss(output: Any) -> Tensor:
    logits = output if isinstance(output, Tensor) else output[0]
    return functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))


def met(sight: Sight, face: Face) -> list[str]:
    return [one.name for one in sight.met if one.face is face]


def test_leaves_of_a_plain_model_are_met_in_the_order_of_the_forward() -> None:
    model = nn.Sequential(nn.Linear(3, WIDTH), nn.ReLU(), nn.Dropout(), nn.Linear(WIDTH, CLASSES))
    sight = look(model, torch.randn(4, 3))
    assert met(sight, Face.MODULE) == ["0", "1", "3"]
    assert (sight.before_loss, sight.reaching_loss) == ({"3"}, {"3"})


class Scaled(nn.Module):
    """A readout with numbers behind it."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.hidden, self.readout = nn.Linear(3, WIDTH), nn.Linear(WIDTH, CLASSES)
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.readout(self.hidden(x)))


@pytest.mark.parametrize(
    ("change", "reaches"),
    [
        (lambda logits: logits, True),
        (lambda logits: logits.float().contiguous(), True),
        (lambda logits: logits[:, :-1], True),
        (lambda logits: logits / 4, False),
        (lambda logits: 0.25 * logits, False),
        (lambda logits: 30 * torch.tanh(logits / 30), False),
        (lambda logits: logits.log_softmax(-1), True),  # a softmax's logits are judged
    ],
)
def test_a_readout_is_the_input_of_the_loss_unless_something_changes_it(
    change: Callable[[Tensor], Tensor], reaches: bool
) -> None:
    sight = look(Scaled(change), torch.randn(4, 3))
    assert sight.before_loss == {"readout"}  # and not what is below its product
    assert sight.reaching_loss == ({"readout"} if reaches else set())


def test_a_number_behind_a_module_is_met_with_it() -> None:
    sight = look(Scaled(lambda logits: 3 * logits / 4), torch.randn(4, 3))
    (scaled,) = [one for one in sight.met if one.face is Face.SCALED]
    assert (scaled.name, scaled.factor) == ("readout", 0.75)


def test_log_probabilities_are_judged_before_they_hide_the_logits() -> None:
    """Their mean size is about log(classes), whatever the logits are."""
    model = Scaled(lambda logits: 100 * logits)
    values = {}

    def loss(m: nn.Module) -> Tensor:
        chosen = m(torch.randn(4, 3)).log_softmax(-1)
        return functional.nll_loss(chosen, torch.zeros(4, dtype=torch.long))

    with Capture(model, lambda seen: values.__setitem__(seen.face, seen.value.detach())):
        loss(model)
    assert torch.equal(values[Face.LOSS_INPUT], values[Face.SCALED])


def test_without_a_loss_function_the_output_of_the_model_is_the_end() -> None:
    sight = inspection.look(nn.Linear(3, CLASSES), lambda m: m(torch.ones(4, 3)).square().sum(), 1)
    assert met(sight, Face.OUTPUT) == ["output"]
    assert met(sight, Face.LOSS_INPUT) == []


class Attention(nn.Module):
    """One head, computed in one of the ways that people write it."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.q(x), self.k(x), self.v(x)
        if self.how == "fused":
            return functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.125)
        if self.how == "einsum":
            scores = 0.125 * torch.einsum("bqd,bkd->bqk", q, k)
        else:
            scores = (q * 0.125) @ k.transpose(-2, -1)
        mask = torch.ones(TIME, TIME).tril() == 0
        hidden = scores.masked_fill(mask, -torch.inf) if self.how != "added" else scores
        if self.how == "added":
            hidden = scores + torch.where(mask, torch.finfo(scores.dtype).min, 0.0)
        return functional.softmax(hidden, dim=-1) @ v


@pytest.mark.parametrize("how", ["fused", "einsum", "written", "added"])
def test_attention_logits_are_seen_without_a_module_for_them(how: str) -> None:
    torch.manual_seed(0)
    model, x = Attention(how), torch.randn(2, TIME, WIDTH)
    found: list[Tensor] = []

    def take(seen: Seen) -> None:
        if seen.face is Face.ATTENTION:
            found.append(seen.value)

    with Capture(model, take) as capture:
        model(x).sum()
    (logits,) = found
    every = 0.125 * model.q(x) @ model.k(x).mT
    allowed = every if how == "fused" else every[:, torch.ones(TIME, TIME).tril() > 0]
    torch.testing.assert_close(
        logits.sort().values.flatten().sort()[0], allowed.flatten().sort()[0]
    )
    assert capture.into_scores == {"q", "k"}


@pytest.mark.parametrize("need_weights", [True, False])
def test_attention_logits_of_torch_s_own_module(need_weights: bool) -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)

        def forward(self, x: Tensor) -> Any:
            return self.attention(x, x, x, need_weights=need_weights)[0].mean(1)

    sight = look(Block(), torch.randn(2, TIME, WIDTH))
    (logits,) = [one for one in sight.met if one.face is Face.ATTENTION]
    assert logits.name == "attention.attention_logits"
    assert logits.shape in ((2, 2, TIME, TIME), (4, TIME, TIME))
    assert "attention" in met(sight, Face.MODULE)


def test_a_softmax_that_is_no_attention_is_none() -> None:
    model = nn.Sequential(nn.Linear(3, WIDTH), nn.Softmax(-1), nn.Linear(WIDTH, CLASSES))
    sight = inspection.look(model, lambda m: m(torch.randn(2, 4, 3)).square().sum(), WIDTH)
    assert met(sight, Face.ATTENTION) == []


class Repeated(nn.Module):
    """The same layer again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, times: int = 2) -> Tensor:
        for _ in range(times):
            x = self.layer(x)
        return x


def test_a_module_that_is_called_again_is_met_again_by_another_name() -> None:
    sight = look(Repeated(), torch.randn(4, WIDTH))
    assert met(sight, Face.MODULE) == ["layer", "layer (call 2)"]
    assert sight.reaching_loss == {"layer (call 2)"}


def test_of_many_calls_the_first_ones_are_met_and_the_others_counted() -> None:
    sight = look(Repeated(), torch.randn(4, WIDTH), times=20)
    assert len(met(sight, Face.MODULE)) == 8
    assert sight.calls == {"layer": 20}


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_recomputed_activation_is_met_once(reentrant: bool) -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, WIDTH), nn.Linear(WIDTH, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            hidden = checkpoint(self.first, x, use_reentrant=reentrant)
            return self.second(hidden)

    names: list[str] = []
    model = Checkpointed()
    x = torch.randn(4, 3, requires_grad=True)
    with Capture(model, lambda seen: names.append(seen.name)):
        value = _loss(model(x))
    value.backward()
    assert names.count("first") == 1


def test_what_no_tensor_or_no_number_is_does_no_harm() -> None:
    @dataclass
    class Answer:
        logits: Tensor
        words: tuple[str, ...] = ("text",)

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.names = nn.Identity()
            self.sizes = nn.Identity()
            self.sparse = nn.Identity()
            self.readout = nn.Linear(3, CLASSES)

        def forward(self, x: Tensor) -> Answer:
            self.names(["a", None])
            self.sizes({"n": torch.arange(3)})
            self.sparse(x.to_sparse())
            return Answer(self.readout(x))

    sight = inspection.look(Odd(), lambda m: _loss(m(torch.randn(4, 3)).logits), WIDTH)
    assert met(sight, Face.MODULE) == ["readout"]


def test_an_output_that_is_written_over_was_measured_before() -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(inplace=True))
    with torch.no_grad():
        model[0].weight.copy_(-torch.eye(3))  # type: ignore[operator]  # a tensor
    means = {}

    def take(seen: Seen) -> None:
        means[seen.name] = float(seen.value.detach().mean())

    with Capture(model, take):
        model(torch.ones(4, 3)).sum()
    assert (means["0"], means["1"]) == (-1.0, 0.0)


def test_the_hooks_are_gone_afterwards_even_after_an_error() -> None:
    model = nn.Linear(3, CLASSES)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        look(model, torch.randn(4, 2))
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_blocks_of_a_list_are_met_and_other_containers_are_not() -> None:
    model = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True), 2, enable_nested_tensor=False
    )
    sight = inspection.look(model, lambda m: m(torch.randn(2, TIME, WIDTH)).square().mean(), WIDTH)
    assert met(sight, Face.BLOCK) == ["layers.0", "layers.1"]
    assert "layers.0.self_attn.attention_logits" in met(sight, Face.ATTENTION)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, when it loads its compiler
def test_a_compiled_layer_is_heard_as_it_was_written() -> None:
    layer = torch.compile(nn.Linear(WIDTH, WIDTH))
    model = nn.Sequential(nn.Linear(3, WIDTH), layer, nn.Linear(WIDTH, CLASSES))
    sight = look(model, torch.randn(4, 3))
    assert met(sight, Face.MODULE) == ["0", "1._orig_mod", "2"]
    assert sight.before_loss == {"2"}
