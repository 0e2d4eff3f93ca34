"""A signal stops the main loop, and waits for nothing in its handler."""

import signal
from collections.abc import Iterator

import pytest
from celery.exceptions import WorkerShutdown
from celery.worker import state

from muscope_worker import leaving


@pytest.fixture
def handlers() -> Iterator[None]:
    """The handlers of the tests are put back."""
    before = {number: signal.getsignal(number) for number in leaving.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    state.should_stop = None


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", leaving.SIGNALS)
def test_every_signal_ends_the_main_loop_in_order(number: signal.Signals) -> None:
    asked: list[str] = []
    leaving.by_signal(lambda: asked.append("leave"))
    state.maybe_shutdown()
    signal.raise_signal(number)
    assert asked == ["leave"]
    with pytest.raises(WorkerShutdown):
        state.maybe_shutdown()


@pytest.mark.usefixtures("handlers")
def test_only_a_second_ctrl_c_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    monkeypatch.setattr(leaving.os, "kill", lambda pid, number: killed.append(number))
    leaving.by_signal(lambda: None)
    for number in (signal.SIGTERM, signal.SIGTERM):
        signal.raise_signal(number)
    assert killed == []
    signal.raise_signal(signal.SIGINT)
    assert killed == [signal.SIGINT]
