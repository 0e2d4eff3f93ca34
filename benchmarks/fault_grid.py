"""What the fault library is measured on: every fault where it changes something, and no fault."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from muscope.catalogue import MODELS, Options, OptionValue, broken, rules
from muscope.catalogue.fault_classes import classes
from muscope.catalogue.rules import Choice
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.theory.faults import FAULTS

WIDTHS = (64, 128, 256, 512)
DEPTHS = (4, 8, 16)
WIDTHS_IN_DEPTH = (64, 128, 256)
"""Every depth is judged on width too, and a line through two widths shows no healthy slope."""
SEEDS_OF = {"mlp": 20, "gpt": 5, "llama": 5}
JUDGED_SEEDS = 5
"""Of one study: 20 seeds are four studies, of seeds that no other has."""

RATES = {"adamw": 3e-3, "sgd": 0.1, "muon": 0.02}
STEPS = 4
NEEDS_MORE = ("decay_coupled", "fused_rate")
"""Without weight decay, and without fused projections, these change nothing that runs."""

_TABLE_8: dict[str, OptionValue] = {"zero_readout": False}
_TABLE_3: dict[str, OptionValue] = {"zero_readout": False, "form": "table3"}
_ZERO: dict[str, OptionValue] = {"zero_readout": True}
_ATTENTION = ("attention_by_sqrt_d", "attention_twice")
_VECTORS = ("vector_rate_not_scaled", "vector_rate_as_hidden")
_TIED = ("embedding_std_times_sqrt_m", "output_multiplier_missing")
_DEPTH = ("residual_multiplier_missing", "residual_multiplier_twice", "depth_rate_missing")


@dataclass(frozen=True, slots=True)
class Group:
    """Runs of one model and one optimizer, which share bundles, under many parametrizations."""

    name: str
    spec: StudySpec

    @property
    def in_depth(self) -> bool:
        """Whether its slopes are on depth."""
        return len(self.spec.depths) > 1

    def up_to(self, largest: int) -> "Group":
        """The same without the widths beyond."""
        widths = tuple(width for width in self.spec.widths if width <= largest)
        return replace(self, spec=self.spec.model_copy(update={"widths": widths}))


def groups(largest: int = WIDTHS[-1]) -> Iterator[Group]:
    """The smallest first: what one waits for is last. Of widths up to `largest`."""
    for model in SEEDS_OF:
        for optimizer in RATES:
            yield from (group.up_to(largest) for group in _of(model, optimizer))


def _of(model: str, optimizer: str) -> Iterator[Group]:
    mup = Cell("mup", _TABLE_8, model, optimizer)
    table_3 = replace(mup, options=_TABLE_3)
    rows = [
        *mup.rows(FAULTS),
        *table_3.rows(fault for fault in FAULTS if not mup.has(fault)),
        ParametrizationSpec(name="mup", options=dict(_ZERO)),
    ]
    yield _group(mup, "", rows)
    if model == "mlp":
        yield _group(mup, "-healthy", _others_that_are_healthy(optimizer))
    if model != "llama":
        yield _other(replace(mup, model_options={"biases": True}), "-biases", _VECTORS)
    if model != "mlp":
        yield _other(replace(mup, model_options={"heads": 2}), "-heads", _ATTENTION)
    if model == "gpt":
        yield _other(replace(mup, model_options={"tied_embeddings": True}), "-tied", _TIED)
    if model != "mlp":
        depth_mup, complete_p = (replace(mup, name=n) for n in ("depth_mup", "complete_p"))
        yield _group(mup, "-depth", [*depth_mup.rows(_DEPTH), *complete_p.rows(_DEPTH)])


@dataclass(frozen=True, slots=True)
class Cell:
    """A parametrization, a model and an optimizer."""

    name: str
    options: dict[str, OptionValue]
    model: str
    optimizer: str
    model_options: dict[str, OptionValue] = field(default_factory=dict)

    @property
    def complete(self) -> Options:
        """The model's options, with their defaults."""
        return MODELS[self.model].complete(self.model_options)

    def choice(self, fault: str = "") -> Choice:
        """The parametrization, with something broken or not."""
        return Choice(self.name, self.options, fault)

    def has(self, fault: str) -> bool:
        """Whether the fault changes anything that runs."""
        return fault not in NEEDS_MORE and broken.applies(
            self.choice(fault), self.optimizer, self.model, self.complete
        )

    def rows(self, faults: Iterable[str]) -> list[ParametrizationSpec]:
        """The parametrization as it is, and with every fault, of equal ones the first."""
        given = tuple(faults)
        found = classes(self.choice(), self.optimizer, self.model, self.complete)
        healthy = {fault for names in found if "" in names for fault in names}
        firsts = {names[0] for names in found} | healthy
        chosen = [fault for fault in given if fault in firsts and self.has(fault)]
        return [
            ParametrizationSpec(name=self.name, options=dict(self.options), fault=fault)
            for fault in ("", *chosen)
        ]


def _others_that_are_healthy(optimizer: str) -> list[ParametrizationSpec]:
    """More that should not fail: other tables, other rules, readouts that start at zero."""
    asked: list[tuple[str, dict[str, OptionValue]]] = [
        ("mup", {"form": "table9", "zero_readout": False}),
        ("mup", {"form": "table9"}),
        ("mup", {"form": "table3"}),
        ("spectral", {}),
        ("spectral", {"zero_readout": True}),
        ("mean_field", {}),
    ]
    options = MODELS["mlp"].complete({})
    return [
        ParametrizationSpec(name=name, options=dict(given))
        for name, given in asked
        if rules.complaint(Choice(name, given), optimizer, "mlp", options) is None
    ]


def _other(cell: Cell, suffix: str, faults: Iterable[str]) -> Group:
    return _group(cell, suffix, cell.rows(faults))


def _group(cell: Cell, suffix: str, rows: Sequence[ParametrizationSpec]) -> Group:
    name, in_depth = f"{cell.model}-{cell.optimizer}{suffix}", suffix == "-depth"
    optimizer = OptimizerSpec(name=cell.optimizer, learning_rate=RATES[cell.optimizer])
    spec = StudySpec(
        name=name,
        arms=(Arm(model=_model(cell, in_depth=in_depth), optimizers=(optimizer,)),),
        parametrizations=tuple(rows),
        widths=WIDTHS_IN_DEPTH if in_depth else WIDTHS,
        depths=DEPTHS if in_depth else (2,),
        seeds=SEEDS_OF[cell.model],
        steps=STEPS,
        record="standard" if in_depth else "full",
    )
    return Group(name, spec)


def _model(cell: Cell, *, in_depth: bool) -> ModelSpec:
    """Small batches; branches are small in depth, where CompleteP's exponents hold."""
    if cell.model == "mlp":
        return ModelSpec(name=cell.model, batch_size=64, options=dict(cell.model_options))
    length, batch_size = (16, 1) if in_depth else (32, 4)
    options = {"sequence_length": length, **cell.model_options}
    if in_depth:
        options["residual_multiplier"] = 0.2
    return ModelSpec(name=cell.model, batch_size=batch_size, options=options)
