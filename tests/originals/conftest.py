"""As in the lab: tiny models, one thread."""

from tests.lab.conftest import one_thread

__all__ = ["one_thread"]
