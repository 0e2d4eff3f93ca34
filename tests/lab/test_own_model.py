"""A user's own file becomes plain facts, or one sentence about what is wrong with it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from muscope import catalogue
from muscope.catalogue.rules import Choice
from muscope.lab import own_model, own_optimizer
from muscope.lab.own_model import OwnModelError, Target
from muscope.own_model import Built, Layout, Parameter, infer
from muscope.verdicts import audit as auditor
from muscope.vocabulary import Role

WIDTHS = (16, 32)


class Conv1D(nn.Module):
    """Hugging Face's of GPT-2: its weight is (fan_in, fan_out)."""

    def __init__(self, fan_out: int, fan_in: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(fan_in, fan_out))
        self.bias = nn.Parameter(torch.zeros(fan_out))


class PatchEmbedding(nn.Module):
    """Called an embedding, with positions of its own."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(1, 9, n))
        self.project = nn.Linear(48, n)


class Zoo(nn.Module):
    """One of every kind of parameter that people have."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(40, n)
        self.pos_embed = nn.Parameter(torch.randn(1, 8, n))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, n))
        self.patches = nn.Conv2d(3, n, 4)
        self.images = PatchEmbedding(n)
        self.mixer = nn.Conv1d(n, 2 * n, 3)
        self.c_attn = Conv1D(3 * n, n)
        self.attention = nn.MultiheadAttention(n, 4)
        self.rnn = nn.LSTM(n, n)
        self.k_fixed = nn.Linear(n, 8)
        self.norm = nn.LayerNorm(n)
        self.experts = nn.Parameter(torch.randn(2, n, 4 * n))
        self.temperature = nn.Parameter(torch.ones(()))
        self.value = nn.Linear(n, 1)
        self.lm_head = nn.Linear(n, 40)


