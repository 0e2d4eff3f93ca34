"""What a recorder takes from its environment: the server, its token, the folder that keeps."""

import os
from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:8765"


def url_for(given: str) -> str:
    """What is given, MUSCOPE_URL, or a server on this machine."""
    return given or os.environ.get("MUSCOPE_URL", DEFAULT_URL)


def token_for(given: str) -> str:
    """What is given, MUSCOPE_TOKEN, or that of a server on this machine."""
    token = given or os.environ.get("MUSCOPE_TOKEN", "")
    if token:
        return token
    # settings take pydantic_settings, which who gives a token does not need
    from muscope.settings import Settings

    file = Settings().token_file
    if file.exists():
        return file.read_text().strip()
    raise ValueError("a token is needed: give Recorder token=…, or set MUSCOPE_TOKEN")


def spool_folder(given: str | Path | None = None) -> Path:
    """Where recordings wait: what is given, MUSCOPE_SPOOL, or a folder of the user's."""
    found = given or os.environ.get("MUSCOPE_SPOOL")
    return Path(found) if found else Path.home() / ".local" / "share" / "muscope" / "spool"
