"""Rules as the terminal shows them: a row per kind of weight, then formulas and source."""

import re
from dataclasses import asdict, astuple, dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from muscope import catalogue
from muscope.catalogue import Option, OptionValue
from muscope.catalogue.rules import Choice, Size, dimensions, weight_rules
from muscope.theory.rule import ROLES, WeightDims, WeightRule
from muscope.vocabulary import UpdateFamily

COLUMNS = ("A", "B", "C", "λ", "ε")


@dataclass(frozen=True, slots=True)
class Line:
    """Weights that share a rule, such as the queries of every block."""

    name: str
    dims: WeightDims
    family: UpdateFamily
    rule: WeightRule


@dataclass(frozen=True, slots=True)
class RuleTable:
    """The rules of one parametrization for one model, optimizer and size."""

    choice: Choice
    optimizer: str
    model: str
    size: Size
    lines: tuple[Line, ...]

    @classmethod
    def of(cls, text: str, optimizer: str, model: str, size: Size) -> "RuleTable":
        """The table of `NAME[:OPTIONS]`, or ValueError with a sentence."""
        choice = _choice(text)
        _known("optimizer", optimizer, catalogue.OPTIMIZERS)
        _known("model", model, catalogue.MODELS)
        dims = dimensions(model, _model_options(model), size)
        entry = catalogue.OPTIMIZERS[optimizer]
        found = {
            re.sub(r"\.\d+", ".*", name): Line(name, dims[name], entry.family_of(role), rule)
            for name, rule in weight_rules(choice, optimizer, dims).items()
            for role in (dims[name].role,)
        }
        lines = (Line(name, x.dims, x.family, x.rule) for name, x in found.items())
        return cls(choice, optimizer, model, size, tuple(lines))

    @property
    def title(self) -> str:
        """Name and options, as they are typed."""
        options = ",".join(f"{name}={_typed(value)}" for name, value in self.choice.options.items())
        return f"{self.choice.name}:{options}" if options else self.choice.name

    @property
    def attention_scale(self) -> float | None:
        """What q.k is multiplied by; None for a model without attention."""
        head_size = _model_options(self.model).get("head_size")
        if head_size is None:
            return None
        return self.choice.theory.attention_scale(
            int(head_size), int(head_size), self.choice.complete
        )

    @property
    def residual_multiplier(self) -> float | None:
        """What a branch is multiplied by; None where there is none, or not one for all of them."""
        if self.choice.name == "u_mup" or not any(line.dims.in_branch for line in self.lines):
            return None
        return self.choice.theory.residual_multiplier(
            self.size.depth, self.size.base_depth, self.choice.complete
        )

    def data(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        formulas = self.choice.theory.formulas(self.choice.complete)
        return {
            "parametrization": self.choice.name,
            "options": self.choice.complete,
            "optimizer": self.optimizer,
            "model": self.model,
            **asdict(self.size),
            "source": self.choice.theory.source,
            "offered": self.choice.name in catalogue.PARAMETRIZATION_ENTRIES,
            "attention_scale": self.attention_scale,
            "residual_multiplier": self.residual_multiplier,
            "weights": [
                {
                    "name": line.name,
                    "role": line.dims.role.value,
                    "update_family": line.family.value,
                    "fan_in": line.dims.fan_in,
                    "fan_out": line.dims.fan_out,
                    **asdict(line.rule),
                    "formula": formulas[line.dims.role],
                }
                for line in self.lines
            ],
        }

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, then what it comes from."""
        yield Text.assemble((self.choice.theory.title, "bold"), f"   {self._subtitle()}")
        table = _grid(*COLUMNS)
        for line in self.lines:
            table.add_row(*_head(line), *map(_number, astuple(line.rule)))
        yield table
        yield from self._footer()

    def _subtitle(self) -> str:
        m, r = self.size.width / self.size.base_width, self.size.depth / self.size.base_depth
        return f"{self.model} · {self.optimizer} · m = {m:g}, r = {r:g}"

    def _footer(self) -> list[RenderableType]:
        formulas = self.choice.theory.formulas(self.choice.complete)
        said = [f"{role.value}: {formulas[role]}" for role in ROLES]
        if self.attention_scale is not None:
            said.append(f"attention: q·k times {_number(self.attention_scale)}")
        if self.residual_multiplier is not None:
            said.append(f"residual: every branch times {_number(self.residual_multiplier)}")
        if self.choice.name not in catalogue.PARAMETRIZATION_ENTRIES:
            said.append("Rules only: the lab cannot train it.")
        return [Text("\n".join((*said, f"source: {self.choice.theory.source}")), style="dim")]


def difference(one: RuleTable, other: RuleTable) -> RenderableType:
    """Weights whose rules differ, each number as `this → that`; equal numbers are left out."""
    table = _grid(*COLUMNS)
    for mine, theirs in zip(one.lines, other.lines, strict=True):
        pairs = list(zip(astuple(mine.rule), astuple(theirs.rule), strict=True))
        cells = ["" if _same(a, b) else f"{_number(a)} → {_number(b)}" for a, b in pairs]
        if any(cells):
            table.add_row(*_head(mine), *cells)
    scales = [
        f"{name}: {_number(a)} → {_number(b)}"
        for name, a, b in (
            ("attention", one.attention_scale, other.attention_scale),
            ("residual", one.residual_multiplier, other.residual_multiplier),
        )
        if a is not None and b is not None and not _same(a, b)
    ]
    parts: list[RenderableType] = [Text(f"{one.title} → {other.title}   {one._subtitle()}")]
    if table.row_count:
        parts.append(table)
    parts += [Text("\n".join(scales))] if scales else []
    return Group(*parts) if len(parts) > 1 else Group(*parts, Text("no weight differs"))


def _grid(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("weight", no_wrap=True)
    table.add_column("fan_out×fan_in", justify="right", no_wrap=True)
    table.add_column("role", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _head(line: Line) -> tuple[str, str, str]:
    return (line.name, f"{line.dims.fan_out}×{line.dims.fan_in}", line.dims.role.value)


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-12 * max(abs(one), abs(other))


def _number(value: float) -> str:
    return f"{value:.4g}"


def _model_options(model: str) -> catalogue.Options:
    return catalogue.with_defaults({}, catalogue.MODELS[model].options)


def _choice(text: str) -> Choice:
    name, _, written = text.partition(":")
    _known("parametrization", name, catalogue.ALL_PARAMETRIZATIONS)
    known = {option.name: option for option in catalogue.ALL_PARAMETRIZATIONS[name].options}
    given: dict[str, OptionValue] = {}
    for part in filter(None, written.split(",")):
        key, _, value = part.partition("=")
        given[key] = _value(known[key], value) if key in known else value
    catalogue.complete_options(given, tuple(known.values()))
    return Choice(name, given)


def _value(option: Option, text: str) -> OptionValue:
    match option.default:
        case bool():
            return {"true": True, "false": False}.get(text, text)
        case int() | float():
            return _parsed(text)
        case _:
            return text


def _parsed(text: str) -> OptionValue:
    try:
        return float(text)
    except ValueError:
        return text


def _typed(value: OptionValue) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _known(kind: str, name: str, entries: dict[str, Any]) -> None:
    if name not in entries:
        raise ValueError(f"unknown {kind} {name!r}; allowed: {', '.join(entries)}")