def test_a_plain_torch_model_has_no_deviation_from_sp() -> None:
    def build(n: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        model = Everyday(n)
        return model, torch.optim.AdamW(model.parameters(), lr=1e-3)

    models = own_model.build_all(build, (16, 32, 64), None, lambda line: None)
    found = auditor.audit(models, infer(models), Choice("sp", {}))
    assert [finding.sentence() for finding in found.findings] == []


class Everyday(nn.Module):
    """Layers as torch initializes them."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(40, n)
        self.stem = nn.Conv2d(3, n, 3)
        self.mixer = nn.Conv1d(n, n, 3)
        self.depthwise = nn.Conv1d(n, n, 3, groups=n)
        self.block = nn.TransformerEncoderLayer(n, 4, 4 * n, batch_first=True)
        self.rnn = nn.GRU(n, n)
        self.pairs = nn.Bilinear(n, n, n)
        self.lm_head = nn.Linear(n, 40)


@pytest.mark.parametrize(
    ("name", "role", "fans"),
    [
        ("wte.weight", Role.EMBEDDING, (1, 32)),
        ("pos_embed", Role.EMBEDDING, (1, 32)),
        ("cls_token", Role.VECTOR, (1, 32)),
        ("patches.weight", Role.EMBEDDING, (48, 32)),
        ("images.positions", Role.EMBEDDING, (1, 32)),
        ("images.project.weight", Role.EMBEDDING, (48, 32)),
        ("patches.bias", Role.VECTOR, (1, 32)),
        ("mixer.weight", Role.HIDDEN, (96, 64)),
        ("c_attn.weight", Role.HIDDEN, (32, 96)),
        ("attention.in_proj_weight", Role.HIDDEN, (32, 96)),
        ("rnn.weight_ih_l0", Role.HIDDEN, (32, 128)),
        ("rnn.bias_ih_l0", Role.VECTOR, (1, 128)),
        ("value.weight", Role.OUTPUT, (32, 1)),
        ("k_fixed.weight", Role.OUTPUT, (32, 8)),  # facts 9.28: decided by what grows
        ("norm.weight", Role.VECTOR, (1, 32)),
        ("experts", Role.HIDDEN, (128, 32)),
        ("temperature", Role.SCALAR, (1, 1)),
        ("lm_head.weight", Role.OUTPUT, (32, 40)),
        ("lm_head.bias", Role.SCALAR, (1, 40)),
    ],
)
def test_the_role_is_which_dimensions_grow_and_fan_in_is_never_swapped(
    name: str, role: Role, fans: tuple[int, int]
) -> None:
    found = infer(facts(Zoo))[name]
    assert (found.role, found.fans[32]) == (role, fans)


def test_fused_projections_say_how_many_they_are() -> None:
    roles = infer(facts(Zoo))
    pieces = {name: role.pieces for name, role in roles.items() if role.pieces > 1}
    assert pieces == {
        "c_attn.weight": 3,
        "attention.in_proj_weight": 3,
        "rnn.weight_ih_l0": 4,
        "rnn.weight_hh_l0": 4,
    }
    assert "fused: 3 logical sub-matrices" in roles["c_attn.weight"].remark


class Tied(nn.Module):
    """Embedding and readout are one tensor."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(40, n)
        self.lm_head = nn.Linear(n, 40, bias=False)
        self.lm_head.weight = self.wte.weight


def test_tied_weights_are_found_by_identity() -> None:
    (parameter,) = facts(Tied)[0].parameters
    assert (parameter.name, parameter.aliases) == ("wte.weight", ("lm_head.weight",))
    role = infer(facts(Tied))["wte.weight"]
    assert (role.word, role.fans[16], role.output_fans[16]) == ("tied", (1, 16), (16, 40))


def test_first_values_are_measured_over_as_many_builds_as_small_tensors_need() -> None:
    """PyTorch's bias is uniform on ±1/√fan_in: std 1/√(3·16); 250 builds would give 2000 values."""
    by_name = facts(lambda n: nn.Linear(n, 8))[0].by_name()
    assert by_name["bias"].values.count == 8 * own_model.MOST_BUILDS
    assert by_name["bias"].values.std == pytest.approx(48**-0.5, rel=0.3)  # 64 values: 5 errors
    assert by_name["bias"].owner_fan_in == 16
    # uniform: kurtosis 9/5, so that ln(std) has the error sqrt(0.8/(4·1024))
    assert by_name["weight"].values.log_error == pytest.approx(0.014, rel=0.1)


def test_gains_and_zeros_are_constants() -> None:
    by_name = facts(nn.LayerNorm)[0].by_name()
    assert by_name["weight"].values.is_constant
    assert by_name["weight"].values.mean == 1
    assert by_name["bias"].values.is_zero


def test_the_optimizer_s_groups_are_read_even_under_a_warmup() -> None:
    def build(n: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        model = nn.Linear(n, n)
        optimizer = torch.optim.AdamW([model.weight], lr=0.5, weight_decay=0.25, eps=1e-6)
        torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1)
        return model, optimizer

    by_name = built(build).by_name()
    (stepping,) = by_name["weight"].steppings
    assert (stepping.learning_rate, stepping.weight_decay, stepping.epsilon) == (0.5, 0.25, 1e-6)
    assert by_name["bias"].steppings == ()


class Muon(torch.optim.SGD):
    """Named like Keller Jordan's, whose groups say which of them are Adam's."""


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (torch.optim.SGD, "sgd"),
        (torch.optim.NAdam, "adam"),
        (torch.optim.Muon, "muon"),
        (lambda p: torch.optim.Muon(p, adjust_lr_fn="match_rms_adamw"), "muon_match_rms"),
        (lambda p: Muon([{"params": p, "use_muon": True}]), "muon"),
        (lambda p: Muon([{"params": p, "use_muon": False}]), "adamw"),
        (torch.optim.Adafactor, "adafactor"),
        (torch.optim.Rprop, None),
    ],
)
def test_optimizers_have_the_catalogue_s_names(
    make: Callable[[list[nn.Parameter]], torch.optim.Optimizer], name: str | None
) -> None:
    def build(n: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        model = nn.Linear(n, n, bias=False)
        return model, make([model.weight])

    (parameter,) = built(build).parameters
    assert parameter.steppings[0].optimizer == name


@pytest.mark.parametrize("setting", ["lr", "weight_decay", "eps"])
def test_an_optimizer_with_a_number_that_is_none_is_refused(setting: str) -> None:
    """It would be compared with every rule, and found to keep it; JSON cannot say it."""

    def build(n: int) -> object:
        model = nn.Linear(n, n)
        optimizer = torch.optim.AdamW(model.parameters())
        optimizer.param_groups[0][setting] = float("nan")
        return model, optimizer

    with pytest.raises(own_model.OwnModelError, match="nan, which no rule can be compared with"):
        own_model.built(build, 8, None)


def test_several_optimizers_and_tensors_that_are_not_the_model_s() -> None:
    def build(n: int) -> tuple[nn.Module, list[torch.optim.Optimizer]]:
        model, other = nn.Linear(n, n), nn.Linear(n, n)
        first = torch.optim.Muon([model.weight])
        return model, [first, torch.optim.AdamW([model.weight, model.bias, other.weight])]

    model = built(build)
    assert [len(parameter.steppings) for parameter in model.parameters] == [2, 1]
    assert model.strangers == 1


def _raises(n: int) -> nn.Module:
    raise RuntimeError(f"no heads for {n}\nand more")


def _exits(n: int) -> nn.Module:
    raise SystemExit(3)


def _names_depend(n: int) -> nn.Module:
    return nn.ModuleDict({f"of_{n}": nn.Linear(n, n)})


def _lazy(n: int) -> nn.Module:
    return nn.LazyLinear(n)


def _on_meta(n: int) -> nn.Module:
    return nn.Linear(n, n, device="meta")


def _optimizer_sometimes(n: int) -> object:
    model = nn.Linear(n, n)
    return (model, torch.optim.SGD(model.parameters())) if n == 16 else model


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (_raises, "build raised at width 16: RuntimeError: no heads for 16"),
        (_exits, "it ended the program (exit 3)"),
        (lambda n: nn.Linear(4, 4), "build ignores width: every parameter has the same shape"),
        (lambda n: {"model": 1}, "build returned dict at width 16; it must return an nn.Module"),
        (lambda n: (nn.Linear(n, n), "adam"), "build returned (Linear, str)"),
        (lambda n: nn.Identity(), "has no parameters"),
        (_names_depend, "different names (of_16.bias, of_16.weight, of_32.bias, …)"),
        (_lazy, "has no shape yet: run one forward in build"),
        (_on_meta, "has no values (device meta)"),
        (_optimizer_sometimes, "an optimizer at some widths only"),
    ],
)
def test_what_cannot_be_audited_is_said_in_a_sentence(
    build: Callable[[int], object], sentence: str
) -> None:
    with pytest.raises(OwnModelError) as refused:
        own_model.build_all(build, WIDTHS, None, lambda line: None)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_depth_needs_a_build_that_takes_one() -> None:
    with pytest.raises(OwnModelError, match="build takes no depth"):
        own_model.build_all(lambda n: nn.Linear(n, n), WIDTHS, 2, lambda line: None)


