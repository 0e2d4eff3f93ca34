"""A house with one finished study, for tests that read its pages."""

import dataclasses

import httpx

from muscope.storage.database import Database
from tests.server.soup import Soup


@dataclasses.dataclass(frozen=True)
class World:
    """A server with one finished study, and a visitor who is in."""

    database: Database
    visitor: httpx.Client
    study_id: str

    def soup(self, url: str, *, status: int = 200) -> Soup:
        response = self.visitor.get(url)
        assert response.status_code == status, response.text
        return Soup(response.text)
