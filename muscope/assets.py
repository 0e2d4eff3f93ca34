"""The one place that finds frontend/ and migrations/: in a checkout or in a wheel."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def frontend() -> Path:
    """Folder of templates/ and static/."""
    return _folder("frontend")


def migrations() -> Path:
    """Folder of Alembic's env.py and versions/."""
    return _folder("migrations")


def _folder(name: str) -> Path:
    for candidate in (PACKAGE / f"_{name}", PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"{name}/ is neither in the package nor beside it ({PACKAGE})")
