"""What the workers' plugins describe, for who has to know it without having the plugins."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from muscope.plugins.descriptions import Described
from muscope.storage import plugins, workers
from muscope_server.deps import DatabaseDep
from muscope_server.parameters import refuse_unknown

router = APIRouter(prefix="/api/v1", dependencies=[Depends(refuse_unknown)])


class WorkerPlugins(BaseModel):
    """What one living worker has, and a sentence for each plugin that it leaves out."""

    model_config = ConfigDict(frozen=True)

    worker: str
    described: tuple[Described, ...]
    refused: tuple[str, ...]


class PluginList(BaseModel):
    """The plugins of every living worker."""

    model_config = ConfigDict(frozen=True)

    workers: tuple[WorkerPlugins, ...]


@router.get("/plugins")
def list_plugins(database: DatabaseDep) -> PluginList:
    """The entries that plugins of living workers describe."""
    with database.read() as conn:
        alive = workers.alive(conn, within_s=workers.ALIVE_S)
    return PluginList(
        workers=tuple(
            WorkerPlugins(
                worker=row.id, described=plugins.of_worker(row), refused=plugins.refused_by(row)
            )
            for row in alive
        )
    )
