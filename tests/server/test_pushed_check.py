"""A check that was made in Python is pushed, and judged on the server as it was here."""

import pytest

import muscope
from muscope.storage import verdicts
from tests.lab.test_api import WIDTHS, batch, sp
from tests.server import recorded
from tests.server.running import Running


def test_the_verdict_there_is_that_of_the_result(server: Running) -> None:
    result = muscope.coordinate_check(
        sp, batch=batch, widths=WIDTHS, seeds=2, steps=1, progress=False
    )
    page = result.push(server.origin, server.token)
    assert page == result.push(server.origin, server.token)
    recorded.judge(server.app.state.database)
    with server.app.state.database.read() as conn:
        (found,) = verdicts.of_study(conn, page.rpartition("/")[2])
    assert (found.verdict, found.runs_judged) == (result.verdict.verdict, 6)
    there, here = ([c.slope for c in v.cells] for v in (found, result.verdict))
    assert there == here


def test_a_token_that_is_not_accepted_is_a_sentence(server: Running) -> None:
    result = muscope.coordinate_check(
        sp, batch=batch, widths=(16, 32), seeds=1, steps=1, progress=False
    )
    with pytest.raises(RuntimeError, match="token"):
        result.push(server.origin, "wrong")
