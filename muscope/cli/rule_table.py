"""Rules as the terminal shows them: a row per kind of weight, then formulas and source."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from muscope import catalogue
from muscope.catalogue import Options, OptionValue, rules
from muscope.catalogue.rules import Choice, Size, dimensions, weight_rules
from muscope.catalogue.written import choice_of, known_as, named
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
    model_options: Options
    size: Size
    lines: tuple[Line, ...]

    @classmethod
    def of(cls, text: str, optimizer: str, model: str, size: Size) -> "RuleTable":
        """The table of `NAME[:OPTIONS]` for a model `NAME[:OPTIONS]`, or ValueError."""
        choice = choice_of(text)
        known_as("optimizer", optimizer, catalogue.OPTIMIZERS)
        name, given = named("model", model, catalogue.MODELS)
        options = catalogue.with_defaults(given, catalogue.MODELS[name].options)
        _check(choice, optimizer, name, options, size)
        dims = dimensions(name, options, size)
        entry = catalogue.OPTIMIZERS[optimizer]
        found = weight_rules(choice, optimizer, dims)
        lines = {
            shared: Line(shared, dims[name], entry.family_of(dims[name].role), found[name])
            for name, shared in _shared_names(dims).items()
        }
        return cls(choice, optimizer, name, options, size, tuple(lines.values()))

    @property
    def title(self) -> str:
        """Name and options, as they are typed."""
        options = ",".join(f"{name}={_typed(value)}" for name, value in self.choice.options.items())
        return f"{self.choice.name}:{options}" if options else self.choice.name

    @property
    def attention_scale(self) -> float | None:
        """What q.k is multiplied by; None for a model without attention."""
        if "head_size" not in self.model_options:
            return None
        return rules.attention_scale(self.choice, self.model, self.model_options, self.size)

    @property
    def tied_multiplier(self) -> float | None:
        """What the logits of tied embeddings are multiplied by; None where there is a readout."""
        if not self.model_options.get("tied_embeddings"):
            return None
        return rules.tied_multiplier(
            self.choice, self.optimizer, self.model, self.model_options, self.size
        )

    @property
    def residual_multiplier(self) -> float | None:
        """What a branch is multiplied by; None where there is none, or not one for all of them."""
        if self.choice.name == "u_mup" or not any(line.dims.in_branch for line in self.lines):
            return None
        return rules.residual_multiplier(self.choice, self.model, self.model_options, self.size)

    @property
    def operator_scales(self) -> dict[str, float]:
        """The scales of u-µP's operators beside those of weights; nothing elsewhere."""
        return rules.operator_scales(self.choice, self.model, self.model_options, self.size)

    def data(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        formulas = self.choice.theory.formulas(self.choice.complete)
        return {
            "parametrization": self.choice.name,
            "options": self.choice.complete,
            "optimizer": self.optimizer,
            "model": self.model,
            "model_options": self.model_options,
            **asdict(self.size),
            "source": self.choice.theory.source,
            "attention_scale": self.attention_scale,
            "operator_scales": self.operator_scales,
            "residual_multiplier": self.residual_multiplier,
            "tied_multiplier": self.tied_multiplier,
            "weights": [
                {
                    "name": line.name,
                    "role": line.dims.role.value,
                    "update_family": line.family.value,
                    "fan_in": line.dims.fan_in,
                    "fan_out": line.dims.fan_out,
                    **asdict(line.rule),
                    "formula": formulas.get(line.dims.role),
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
        said = [f"{role.value}: {formulas[role]}" for role in ROLES if role in formulas]
        if self.attention_scale is not None:
            said.append(f"attention: q·k times {_number(self.attention_scale)}")
        if self.residual_multiplier is not None:
            said.append(f"residual: every branch times {_number(self.residual_multiplier)}")
        if self.tied_multiplier is not None:
            said.append(f"logits: the token embedding times {_number(self.tied_multiplier)}")
        if self.operator_scales:
            said += _operators(self.operator_scales)
        return [Text("\n".join((*said, f"source: {self.choice.theory.source}")), style="dim")]


def _operators(scales: Mapping[str, float]) -> list[str]:
    """One number each, but of the branches, which are many, the first and the last."""
    single = [f"{k} {_number(v)}" for k, v in scales.items() if not k.startswith("branches.")]
    branches = [_number(v) for k, v in scales.items() if k.startswith("branches.")]
    said = [f"operators: {', '.join(single)}"]
    if branches:
        first_a, first_b, *_, last_a, last_b = branches
        ends = f"a from {first_a} to {last_a}, b from {first_b} to {last_b}"
        said.append(f"branches: a f(h) + b h, {ends}")
    return said


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
            ("logits", one.tied_multiplier, other.tied_multiplier),
        )
        if a is not None and b is not None and not _same(a, b)
    ]
    if one.operator_scales != other.operator_scales:
        scales += [
            f"{rules_of.title}, {said}"
            for rules_of in (one, other)
            if rules_of.operator_scales
            for said in _operators(rules_of.operator_scales)
        ]
    parts: list[RenderableType] = [Text(f"{one.title} → {other.title}   {one._subtitle()}")]
    if table.row_count:
        parts.append(table)
    parts += [Text("\n".join(scales))] if scales else []
    return Group(*parts) if len(parts) > 1 else Group(*parts, Text("no weight differs"))


def _shared_names(dims: Mapping[str, WeightDims]) -> dict[str, str]:
    """The name with stars for numbers that each weight shares with its like: `blocks.*.attn.q`.

    As many stars as leave only weights of equal dimensions under one name.
    """
    shared = {name: name for name in dims}
    for pattern in (r"\.\d+(?=\.[^.]+$)", r"\.\d+"):  # the last number, every number
        alike: defaultdict[str, set[WeightDims]] = defaultdict(set)
        for name, of in dims.items():
            alike[re.sub(pattern, ".*", name)].add(of)
        starred = {name: re.sub(pattern, ".*", name) for name in dims}
        shared |= {name: star for name, star in starred.items() if len(alike[star]) == 1}
    return shared


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


def _check(choice: Choice, optimizer: str, model: str, options: Options, size: Size) -> None:
    """ValueError with a sentence if there is no such model, or no rule for one of its weights."""
    for width in (size.width, size.base_width):
        complaint = catalogue.MODELS[model].check(width, options)
        if complaint:
            raise ValueError(f"model {model!r}: {complaint}")
    refusal = rules.complaint(choice, optimizer, model, options)
    if refusal:
        raise ValueError(refusal)


def _typed(value: OptionValue) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"
