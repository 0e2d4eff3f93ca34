"""The access token and the key of session cookies: files that only their owner can read."""

import os
import secrets
import tempfile
from pathlib import Path
from urllib.parse import quote

from muscope.settings import Settings


class AccessError(RuntimeError):
    """A secret cannot be kept: the message says why and what to do."""


def token(settings: Settings) -> str:
    """The access token: MUSCOPE_TOKEN, else the one in the data directory, made when missing."""
    if not settings.token:
        return _secret(settings.token_file)
    if not settings.token.isascii() or not settings.token.isprintable() or " " in settings.token:
        raise AccessError("MUSCOPE_TOKEN must be printable ASCII without spaces")
    return settings.token


def url(settings: Settings) -> str:
    """The address with the token, to be opened once; the browser keeps a cookie from then on."""
    name = settings.host if settings.host not in ("0.0.0.0", "::", "") else "127.0.0.1"
    bracketed = f"[{name}]" if ":" in name else name
    return f"http://{bracketed}:{settings.port}/?token={quote(token(settings), safe='')}"


def session_key(settings: Settings) -> bytes:
    """The key that signs session cookies, so that they outlive a restart of the server."""
    return _secret(settings.data_dir / "session_key").encode()


def _secret(path: Path) -> str:
    if not path.exists():
        _make(path)
    _check_private(path)
    text = path.read_text().strip()
    if not text:
        raise AccessError(f"{path} is empty; delete it, and a new one will be made")
    return text


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        # A link, not a rename: of two processes that start together, the first one's secret stays.
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _check_private(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        raise AccessError(f"others can read {path}; run `chmod 600 {path}`, or delete it")
    if path.parent.stat().st_mode & 0o002:
        raise AccessError(f"anyone can write to {path.parent}; run `chmod o-w {path.parent}`")
