"""The same as tests of a project: `pytest examples/gate`, or with `--muscope-report reports`."""

from collections.abc import Callable

import pytest
from my_gpt import batch, build, build_gpt2

from muscope.api import CheckResult

Check = Callable[..., CheckResult]


def test_my_gpt_keeps_its_sizes_with_width(coordinate_check: Check) -> None:
    """Attention logits need more seeds than a build has time for, so only faults fail it."""
    result = coordinate_check(build, batch=batch, widths=(64, 128, 256), seeds=5, steps=2)
    assert result.passed(fail_on="grows,shrinks,diverged"), result.table()


def test_the_recipe_of_gpt_2_does_not(width_stable: Check) -> None:
    """The assertion says which tensor grows, by how much, and what may be wrong."""
    with pytest.raises(AssertionError, match="is not width-stable: grows in"):
        width_stable(build_gpt2, batch=batch, widths=(64, 128, 256), seeds=2, steps=1)
