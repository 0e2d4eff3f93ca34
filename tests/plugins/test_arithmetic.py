"""Formulas are arithmetic and nothing else."""

import pytest

from muscope.plugins import arithmetic
from muscope.plugins.arithmetic import FormulaError


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("4*width", 256.0),
        ("1/sqrt(width)", 0.125),
        ("width**-0.5", 0.125),
        ("-width + 2*(width // 3)", -22.0),
        ("max(width, 100) % 7", 2.0),
        ("ceil(width/10) * gate", 7.0),
    ],
)
def test_a_formula_has_the_value_that_one_reads(formula: str, value: float) -> None:
    assert arithmetic.number(formula, {"width": 64, "gate": True}) == value


def test_a_condition_holds_or_not() -> None:
    numbers = {"width": 64, "heads": 3}
    assert arithmetic.holds("width % 8 == 0 and heads < 4", numbers)
    assert not arithmetic.holds("width % heads == 0 or not 1", numbers)


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os').system('true')",
        "width.__class__",
        "(lambda: 1)()",
        "[1] * 9",
        "'a' * 9",
        "f'{width}'",
        "width if width else 1",
        "sqrt(width, width)",
        "1 << 1000",
        "1e400",
        "width; 1",
        "(" * 120 + "1" + ")" * 120,
        "-" * 150 + "1",
        "1" * 300,
        "",
    ],
)
def test_what_is_no_arithmetic_is_refused(formula: str) -> None:
    with pytest.raises(FormulaError, match=r"arithmetic|characters|nested"):
        arithmetic.check(formula, frozenset({"width"}))


@pytest.mark.parametrize("formula", ["1/0", "9**9**9**9", "(-1)**0.5", "sqrt(-1)", "1e30 * 1e30"])
def test_what_has_no_value_is_a_sentence(formula: str) -> None:
    with pytest.raises(FormulaError, match="has no value at width = 1"):
        arithmetic.number(formula, {"width": 1})


def test_an_unknown_name_is_refused_before_anything_is_computed() -> None:
    with pytest.raises(FormulaError, match=r"has the name 'depth'; allowed: ceil, .*width"):
        arithmetic.check("width * depth", frozenset({"width"}))
