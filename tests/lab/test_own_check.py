"""A user's own model judged: laws that must come out, and sizes that fail alone."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from muscope import own_check
from muscope.catalogue.rules import Choice
from muscope.lab.own.rule import Recipe
from muscope.lab.own_model import OwnFile, OwnModelError
from muscope.own_check import OwnArrival, OwnQuestion, Prepared
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict, Role, Statistic

WIDTHS = (64, 128, 256)
PIXELS, CLASSES, TOKENS, TIME = 32, 8, 20, 10
ADAM_RATE = 2e-3
FLAT, GROWS, SHRINKS = CellVerdict.FLAT, CellVerdict.GROWS, CellVerdict.SHRINKS
FAULTS = (GROWS, SHRINKS, CellVerdict.DIVERGED)


def pictures(seed: int) -> tuple[Tensor, Tensor]:
    """Ten noisy copies of each class."""
    random = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLASSES, PIXELS, generator=random)
    classes = torch.arange(CLASSES).repeat(10)
    return centres[classes] + 0.3 * torch.randn(len(classes), PIXELS, generator=random), classes


def tokens(seed: int) -> tuple[Tensor, Tensor]:
    """A sequence that counts: the next token is known."""
    starts = torch.arange(0, TOKENS, 2)[:, None]
    counted = (starts + torch.arange(TIME + 1)) % TOKENS
    return counted[:, :-1], counted[:, 1:]


class Mlp(nn.Module):
    """Input, one hidden layer, readout; torch's own first values (1/sqrt(fan_in))."""

    def __init__(self, n: int, multiplier: float = 1.0) -> None:
        super().__init__()
        self.input = nn.Linear(PIXELS, n, bias=False)
        self.hidden = nn.Linear(n, n, bias=False)
        self.readout = nn.Linear(n, CLASSES, bias=False)
        self.multiplier = multiplier

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.hidden(self.input(x).relu()).relu()
        out: Tensor = self.readout(hidden) * self.multiplier
        return out


def check(
    build: Callable[..., object],
    batch: Callable[[int], Any] = pictures,
    loss: Callable[..., object] | None = None,
    **question: Any,
) -> tuple[VariantVerdict, Prepared]:
    asked = {"widths": WIDTHS, "seeds": 4, "steps": 2} | question
    prepared = own_check.prepare(
        OwnQuestion(target="a test", file=OwnFile(build, batch, loss), **asked), lambda line: None
    )
    arrivals: list[OwnArrival] = list(own_check.train(prepared, lambda *at: None))
    return own_check.judge(prepared, arrivals, final=True), prepared


def verdicts(verdict: VariantVerdict) -> Mapping[str, CellVerdict]:
    return {tensor.tensor: tensor.verdict for tensor in verdict.tensors}


def slope(verdict: VariantVerdict, tensor: str, statistic: Statistic, step: int) -> float:
    (cell,) = [
        cell
        for cell in verdict.cells
        if (cell.tensor, cell.statistic, cell.step) == (tensor, statistic, step)
    ]
    assert cell.slope is not None
    return cell.slope


def sp(n: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    model = Mlp(n)
    return model, torch.optim.Adam(model.parameters(), lr=ADAM_RATE)


def mup(n: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Table 8 with the base width 64: hidden rates fall as 1/m, the readout is divided by m."""
    m = n / 64
    model = Mlp(n, 1 / m)
    model.readout.weight.data *= m**0.5  # a constant std
    groups = [
        {"params": [model.hidden.weight], "lr": ADAM_RATE / m},
        {"params": [model.input.weight, model.readout.weight], "lr": ADAM_RATE},
    ]
    return model, torch.optim.Adam(groups)


def test_sp_with_adam_grows_and_mup_by_hand_does_not() -> None:
    grows, _ = check(sp)
    assert grows.verdict is GROWS
    assert slope(grows, "hidden", Statistic.CHANGE, 1) > 0.5
    flat, _ = check(mup)
    words = verdicts(flat)
    assert (words["input"], words["hidden"]) == (FLAT, FLAT)
    assert words["loss input"] not in FAULTS


def test_a_multiplier_behind_the_readout_is_no_growth_and_the_raw_output_is_shown() -> None:
    """Raw logits of Table 8 grow as sqrt(n), what reaches the loss falls as 1/sqrt(n)."""
    verdict, prepared = check(mup)
    raw = slope(verdict, "readout (raw)", Statistic.L1, 0)
    assert raw == pytest.approx(0.5, abs=0.2)  # three widths of 8 classes
    assert slope(verdict, "loss input", Statistic.L1, 0) == pytest.approx(raw - 1, abs=1e-6)
    (shown,) = [t for t in prepared.sizes[0].activations.tensors if not t.is_judged]
    assert shown.name == "readout (raw)"


@pytest.mark.parametrize(
    ("parametrization", "hidden"),
    [("sp", GROWS), ("mup", FLAT), ("mup:form=table3", FLAT), ("spectral", FLAT)],
)
def test_a_rule_of_the_catalogue_makes_of_a_plain_model_what_the_rule_promises(
    parametrization: str, hidden: CellVerdict
) -> None:
    name, _, form = parametrization.partition(":form=")
    recipe = Recipe(Choice(name, {"form": form} if form else {}), "adamw", 4e-3)
    verdict, _ = check(Mlp, recipe=recipe)
    assert verdicts(verdict)["hidden"] is hidden
    # SP's growth reaches its exponents at widths far beyond these
    disagrees = any(cell.as_expected is False for cell in verdict.cells)
    assert disagrees is (name == "sp")


def test_an_optimizer_alone_leaves_the_first_values_as_they_were_built() -> None:
    alone, _ = check(Mlp, recipe=Recipe(None, "adam", ADAM_RATE))
    own, _ = check(sp)
    first, second = (slope(v, "hidden", Statistic.L1, 0) for v in (alone, own))
    assert first == pytest.approx(second, abs=1e-9)
    assert "as built · Adam" in alone.label


class Block(nn.Module):
    """Attention by torch's function, and a feed-forward network."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(n, 3 * n, bias=False), nn.Linear(n, n, bias=False)
        self.up, self.down = nn.Linear(n, 2 * n, bias=False), nn.Linear(2 * n, n, bias=False)
        self.heads = n // 16

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(functional.rms_norm(x, x.shape[-1:])).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (self.heads, 16)).transpose(1, 2) for part in parts)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(-2))
        return x + self.down(functional.gelu(self.up(functional.rms_norm(x, x.shape[-1:]))))


