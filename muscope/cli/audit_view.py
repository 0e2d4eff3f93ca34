"""An audit as the terminal and as JSON have it: the parameters, the findings, what to know."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from muscope.catalogue.rules import Choice
from muscope.own_model import Built
from muscope.own_model.facts import Parameter, pattern
from muscope.verdicts.audit import Audit, Compared, Finding, Level, Quantity

_STYLES = {Level.DEVIATION: "bold red", Level.WARNING: "yellow"}
_LEGEND = "powers of m or r: B std, C learning rate, λ weight decay, ε epsilon; found ≠ the rule's"
_COLUMNS = {"B": Quantity.STD, "C": Quantity.RATE, "λ": Quantity.DECAY, "ε": Quantity.EPSILON}


@dataclass(frozen=True, slots=True)
class AuditView:
    """One audit, with what it was about."""

    target: str
    choice: Choice
    models: Sequence[Built]
    audit: Audit
    learning_rate: float | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """First the parameters, last what was found, because a terminal shows its last lines."""
        yield Text.assemble((self.choice.theory.title, "bold"), f"   {self._subtitle()}")
        yield self._table(self.audit.compared)
        if self.audit.in_depth:
            yield Padding(Text(self._depths()), (1, 0, 0, 0))
            yield self._table(self.audit.in_depth)
        yield Padding(Text(_LEGEND, style="dim"), (0, 0, 1, 0))
        yield from (Text(f"note: {note}", style="dim") for note in self.audit.notes)
        for finding in reversed(self.audit.findings):
            label = (f"{finding.level.value}: ", _STYLES[finding.level])
            yield Padding(Text.assemble(label, finding.sentence()), (1, 0, 0, 0))
        yield Padding(Text(self.summary(), style="bold"), (1, 0, 0, 0))

    def summary(self) -> str:
        """The result in a line."""
        rule, count = self.choice.theory.title, len(self.audit.compared)
        deviations, warnings = len(self.audit.deviations), len(self.audit.warnings)
        tail = f", {_plural(warnings, 'warning')}" if warnings else ""
        if not deviations:
            return f"✓ no deviation from {rule} in {_plural(count, 'parameter')}{tail}"
        return f"✗ {_plural(deviations, 'deviation')} from {rule}{tail}"

    def data(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        return {
            "target": self.target,
            "parametrization": self.choice.name,
            "options": self.choice.complete,
            "source": self.choice.theory.source,
            "base_width": self.models[0].width,
            "width": self.models[-1].width,
            "widths": [model.width for model in self.models],
            "depth": self.models[0].depth,
            "deviations": len(self.audit.deviations),
            "warnings": len(self.audit.warnings),
            "findings": [_finding(finding) for finding in self.audit.findings],
            "notes": list(self.audit.notes),
            "parameters": [_parameter(compared) for compared in self.audit.compared],
            "in_depth": [_parameter(compared) for compared in self.audit.in_depth],
        }

    def _subtitle(self) -> str:
        base, last = self.models[0].width, self.models[-1].width
        depth = "" if self.models[0].depth is None else f" · depth {self.models[0].depth}"
        steppers = sorted({s.class_name for p in self.models[-1].parameters for s in p.steppings})
        optimizers = f" · {', '.join(steppers)}" if steppers else ""
        return f"{self.target} · width {last} over {base}, m = {last / base:g}{depth}{optimizers}"

    def _depths(self) -> str:
        (base, here), sizes = self.audit.in_depth[0].sizes.places, self.audit.in_depth[0].sizes
        return f"{here} over {base}, r = {sizes.growth:g}, at width {sizes.width}"

    def _table(self, parameters: Sequence[Compared]) -> Table:
        """A row per kind of parameter: powers of m, found and, where that differs, wanted."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("parameter", overflow="fold")
        table.add_column("shape", justify="right", no_wrap=True)
        table.add_column("role", no_wrap=True)
        for column in _COLUMNS:
            table.add_column(column, justify="right", no_wrap=True)
        if self.learning_rate is not None:
            table.add_column("rule's lr", justify="right", no_wrap=True)
        rows: dict[_Kind, list[Compared]] = {}
        for compared in parameters:
            rows.setdefault(_kind(compared), []).append(compared)
        for (kind, *_), members in rows.items():
            name = f"{kind} ×{len(members)}" if len(members) > 1 else kind
            table.add_row(name, *self._cells(members))
        return table

    def _cells(self, members: Sequence[Compared]) -> list[str]:
        some = members[0]
        powers = [_power(members, quantity) for quantity in _COLUMNS.values()]
        cells = [_shape(some.here), some.role.word, *powers]
        if self.learning_rate is not None:
            factor = some.rate_factor
            cells.append("" if factor is None else f"{self.learning_rate * factor:.3g}")
        return cells


def _parameter(compared: Compared) -> dict[str, Any]:
    sizes = compared.sizes
    ratios = {
        quantity.value: {
            "found": round(compared.power(ratio), 4),
            "wanted": round(compared.power(compared.wanted[quantity]), 4),
        }
        for quantity, ratio in compared.found.ratios.items()
        if quantity in compared.wanted
    }
    base, here = sizes.places
    return {
        "name": compared.name,
        "aliases": list(compared.here.aliases),
        "module": compared.here.module,
        "role": compared.role.word,
        "remark": compared.role.remark,
        "logical_sub_matrices": compared.role.pieces,
        "update_family": compared.stepper.family.value,
        "form": compared.form.label if compared.form else None,
        "learning_rate_factor": compared.rate_factor,
        f"powers_of_{sizes.letter}": ratios,
        "at": {base: _numbers(compared.base), here: _numbers(compared.here)},
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "level": finding.level.value,
        "quantity": finding.quantity.value,
        "parameters": list(finding.parameters),
        "factor": finding.factor,
        "rule": finding.rule,
        "mistake": finding.mistake,
        "sentence": finding.sentence(),
    }


def _numbers(parameter: Parameter) -> dict[str, Any]:
    values = parameter.values
    return {
        "shape": list(parameter.shape),
        "mean": values.mean,
        "std": values.std,
        "std_log_error": values.log_error,
        "multiplier": parameter.multiplier,
        "steppings": [
            {
                "optimizer": stepping.class_name,
                "learning_rate": stepping.learning_rate,
                "weight_decay": stepping.weight_decay,
                "epsilon": stepping.epsilon,
            }
            for stepping in parameter.steppings
        ],
    }


def _shape(parameter: Parameter) -> str:
    return "×".join(map(str, parameter.shape)) or "1"


_Kind = tuple[str, tuple[int, ...], str, frozenset[Quantity], bool]


def _kind(compared: Compared) -> _Kind:
    """What shares a row: the same kind of parameter with the same deviations."""
    here = compared.here
    return (
        pattern(here.name),
        here.shape,
        compared.role.word,
        frozenset(compared.off),
        here.values.is_zero,
    )


def _power(members: Sequence[Compared], quantity: Quantity) -> str:
    """The mean over a row: `-0.50`, or `0.00 ≠ -0.50` where the rule wants another."""
    some = members[0]
    found = [each.found.ratios.get(quantity) for each in members]
    known = [each.power(r) for each, r in zip(members, found, strict=True) if r is not None]
    if not known:
        is_zero = quantity is Quantity.STD and some.here.values.is_zero
        return "zero" if is_zero else ""
    text = _number(sum(known) / len(known))
    if quantity not in some.off:
        return text
    return f"{text} ≠ {_number(some.power(some.wanted[quantity]))}"


def _number(power: float) -> str:
    return f"{0.0 if abs(power) < 0.005 else power:.2f}"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
