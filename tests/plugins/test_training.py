"""Plugins train like what is built in, and are held to what they described."""

import zlib

import pytest

from muscope.catalogue import MODELS, DatasetUnavailable, rules
from muscope.catalogue.rules import Choice, Size
from muscope.lab import data, engine
from muscope.plan import runs, tensors
from muscope.plugins import PluginError
from muscope.plugins.importing import Installed
from muscope.spec import (
    Arm,
    ModelSpec,
    OptimizerSpec,
    ParametrizationSpec,
    RunSpec,
    StudySpec,
)
from tests.plugins import packages
from tests.plugins.conftest import Load
from tests.plugins.test_entries import spec

HEAD = (
    packages.OPTIMIZER
    + """
class Mlp:
    names = ("input", "readout")
    def __init__(self, width, depth, options): pass
    def loss(self, operators, batch):
        stream = operators.tap(self.names[0], operators.linear("input", batch.inputs))
        logits = operators.tap(self.names[1], operators.linear("readout", stream))
        return operators.cross_entropy(logits, batch.targets)

def model(make, **changes):
    said = dict(
        title="M", help="H", dataset="digits", batch_size=8,
        weights=[
            dict(name="input", role="embedding", fan_out="width", fan_in="inputs"),
            dict(name="readout", role="output", fan_out="classes", fan_in="width"),
        ],
        activations=[
            dict(name="input", role="embedding", elements="width"),
            dict(name="readout", role="output", elements="classes"),
        ],
    )
    return Plugin("model", make, **{**said, **changes})

def dataset(make, **changes):
    said = dict(title="D", help="H", source="S", modality="image", classes=2, shape=[1, 2, 2])
    return Plugin("dataset", make, **{**said, **changes})
"""
)


def study(*, optimizer: str = "sgd", model: str = "mlp", data: str = "") -> StudySpec:
    options = {"dataset": data} if data else {}
    return StudySpec(
        name="of plugins",
        arms=(
            Arm(
                model=ModelSpec(name=model, batch_size=8, options=options),
                optimizers=(OptimizerSpec(name=optimizer, learning_rate=1e-3),),
            ),
        ),
        parametrizations=(ParametrizationSpec(name="mup"),),
        widths=(16, 32),
        depths=(1,),
        seeds=2,
        steps=1,
    )


def first(spec: StudySpec) -> list[RunSpec]:
    return [run for run in runs(spec) if run.width == spec.widths[0]]


def test_the_example_records_what_it_describes(offered: Installed) -> None:
    members = first(spec())
    records = list(engine.train(members))
    recorded = {row.tensor for row in records[0].measurements}
    assert recorded == {entry.name for entry in tensors(members[0])}
    start, *_, end = (record.progress[0].train_loss for record in records)
    assert end < start


def test_members_of_a_plugin_do_not_see_each_other(offered: Installed) -> None:
    members = first(spec())
    together = list(engine.train(members))[-1].progress
    for place, member in enumerate(members):
        (alone,) = list(engine.train([member]))[-1].progress
        # float32 sums of 8 examples in another order
        assert alone.train_loss == pytest.approx(together[place].train_loss, rel=1e-5)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("return weight[:, :1], ()", "update must return a weight of shape (2, 16, 64)"),
        ("return weight.double(), ()", "type torch.float32, got a tensor of shape"),
        ("return weight", "update must return (weight, state)"),
        ("return weight, 3", "the state must be a tuple of tensors"),
        ("raise KeyError('momentum')", "failed: KeyError: 'momentum'"),
    ],
)
def test_an_optimizer_that_breaks_its_word_is_named(load: Load, code: str, sentence: str) -> None:
    name = f"bad-optimizer-{zlib.crc32(code.encode())}"
    body = f"class Bad(Optimizer):\n    def update(self, weight, gradient, **_):\n        {code}\n"
    installed = load(name, {"bad": "bad"}, f"{HEAD}\n{body}\nbad = plugin(Bad)\n")
    assert installed.refused == ()
    with pytest.raises(PluginError) as caught:
        list(engine.train(first(study(optimizer=f"{name}/bad"))))
    assert f"plugin {name}/bad@1.0" in str(caught.value)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("class Bad(Mlp):\n    names = ('inputs', 'readout')", "it taps inputs, readout where it"),
        (
            "class Bad(Mlp):\n    def loss(self, operators, batch): return batch.inputs",
            "loss must return one number",
        ),
        (
            "class Bad(Mlp):\n    def loss(self, operators, _): operators.linear('x', _.inputs)",
            "failed: ",
        ),
        ("class Bad(Mlp):\n    def __init__(self, *sizes): 1 / 0", "failed: ZeroDivisionError"),
    ],
)
def test_a_model_that_breaks_its_word_is_named(load: Load, code: str, sentence: str) -> None:
    name = f"bad-model-{zlib.crc32(code.encode())}"
    assert load(name, {"bad": "bad"}, f"{HEAD}\n{code}\nbad = model(Bad)\n").refused == ()
    with pytest.raises(PluginError) as caught:
        list(engine.train(first(study(model=f"{name}/bad"))))
    assert f"plugin {name}/bad@1.0" in str(caught.value)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            "torch.randn(9, 3), torch.arange(9) % 2",
            "described are images of 4 numbers with a class",
        ),
        ("torch.randn(9, 4), torch.arange(9)", "described are the classes 0 to 1"),
        ("torch.zeros(9, 4), torch.arange(9) % 2", "pixels must be finite, and not all the same"),
        ("3", "images are (pixels, classes)"),
        ("1 / 0", "failed: ZeroDivisionError"),
    ],
)
def test_data_that_are_not_what_they_say_are_named(load: Load, made: str, sentence: str) -> None:
    name = f"bad-data-{zlib.crc32(made.encode())}"
    code = f"{HEAD}\nbad = dataset(lambda: ({made}))\n"
    assert load(name, {"bad": "bad"}, code).refused == ()
    model = study(data=f"{name}/bad").arms[0].model
    with pytest.raises(DatasetUnavailable) as caught:
        data.batch(model)
    assert f"plugin {name}/bad@1.0" in str(caught.value)
    assert sentence in str(caught.value)