class Gpt(nn.Module):
    """Like Hugging Face's: called with input_ids and labels, an object comes back."""

    def __init__(self, n: int, depth: int = 1, *, tied: bool, checkpointed: bool) -> None:
        super().__init__()
        self.wte = nn.Embedding(TOKENS, n)
        self.h = nn.ModuleList(Block(n) for _ in range(depth))
        self.lm_head = nn.Linear(n, TOKENS, bias=False)
        if tied:
            self.lm_head.weight = self.wte.weight
        self.checkpointed = checkpointed

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> SimpleNamespace:
        x = self.wte(input_ids)
        for block in self.h:
            x = checkpoint(block, x, use_reentrant=False) if self.checkpointed else block(x)
        logits = self.lm_head(functional.rms_norm(x, x.shape[-1:]))
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return SimpleNamespace(loss=loss, logits=logits, past=None)


def as_dict(seed: int) -> dict[str, Tensor]:
    inputs, labels = tokens(seed)
    return {"input_ids": inputs, "labels": labels}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("parametrization", ["sp", "mup"])
def test_a_transformer_of_hugging_face_s_kind(parametrization: str, tied: bool) -> None:
    options: dict[str, Any] = {"init": "gpt2"} if parametrization == "sp" else {}
    if parametrization == "mup":
        options = {"zero_readout": False}
    recipe = Recipe(Choice(parametrization, options), "adamw", 2e-3)

    def build(n: int) -> nn.Module:
        return Gpt(n, tied=tied, checkpointed=True)

    verdict, prepared = check(build, as_dict, recipe=recipe)
    roles = {t.name: t.role for t in prepared.sizes[0].activations.judged}
    assert roles == {
        "wte": Role.EMBEDDING,
        "h.0.qkv": Role.HIDDEN,
        "h.0.attention_logits": Role.ATTENTION_LOGITS,
        "h.0.out": Role.HIDDEN,
        "h.0.up": Role.HIDDEN,
        "h.0.down": Role.HIDDEN,
        "h.0": Role.RESIDUAL,
        "lm_head": Role.OUTPUT,
    }
    faulty = [name for name, word in verdicts(verdict).items() if word in FAULTS]
    assert bool(faulty) is (parametrization == "sp"), verdicts(verdict)


def test_depths_are_judged_each_by_itself() -> None:
    def build(n: int, depth: int) -> object:
        model = Gpt(n, depth, tied=False, checkpointed=False)
        return model, torch.optim.SGD(model.parameters(), lr=0.1)

    verdict, _ = check(build, as_dict, depths=(1, 2), seeds=2, steps=1)
    of_depth = {depth: [t for t in verdict.tensors if t.depth == depth] for depth in (1, 2)}
    assert len(of_depth[2]) - len(of_depth[1]) == 6  # one block more
    assert verdict.runs_judged == verdict.runs_planned == 12


def test_dropout_is_no_change_because_every_forward_has_the_same_mask() -> None:
    def build(n: int) -> object:
        model = nn.Sequential(nn.Linear(PIXELS, n), nn.Dropout(0.5), nn.Linear(n, CLASSES))
        return model, torch.optim.SGD(model.parameters(), lr=1e-30)

    verdict, _ = check(build)
    changes = [cell for cell in verdict.cells if cell.statistic is Statistic.CHANGE]
    assert changes
    assert all(cell.verdict is CellVerdict.ZERO for cell in changes)


