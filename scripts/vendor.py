"""Refresh the vendored front-end files from npm: `python scripts/vendor.py` (needs npm).

The files and `frontend/vendor.lock.json` are committed, so that neither set-up nor a page ever
needs the registry; a test compares the hashes.
"""

import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from plotly.offline import get_plotlyjs_version

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "frontend" / "vendor.lock.json"
STATIC = "frontend/static/vendor"
PLOTLY_CSS = f"{STATIC}/plotly.css"


@dataclass(frozen=True)
class Vendored:
    """One file of an npm package and where it lives here."""

    package: str
    version: str
    member: str
    path: str


def wanted() -> tuple[Vendored, ...]:
    """Everything that is vendored; plotly.js in the version that plotly.py was made for."""
    plotly = "plotly.js-cartesian-dist-min"
    version = get_plotlyjs_version()
    return (
        Vendored(plotly, version, "plotly-cartesian.min.js", f"{STATIC}/plotly-cartesian.min.js"),
        Vendored(plotly, version, "LICENSE", f"{STATIC}/plotly.LICENSE.txt"),
        Vendored("htmx.org", "4.0.1", "dist/htmx.min.js", f"{STATIC}/htmx.min.js"),
        Vendored("htmx.org", "4.0.1", "LICENSE", f"{STATIC}/htmx.LICENSE.txt"),
        Vendored("axe-core", "4.14.1", "axe.min.js", "tests/e2e/vendor/axe.min.js"),
        Vendored("axe-core", "4.14.1", "LICENSE", "tests/e2e/vendor/axe.LICENSE.txt"),
    )


def plotly_css(script: str) -> str:
    """The rules that plotly.js would inject at run time, which `style-src 'self'` forbids.

    In the bundle they are one object, `{"X,X div": "direction:ltr;…", …}`, where X stands for the
    plot and Y for its notifier.
    """
    start = script.index('{"X,X div":')
    table = script[start : script.index("};for(", start)]
    pairs = re.findall(r"""("(?:[^"\\]|\\.)*"|'[^']*')\s*:\s*("(?:[^"\\]|\\.)*"|'[^']*')""", table)
    rules = (
        f"{_selector(selector[1:-1])} {{{declarations[1:-1]}}}" for selector, declarations in pairs
    )
    return "/* The rules that plotly.js injects; written by scripts/vendor.py. */\n" + "\n".join(
        # plotly.js inserts each rule at the top, so that the last one comes first
        reversed(list(rules))
    )


def _selector(pattern: str) -> str:
    return pattern.replace("X", ".js-plotly-plot .plotly").replace("Y", ".plotly-notifier")


def fetch(package: str, version: str, folder: Path) -> tarfile.TarFile:
    """The package's archive, downloaded by npm."""
    command = ["npm", "pack", f"{package}@{version}", "--silent", "--pack-destination", str(folder)]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
    return tarfile.open(folder / name)


def write(path: str, content: bytes) -> None:
    """Write a vendored file, its folder included."""
    target = ROOT / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def sha256(path: str) -> str:
    """The hash that the lock file holds and the test recomputes."""
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()


def main() -> None:
    """Download, extract, derive Plotly's style sheet, and write the lock file."""
    with tempfile.TemporaryDirectory() as folder:
        for file in wanted():
            with fetch(file.package, file.version, Path(folder)) as archive:
                member = archive.extractfile(f"package/{file.member}")
                if member is None:
                    raise SystemExit(f"{file.package} {file.version} has no {file.member}")
                write(file.path, member.read())
            print(f"{file.package} {file.version}: {file.path}")
    script = (ROOT / STATIC / "plotly-cartesian.min.js").read_text(encoding="utf-8")
    write(PLOTLY_CSS, (plotly_css(script) + "\n").encode())
    entries = [
        {
            "package": file.package,
            "version": file.version,
            "path": file.path,
            "sha256": sha256(file.path),
        }
        for file in wanted()
    ]
    derived = {
        "package": "plotly.js-cartesian-dist-min",
        "version": get_plotlyjs_version(),
        "path": PLOTLY_CSS,
        "sha256": sha256(PLOTLY_CSS),
    }
    LOCK.write_text(json.dumps([*entries, derived], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