@pytest.mark.parametrize(
    ("file", "target", "sentence"),
    [
        ("def build(width): ...", "other.py:build", "there is no file"),
        ("def make(width): ...", "own.py", "has no function 'build'; it has make"),
        ("build = 3", "own.py:build", "is not a function"),
        ("1 +", "own.py:build", "cannot be imported: SyntaxError"),
        ("import no_such_package", "own.py:build", "ModuleNotFoundError"),
        ("def build(width): ...", "own.py:a-b", "is not FILE.py:FUNCTION"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_in_a_sentence(
    tmp_path: Path, file: str, target: str, sentence: str
) -> None:
    (tmp_path / "own.py").write_text(file)
    with pytest.raises(OwnModelError, match=sentence):
        own_model.load(Target.of(str(tmp_path / target)))


def test_a_file_may_import_its_neighbours_and_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))  # restores sys.path
    (tmp_path / "neighbour_of_own.py").write_text("from torch import nn")
    (tmp_path / "own.py").write_text(
        "from neighbour_of_own import nn\nprint('hello')\ndef build(n): return nn.Linear(n, n)"
    )
    build = own_model.load(Target.of(f"{tmp_path / 'own.py'}:build"))
    assert isinstance(build(4), nn.Module)
    assert capsys.readouterr().out == ""


def facts(build: Callable[[int], nn.Module]) -> list[Built]:
    return own_model.build_all(build, WIDTHS, None, lambda line: None)


def built(build: Callable[[int], object]) -> Built:
    return own_model.built(build, 16, None)


def test_a_bare_table_is_guessed_and_said_to_be() -> None:
    class Bare(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(7, n))

    found = infer(facts(Bare))["weight"]
    assert (found.role, found.is_assumed) == (Role.OUTPUT, True)
    assert infer(facts(Bare), {"weight": "embedding"})["weight"].fans[16] == (1, 16)


def test_an_unknown_module_with_two_growing_dimensions_needs_no_guess() -> None:
    parameter = next(p for p in facts(Zoo)[0].parameters if p.name == "experts")
    assert isinstance(parameter, Parameter)
    assert parameter.layout is Layout.UNKNOWN
    assert not infer(facts(Zoo))["experts"].is_assumed


def test_every_name_of_the_catalogue_that_an_optimizer_may_get_is_there() -> None:
    assert set(own_optimizer.CATALOGUE_NAMES.values()) <= catalogue.OPTIMIZERS.keys()
