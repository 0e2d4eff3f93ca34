"""Models as plain facts, written down as powers of the width: no torch, exact numbers."""

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, replace
from typing import NamedTuple

from muscope.catalogue.optimizers import OPTIMIZERS
from muscope.catalogue.rules import Choice, weight_rules
from muscope.own_model import Built, Layout, Parameter, Stepping, Values, infer
from muscope.theory.rule import WeightDims
from muscope.verdicts import audit as auditor
from muscope.verdicts.audit import Audit
from muscope.vocabulary import Role

BASE, WIDE = 64, 256
COUNT = 100_000
"""Values per tensor: the std is known to 0.2 %."""


class Powers(NamedTuple):
    """Of m: initial std (None: zero), learning rate, weight decay, epsilon."""

    std: float | None
    rate: float
    decay: float = 0.0
    epsilon: float = 0.0


@dataclass(frozen=True)
class Weight:
    """A parameter's shape at a width, and whose powers it has."""

    layout: Layout
    shape: Callable[[int], tuple[int, ...]]
    kind: str
    mean: float = 0.0


def _hidden(ratio_out: int = 1, ratio_in: int = 1) -> Weight:
    return Weight(Layout.MATRIX, lambda n: (ratio_out * n, ratio_in * n), "hidden")


_BLOCK = {
    "attn.q.weight": _hidden(),
    "attn.o.weight": _hidden(),
    "mlp.up.weight": _hidden(ratio_out=4),
    "mlp.down.weight": _hidden(ratio_in=4),
    "mlp.up.bias": Weight(Layout.VECTOR, lambda n: (4 * n,), "vector"),
}


def transformer(depth: int = 2) -> dict[str, Weight]:
    """A small one, two blocks deep unless asked."""
    names = [(f"blocks.{block}.{name}", name) for block in range(depth) for name in _BLOCK]
    return {
        "wte.weight": Weight(Layout.TABLE, lambda n: (50, n), "embedding"),
        **{name: _BLOCK[short] for name, short in names},
        "norm.weight": Weight(Layout.VECTOR, lambda n: (n,), "gain", mean=1.0),
        "lm_head.weight": Weight(Layout.MATRIX, lambda n: (50, n), "output"),
    }


By = Mapping[str, Powers]
Change = Callable[[Parameter, int], Parameter]


def model(
    width: int,
    by: By,
    *,
    optimizer: str | Mapping[str, str] | None = "adamw",
    change: Change | None = None,
) -> Built:
    """The model at a width; `optimizer` may differ by kind, None leaves it out."""
    parameters = [
        _parameter(name, weight, width, by, optimizer) for name, weight in transformer().items()
    ]
    if change:
        parameters = [change(parameter, width) for parameter in parameters]
    return Built(width, None, tuple(parameters), has_optimizer=optimizer is not None)


def _parameter(
    name: str, weight: Weight, width: int, by: By, optimizer: str | Mapping[str, str] | None
) -> Parameter:
    kind = "vector" if weight.kind == "gain" else weight.kind
    powers, m = by[kind], width / BASE
    random = powers.std is not None and weight.kind != "gain"
    stepper = optimizer.get(kind, "adamw") if isinstance(optimizer, Mapping) else optimizer
    stepping = Stepping(
        stepper,
        str(stepper),
        3e-3 * m**powers.rate,
        0.1 * m**powers.decay,
        1e-8 * m**powers.epsilon,
    )
    return Parameter(
        name=name,
        module="Linear",
        layout=weight.layout,
        shape=weight.shape(width),
        values=Values(COUNT, weight.mean, 0.02 * m ** (powers.std or 0.0) if random else 0.0),
        steppings=(stepping,) if stepper else (),
    )


def audited(
    parametrization: str,
    by: By,
    *,
    optimizer: str | Mapping[str, str] | None = "adamw",
    options: Mapping[str, str] | None = None,
    change: Change | None = None,
    widths: tuple[int, ...] = (BASE, 2 * BASE, WIDE),
) -> Audit:
    """The audit of such a model, by default at three widths."""
    models = [model(width, by, optimizer=optimizer, change=change) for width in widths]
    return auditor.audit(models, infer(models), Choice(parametrization, dict(options or {})))


def changed(name: str, **fields: object) -> Change:
    """Other fields of the parameters whose names end so."""

    def change(parameter: Parameter, width: int) -> Parameter:
        if not parameter.name.endswith(name):
            return parameter
        return replace(parameter, **fields)  # type: ignore[arg-type]  # fields of Parameter

    return change


DEEP, SHALLOW = 4, 1


@dataclass(frozen=True)
class ByRule:
    """Models whose numbers come from a rule, the one that they are compared with unless told."""

    choice: Choice
    optimizer: str
    shows_multipliers: bool
    judged_by: Choice | None = None

    def audited(self) -> Audit:
        """At three widths and two depths."""
        models = [self._model(width, DEEP) for width in (BASE, 2 * BASE, WIDE)]
        shallow = self._model(BASE, SHALLOW)
        choice = self.judged_by or self.choice
        return auditor.audit(models, infer(models), choice, self.optimizer, shallow)

    def _model(self, width: int, depth: int) -> Built:
        weights = transformer(depth).items()
        parameters = (self._parameter(name, weight, width, depth) for name, weight in weights)
        return Built(width, depth, tuple(parameters), has_optimizer=True)

    def _parameter(self, name: str, weight: Weight, width: int, depth: int) -> Parameter:
        role = Role("vector" if weight.kind == "gain" else weight.kind)
        dims = _dims(name, weight, role, width, depth)
        rule = weight_rules(self.choice, self.optimizer, {name: dims})[name]
        rate, decay, epsilon = astuple(rule)[2:]
        optimizer = OPTIMIZERS[self.optimizer].for_role(role)
        return Parameter(
            name=name,
            module="Linear",
            layout=weight.layout,
            shape=weight.shape(width),
            values=Values(COUNT, weight.mean / rule.multiplier, rule.init_std),
            steppings=(Stepping(optimizer, "It", rate, 0.1 * decay, 1e-8 * epsilon),),
            multiplier=rule.multiplier if self.shows_multipliers else None,
        )


def _dims(name: str, weight: Weight, role: Role, width: int, depth: int) -> WeightDims:
    """By hand, as facts 0 have it: a lookup and a vector have fan_in 1."""
    fan_out, *rest = weight.shape(width)
    base_out, *base_rest = weight.shape(BASE)
    if weight.layout is Layout.TABLE:
        (fan_out,), (base_out,), rest, base_rest = rest, base_rest, [], []
    return WeightDims(
        role=role,
        fan_in=rest[0] if rest else 1,
        fan_out=fan_out,
        base_fan_in=base_rest[0] if base_rest else 1,
        base_fan_out=base_out,
        depth=depth,
        base_depth=SHALLOW,
        in_branch=name.startswith("blocks"),
        writes_stream=name.endswith(("o.weight", "down.weight")),
        part="mlp.up" if "up" in name else "mlp.down" if "down" in name else "",
    )
