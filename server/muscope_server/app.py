"""The web app: made by `create_app` from settings, with everything it needs in `app.state`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware

import muscope
from muscope import access, assets, dispatch
from muscope.settings import Settings
from muscope.storage import schema
from muscope.storage.database import Database
from muscope_server import downloading, errors, hosts, permissions
from muscope_server.doorbell import Doorbell
from muscope_server.limits import COMPARISONS
from muscope_server.pace import Pace
from muscope_server.reaper import Reaper
from muscope_server.routes import (
    api,
    compare,
    downloads,
    events,
    figures,
    grid,
    login,
    pages,
    plugins,
    presets,
    recipes,
    recordings,
)
from muscope_server.security import Gate
from muscope_server.services.remembering import Remembered
from muscope_server.services.streams import Streams
from muscope_server.sessions import Sessions
from muscope_server.static import Assets


def create_app(settings: Settings) -> FastAPI:
    """The app on a database whose schema is in order; raises SchemaError when it is not."""
    database, sessions = _database_and_sessions(settings)
    gate = Middleware(Gate, allowed_hosts=hosts.allowed(settings), sessions=sessions)
    app = FastAPI(
        title="muscope",
        version=muscope.__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[gate],
        lifespan=_lifespan,
    )
    app.state.settings = settings
    app.state.sessions = sessions
    app.state.database = database
    app.state.doorbell = Doorbell(dispatch.celery_app(settings))
    app.state.streams = Streams(database)
    app.state.places = downloading.downloads()
    app.state.easels = downloading.figures()
    app.state.pace = Pace()
    app.state.comparisons = Remembered(COMPARISONS)
    for module in (
        api, recordings, events, login, pages, figures, downloads, plugins, presets, compare,
        grid, recipes,
    ):  # fmt: skip
        app.include_router(module.router)
    app.mount(permissions.STATIC, Assets(directory=assets.frontend() / "static"), name="static")
    errors.install(app)
    return app


def _database_and_sessions(settings: Settings) -> tuple[Database, Sessions]:
    """The database is looked at first: where there is none, nothing is made."""
    database = Database(settings.database)
    try:
        schema.check(database)
        return database, Sessions(access.token(settings), access.session_key(settings))
    except (schema.SchemaError, access.AccessError):
        database.close()
        raise


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    database: Database = app.state.database
    doorbell: Doorbell = app.state.doorbell
    with doorbell, Reaper(database, doorbell, app.state.settings):
        yield
    database.close()