def test_a_model_that_diverges_is_said_to() -> None:
    def build(n: int) -> object:
        model = Mlp(n)
        return model, torch.optim.SGD(model.parameters(), lr=1e30)

    verdict, _ = check(build)
    assert verdict.verdict is CellVerdict.DIVERGED


def _raises_when_wide(n: int) -> object:
    if n == WIDTHS[-1]:
        raise ValueError("no such width")
    return sp(n)


class _FailsInForward(Mlp):
    def forward(self, x: Tensor) -> Tensor:
        if len(self.hidden.weight) == WIDTHS[-1]:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return super().forward(x)


def _lacks_memory_when_wide(n: int) -> object:
    model = _FailsInForward(n)
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (_raises_when_wide, "build raised at width 256: ValueError: no such width"),
        (_lacks_memory_when_wide, "width 256 needs more memory than there is"),
    ],
)
def test_one_width_fails_in_a_sentence_and_the_others_are_judged(
    build: Callable[[int], object], sentence: str
) -> None:
    verdict, prepared = check(build, seeds=2)
    assert [failure.sentence for failure in prepared.failures] == [sentence]
    assert {cell.widths for cell in verdict.cells} == {WIDTHS[:2]}
    assert (verdict.runs_judged, verdict.runs_planned) == (4, 6)


def test_what_no_memory_can_hold_is_not_even_tried() -> None:
    built: list[int] = []

    def build(n: int) -> object:
        built.append(n)
        return sp(n)

    _, prepared = check(build, widths=(64, 128, 2**20), seeds=2)
    assert 2**20 not in built
    assert "width 1048576 would need about" in prepared.failures[0].sentence


def _module_only(n: int) -> nn.Module:
    return Mlp(n)


def _with_closure(n: int) -> object:
    model = Mlp(n)
    return model, torch.optim.LBFGS(model.parameters())


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda n: 1 / 0, "build raised at width 64: ZeroDivisionError"),
        (lambda n: n, "build returned int at width 64; it must return an nn.Module, or (module"),
        (lambda n: sp(64), "build ignores width: every parameter has the same shape"),
        (_module_only, "build returns no optimizer"),
        (_with_closure, "the optimizer raised: TypeError"),
    ],
)
def test_what_cannot_be_judged_at_all_is_one_sentence(
    build: Callable[[int], object], sentence: str
) -> None:
    with pytest.raises(OwnModelError) as refused:
        check(build)
    assert sentence in str(refused.value)


def test_a_build_that_seeds_itself_is_run_once_and_told() -> None:
    def build(n: int) -> object:
        torch.manual_seed(7)
        return sp(n)

    verdict, prepared = check(build)
    assert prepared.seeds == 1
    assert any("whatever the seed" in note for note in prepared.notes)
    assert verdict.verdict is CellVerdict.INCONCLUSIVE


def test_a_build_that_is_not_deterministic_is_told() -> None:
    source = torch.Generator().manual_seed(0)

    def build(n: int) -> object:
        model, optimizer = sp(n)
        with torch.no_grad():
            model.input.weight.normal_(generator=source)  # type: ignore[operator]  # a tensor
        return model, optimizer

    _, prepared = check(build, seeds=2)
    assert any("not deterministic" in note for note in prepared.notes)


def test_shapes_that_depend_on_the_data_are_told_and_the_rest_is_judged() -> None:
    class Sparse(Mlp):
        def __init__(self, n: int) -> None:
            super().__init__(n)
            self.chosen = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.hidden(self.input(x))
            self.chosen(hidden[hidden > hidden.mean()])
            return self.readout(hidden.relu())  # type: ignore[no-any-return]

    def build(n: int) -> object:
        model = Sparse(n)
        return model, torch.optim.SGD(model.parameters(), lr=0.1)

    verdict, prepared = check(build, seeds=2)
    assert any("depends on the data" in note and "chosen" in note for note in prepared.said)
    assert verdicts(verdict)["input"] is not None


class Heads(nn.Module):
    """A constant number of heads, which grow with the width."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.wte, self.norm = nn.Embedding(TOKENS, n), nn.LayerNorm(n)
        self.attention = nn.MultiheadAttention(n, 2, bias=False, batch_first=True)
        self.lm_head = nn.Linear(n, TOKENS, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        stream = self.norm(self.wte(x))
        out: Tensor = self.lm_head(self.attention(stream, stream, stream)[0])
        return out


@pytest.mark.parametrize(("parametrization", "is_said"), [("mup", True), ("sp", False)])
def test_a_scale_of_attention_that_a_rule_cannot_reach_is_told(
    parametrization: str, is_said: bool
) -> None:
    recipe = Recipe(Choice(parametrization, {}), "adamw", 1e-3)
    verdict, prepared = check(Heads, tokens, recipe=recipe, seeds=2, steps=1)
    assert any("q·k multiplied by 1/d" in note for note in prepared.said) is is_said
    assert prepared.variant.heads_grow
    assert "attention.attention_logits" in verdicts(verdict)
