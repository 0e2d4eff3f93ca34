"""What plugins of living workers add to the catalogue: looked up before anybody chooses from it."""

from muscope.storage import plugins
from muscope_server.deps import DatabaseDep


def refresh(database: DatabaseDep) -> None:
    """List in the catalogue what living workers have now; nothing of a plugin is imported."""
    with database.read() as conn:
        plugins.offer(conn)