ATTENTION = (
    packages.OPTIMIZER
    + """
class Attention:
    def __init__(self, width, depth, options):
        self.depth, self.size = depth, options["head_size"]
    def loss(self, operators, batch):
        stream = operators.tap("embedding", operators.lookup("embedding.token", batch.inputs))
        for block in range(self.depth):
            at = f"blocks.{block}"
            stream = operators.branch(block, stream, lambda x, at=at: self.branch(operators, at, x))
        logits = operators.tap("readout", operators.linear("readout", stream))
        return operators.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
    def branch(self, operators, at, x):
        x = operators.norm(at, "rmsnorm", x)
        q, k, v = (self.heads(operators.linear(f"{at}.{one}", x)) for one in "qkv")
        mixed = operators.attention(at, q, k, v).transpose(1, 2).flatten(-2)
        return operators.tap(f"{at}.out", operators.linear(f"{at}.o", mixed))
    def heads(self, x):
        return x.unflatten(-1, (-1, self.size)).transpose(1, 2)

square = dict(role="hidden", fan_out="width", fan_in="width", uses="sequence_length")
model = Plugin(
    "model", Attention, title="Attention", help="H", dataset="markov", batch_size=4, attention=True,
    weights=[
        dict(name="embedding.token", role="embedding", layout="table", rows="classes",
             fan_out="width"),
        *(dict(square, name="blocks.{block}." + one, in_branch=True, part="attention." + one,
               writes_stream=one == "o") for one in "qkvo"),
        dict(name="readout", role="output", fan_out="classes", fan_in="width",
             uses="sequence_length"),
    ],
    activations=[
        dict(name="embedding", role="embedding", elements="sequence_length*width"),
        dict(name="blocks.{block}.logits", role="attention_logits",
             elements="heads*sequence_length*(sequence_length + 1)//2"),
        dict(name="blocks.{block}.out", role="hidden", elements="sequence_length*width"),
        dict(name="readout", role="output", elements="sequence_length*classes"),
    ],
)
"""
)


def test_a_transformer_of_a_plugin_has_heads_and_the_rule_s_attention(load: Load) -> None:
    assert load("with-heads", {"attention": "model"}, ATTENTION).refused == ()
    options = {"head_size": 8, "sequence_length": 6}
    model = ModelSpec(name="with-heads/attention", batch_size=4, options=options)
    plain = study()
    arm = Arm(model=model, optimizers=plain.arms[0].optimizers)
    widened = plain.model_copy(update={"arms": (arm,)})
    members = first(widened)
    records = list(engine.train(members))
    recorded = {row.tensor for row in records[0].measurements}
    assert recorded == {entry.name for entry in tensors(members[0])}
    of = Choice("mup", {"zero_readout": False})
    size = Size(64, 1, 16, 1)
    # mu-P: sqrt(base head) / head, and heads of fixed size do not grow
    found = rules.attention_scale(of, model.name, dict(model.options), size)
    assert found == rules.attention_scale(of, "gpt", {"head_size": 8}, size)
    entry = MODELS[model.name]
    assert entry.check(20, {**options}) == "width 20 is not a multiple of the head size 8"
