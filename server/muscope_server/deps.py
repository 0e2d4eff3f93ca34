"""What endpoints are given: settings, database, broker, all made once by `create_app`."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy import Connection

from muscope.settings import Settings
from muscope.storage import studies
from muscope.storage.database import Database
from muscope.storage.studies import StudyRow
from muscope_server.doorbell import Doorbell
from muscope_server.downloading import Places
from muscope_server.errors import not_found

_STUDY_ID = re.compile(r"[0-9A-Za-z_-]{1,16}", re.ASCII)


def get_settings(request: Request) -> Settings:
    """The settings that the app was made with."""
    return cast(Settings, request.app.state.settings)


def get_database(request: Request) -> Database:
    """The database that the app was made with."""
    return cast(Database, request.app.state.database)


def get_doorbell(request: Request) -> Doorbell:
    """The way to tell the workers of new bundles."""
    return cast(Doorbell, request.app.state.doorbell)


def get_places(request: Request) -> Places:
    """The room for downloads."""
    return cast(Places, request.app.state.places)


async def a_place(places: Annotated[Places, Depends(get_places)]) -> AsyncIterator[None]:
    """One of the places for downloads, until the answer is sent."""
    async with places.one():
        yield


async def an_easel(request: Request) -> AsyncIterator[None]:
    """Room for one figure, until the answer is sent."""
    async with cast(Places, request.app.state.easels).one():
        yield


def get_study_id(study_id: str) -> str:
    """A study id that may exist; anything else never reaches the database."""
    if not is_study_id(study_id):
        raise not_found("study")
    return study_id


def study_of(conn: Connection, study_id: str) -> StudyRow:
    """The study, or 404."""
    row = studies.get(conn, study_id)
    if row is None:
        raise not_found("study")
    return row


def is_study_id(text: str) -> bool:
    """Whether it may be the id of a study."""
    return _STUDY_ID.fullmatch(text) is not None


SettingsDep = Annotated[Settings, Depends(get_settings)]
DatabaseDep = Annotated[Database, Depends(get_database)]
DoorbellDep = Annotated[Doorbell, Depends(get_doorbell)]
PlacesDep = Annotated[Places, Depends(get_places)]
StudyIdDep = Annotated[str, Depends(get_study_id)]
