"""Whether the static audit sees a fault: a model as plain numbers, made from the broken rules."""

from dataclasses import replace

from muscope.catalogue import MODELS, WeightEntry, WeightKind, broken, rules
from muscope.catalogue.optimizers import OPTIMIZERS
from muscope.catalogue.options import Options
from muscope.catalogue.rules import Choice, Size
from muscope.own_model.facts import Built, Layout, Parameter, Stepping, Values
from muscope.own_model.roles import OwnRole
from muscope.theory.faults import FAULTS, Visibility
from muscope.theory.rule import WeightRule
from muscope.verdicts.audit import audit

WIDTHS = (64, 512)
DEPTHS = (2, 8)
RATE, DECAY, EPSILON = 1e-3, 0.1, 1e-8
_LAYOUTS = {
    WeightKind.MATRIX: Layout.MATRIX,
    WeightKind.TABLE: Layout.TABLE,
    WeightKind.BIAS: Layout.VECTOR,
    WeightKind.GAIN: Layout.VECTOR,
}


def seen(choice: Choice, optimizer: str, model: str, options: Options) -> dict[str, bool]:
    """Of every fault that the audit should see: whether it says what it does not of the rule."""
    healthy = _said(choice, optimizer, model, options)
    return {
        fault: bool(_said(replace(choice, fault=fault), optimizer, model, options) - healthy)
        for fault in broken.applying(choice, optimizer, model, options)
        if Visibility.AUDIT in FAULTS[fault].visible
    }


def _said(choice: Choice, optimizer: str, model: str, options: Options) -> set[str]:
    base, depth = WIDTHS[0], DEPTHS[1]
    narrow, wide = (Size(width, depth, base, DEPTHS[0]) for width in WIDTHS)
    shallow = Size(base, DEPTHS[0], base, DEPTHS[0])
    has_depth = choice.theory.needs_branches
    models = [_built(choice, optimizer, model, options, size) for size in (narrow, wide)]
    found = audit(
        models,
        _roles(model, options),
        choice.healthy,
        shallow=_built(choice, optimizer, model, options, shallow) if has_depth else None,
    )
    return {finding.sentence() for finding in found.findings}


def _built(choice: Choice, optimizer: str, model: str, options: Options, size: Size) -> Built:
    dims = rules.dimensions(model, options, size)
    rule_of = rules.weight_rules(choice, optimizer, dims)
    entries = MODELS[model].weights(size.width, size.depth, options)
    return Built(
        width=size.width,
        depth=size.depth,
        parameters=tuple(_parameter(entry, rule_of[entry.name], optimizer) for entry in entries),
        has_optimizer=True,
    )


def _parameter(entry: WeightEntry, rule: WeightRule, optimizer: str) -> Parameter:
    name = OPTIMIZERS[optimizer].for_role(entry.role)
    known = {option.name for option in OPTIMIZERS[name].options}
    return Parameter(
        name=entry.name,
        module=entry.name,
        layout=_LAYOUTS[entry.kind],
        shape=entry.shape,
        values=Values(entry.fan_in * entry.fan_out, entry.start / rule.multiplier, rule.init_std),
        steppings=(
            Stepping(
                optimizer=name,
                class_name=OPTIMIZERS[name].title,
                learning_rate=RATE * rule.learning_rate_factor,
                weight_decay=DECAY * rule.weight_decay_factor if "weight_decay" in known else None,
                epsilon=EPSILON * rule.epsilon_factor if "epsilon" in known else None,
            ),
        ),
    )


def _roles(model: str, options: Options) -> dict[str, OwnRole]:
    """What the shapes say, given: of the deepest model, in which every other's weights are."""
    by_width = {
        width: {entry.name: entry for entry in MODELS[model].weights(width, DEPTHS[1], options)}
        for width in WIDTHS
    }
    return {
        name: OwnRole(
            name=name,
            role=entry.role,
            tied=False,
            fans={w: (by_width[w][name].fan_in, by_width[w][name].fan_out) for w in WIDTHS},
            output_fans={},
            part=entry.part,
            in_branch=entry.in_branch,
            writes_stream=entry.writes_stream,
        )
        for name, entry in by_width[WIDTHS[0]].items()
    }
