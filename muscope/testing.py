"""Checks as assertions: `assert_width_stable(build, …)` in any test.

The package registers a pytest plugin with the fixtures `coordinate_check` and `width_stable`, and
with `--muscope-report FOLDER`, which keeps a report of every check that a test made.
"""

from typing import Any

from muscope.api import CheckResult, coordinate_check
from muscope.gate import Policy, sentences
from muscope.gate.policy import SURE, UNSTABLE
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict

__all__ = ["assert_passed", "assert_width_stable"]

MOST = 8
"""Tensors that a message names; the table of the result has all."""


def assert_width_stable(
    build: Any, *, allow_inconclusive: bool = False, progress: bool = False, **check: Any
) -> CheckResult:
    """Check a model like `muscope.coordinate_check`; fail unless every tensor keeps its size.

    Takes the same arguments, such as `widths`, `seeds`, `batch`, `loss`, `parametrize`. A check
    that could not tell is a failure too, which says what would help, unless `allow_inconclusive`.
    Every size must have been judged.

    Example:
        def test_my_model_is_width_stable():
            muscope.testing.assert_width_stable(build, batch=batch, widths=(64, 128, 256))
    """
    __tracebackhide__ = True
    result = coordinate_check(build, progress=progress, **check)
    assert_passed(result, allow_inconclusive=allow_inconclusive)
    return result


def assert_passed(result: CheckResult, *, allow_inconclusive: bool = False) -> None:
    """Fail, with the verdict as the message, unless a check shows width-stability."""
    __tracebackhide__ = True
    policy = Policy.of(UNSTABLE if allow_inconclusive else SURE)
    if not result.checked(policy).has_passed:
        raise AssertionError(message(result, policy))


def message(result: CheckResult, policy: Policy) -> str:
    """Which tensors fail and by how much, the first suspect with its fix, and what passed."""
    verdict = result.verdict
    lines = [_headline(verdict, policy), f"  {sentences.of_grid(verdict)}"]
    failing = list(sentences.of_failures(verdict, policy))
    lines += [f"  ✕ {line}" for line in failing[:MOST]]
    if failing[MOST:]:
        lines.append(f"  … and {len(failing) - MOST} more")
    lines += [f"  ✕ not judged: {failure.sentence}" for failure in result.failures]
    lines += [f"  {line}" for line in sentences.of_diagnosis(verdict)]
    if power := sentences.power(verdict):
        lines.append(f"  power: {power}")
    flat = [tensor.tensor for tensor in verdict.tensors if tensor.verdict is CellVerdict.FLAT]
    if flat:
        lines.append(f"  flat: {', '.join(flat)}")
    lines += [f"  note: {note}" for note in result.notes]
    return "\n".join(lines)


def _headline(verdict: VariantVerdict, policy: Policy) -> str:
    if not policy.fails(verdict):
        return f"{verdict.label} could not be judged at every size"
    if verdict.verdict is CellVerdict.INCONCLUSIVE:
        return f"{verdict.label} was not shown to be width-stable: {verdict.sentence()}"
    return f"{verdict.label} is not width-stable: {verdict.sentence()}"
