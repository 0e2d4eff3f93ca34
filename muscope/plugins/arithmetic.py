"""Formulas of plugins, such as "4*width" or "1/sqrt(fan_in)": arithmetic on numbers, no Python.

A formula is parsed by Python's parser and walked here; nothing is ever evaluated by Python.
Numbers, names that are given, + - * / // % **, comparisons, `and`, `or`, `not`, and a few
functions: that is all, and it ends quickly and within bounds.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

LONGEST = 200
DEEPEST = 30
LARGEST = 1e30
"""No size, rate or number of operations is larger; powers of powers would be."""

Number: TypeAlias = int | float
Numbers: TypeAlias = Mapping[str, Number]


def _power(base: Number, power: Number) -> float:
    """In floats: whole numbers to large powers would take all memory."""
    found = float(base) ** float(power)
    if isinstance(found, complex):
        raise ValueError(f"{base:g} to the power {power:g} is no real number")
    return float(found)


_BINARY: Mapping[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Number, Number], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
FUNCTIONS: Mapping[str, tuple[int, Callable[..., Number]]] = {
    "sqrt": (1, math.sqrt),
    "log2": (1, math.log2),
    "ceil": (1, math.ceil),
    "min": (2, min),
    "max": (2, max),
}
"""What a formula may call, with the number of arguments."""


class FormulaError(ValueError):
    """A formula that cannot be read, or has no value: a sentence."""


def check(formula: str, names: frozenset[str]) -> None:
    """Raise FormulaError unless the formula is one, and knows no other names than these."""
    tree = _parsed(formula)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in names | set(FUNCTIONS):
            allowed = ", ".join(sorted(names | set(FUNCTIONS)))
            raise FormulaError(f"formula {formula!r} has the name {node.id!r}; allowed: {allowed}")


def number(formula: str, numbers: Numbers) -> float:
    """The value of a formula, a finite number, or FormulaError."""
    return float(_value(formula, numbers))


def whole(formula: str, numbers: Numbers) -> int:
    """The value of a formula that counts something, rounded to the nearest, at least 0."""
    return max(0, round(_value(formula, numbers)))


def holds(formula: str, numbers: Numbers) -> bool:
    """Whether a condition is so."""
    return bool(_value(formula, numbers))


def _value(formula: str, numbers: Numbers) -> Number:
    try:
        found = _walk(_parsed(formula), numbers)
    except (ArithmeticError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, FormulaError):
            raise
        given = ", ".join(f"{name} = {value:g}" for name, value in numbers.items())
        raise FormulaError(f"formula {formula!r} has no value at {given} ({error})") from error
    return found


@lru_cache(maxsize=4096)
def _parsed(formula: str) -> ast.expr:
    if len(formula) > LONGEST:
        raise FormulaError(f"a formula has at most {LONGEST} characters, got {len(formula)}")
    try:
        tree = ast.parse(formula.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise FormulaError(f"formula {formula!r} cannot be read as arithmetic") from error
    _refuse_more_than_arithmetic(tree, formula, 0)
    return tree


def _refuse_more_than_arithmetic(node: ast.expr, formula: str, depth: int) -> None:
    if depth > DEEPEST:
        raise FormulaError(f"formula {formula!r:.60} is nested more than {DEEPEST} deep")
    for part in _parts(node, formula):
        _refuse_more_than_arithmetic(part, formula, depth + 1)


def _parts(node: ast.expr, formula: str) -> list[ast.expr]:
    """What a piece of arithmetic is made of, or FormulaError where it is none."""
    found: list[ast.expr] | None = None
    match node:
        case ast.Constant(value=bool() | int() | float() as value) if abs(value) <= LARGEST:
            found = []
        case ast.Name():
            found = []
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            found = [left, right]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not(), operand=operand):
            found = [operand]
        case ast.BoolOp(values=values):
            found = values
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            found = [left, right]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            found = args if len(args) == FUNCTIONS[name][0] else None
    if found is None:
        raise FormulaError(
            f"formula {formula!r} holds more than arithmetic; allowed: numbers, names, "
            f"+ - * / // % **, comparisons, and, or, not, and {', '.join(FUNCTIONS)}"
        )
    return found


def _walk(node: ast.expr, numbers: Numbers) -> Number:
    """The value of what `_parts` has let through."""

    def of(part: ast.expr) -> Number:
        return _walk(part, numbers)

    found: Number = math.nan
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            found = value
        case ast.Name(id=name):
            found = numbers[name]
        case ast.BinOp(left=left, op=op, right=right):
            found = _BINARY[type(op)](of(left), of(right))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            found = not of(operand)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            found = -of(operand)
        case ast.UnaryOp(operand=operand):
            found = of(operand)
        case ast.BoolOp(op=ast.And(), values=values):
            found = all(map(of, values))
        case ast.BoolOp(values=values):
            found = any(map(of, values))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            found = _COMPARISONS[type(op)](of(left), of(right))
        case ast.Call(func=ast.Name(id=name), args=args):
            found = FUNCTIONS[name][1](*map(of, args))
    return _bounded(found)


def _bounded(value: Number) -> Number:
    if not abs(value) <= LARGEST:
        raise OverflowError(f"{value:g} is more than {LARGEST:g}")
    return value
