"""Every path of the application, spelled here and nowhere else in pages and templates."""

from functools import cache
from hashlib import sha256
from urllib.parse import quote, urlencode

from muscope import assets
from muscope.vocabulary import Axis, TensorKind

API = "/api/v1"

studies = "/"
new_study = "/studies/new"
plan = "/studies/plan"
workers = "/workers"
help = "/help"
login = "/login"
health = f"{API}/health"


def clone(study_id: str) -> str:
    """The form, filled in from a study."""
    return f"{new_study}?{urlencode({'clone': study_id})}"


def from_preset(name: str, size: str, number: int = 1) -> str:
    """The form, filled in from a study of a preset."""
    chosen = {"preset": name, "size": size} | ({"study": str(number)} if number > 1 else {})
    return f"{new_study}?{urlencode(chosen)}"


def study(study_id: str, **view: str) -> str:
    """A study's page; `view` is its tab, statistic and selection, so that a link keeps them."""
    query = urlencode({name: value for name, value in view.items() if value})
    return f"/studies/{quote(study_id, safe='')}" + (f"?{query}" if query else "")


def part(study_id: str, name: str, **view: str) -> str:
    """A part of a study's page, which the live view fetches again."""
    return study(study_id, part=name, **view)


def cancel(study_id: str) -> str:
    """Where the cancel button posts."""
    return f"/studies/{quote(study_id, safe='')}/cancel"


def extend(study_id: str) -> str:
    """Where the button that adds what is missing posts."""
    return f"/studies/{quote(study_id, safe='')}/extend"


def extension(study_id: str) -> str:
    """The form, filled in from a study and what would decide it."""
    return f"{new_study}?{urlencode({'extend': study_id})}"


def api_study(study_id: str) -> str:
    """A study as JSON."""
    return f"{API}/studies/{quote(study_id, safe='')}"


def events(study_id: str) -> str:
    """A study's event stream."""
    return f"{api_study(study_id)}/events"


def shown(
    kind: str, statistic: str, tensor: str = "", axis: str = "", order: str = ""
) -> dict[str, str]:
    """The part of a view that says what is shown; what a page opens with goes without saying."""
    return {
        "kind": "" if kind == TensorKind.ACTIVATION else kind,
        "statistic": statistic,
        "tensor": tensor,
        "axis": "" if axis == Axis.WIDTH else axis,
        "order": "" if order == "model" else order,
    }


def figure(study_id: str, **view: str) -> str:
    """A coordinate-check figure as Plotly JSON."""
    query = urlencode({name: value for name, value in view.items() if value})
    return f"{api_study(study_id)}/figures/coordinate-check?{query}"


def rates_figure(study_id: str, variant: str) -> str:
    """A learning-rate figure as Plotly JSON."""
    return f"{api_study(study_id)}/figures/lr-transfer?{urlencode({'variant': variant})}"


def measurements(study_id: str) -> str:
    """All measurements as CSV."""
    return f"{api_study(study_id)}/measurements.csv"


def plugin_statistics(study_id: str) -> str:
    """The numbers of plugins' statistics as CSV."""
    return f"{api_study(study_id)}/plugin-statistics.csv"


def losses(study_id: str) -> str:
    """The loss of every run of a learning-rate study as CSV."""
    return f"{api_study(study_id)}/losses.csv"


def budget(study_id: str) -> str:
    """What every bundle took, as JSON; with `.csv` behind it as CSV."""
    return f"{api_study(study_id)}/budget"


def report(study_id: str) -> str:
    """The report as one HTML file."""
    return f"{api_study(study_id)}/report.html"


@cache
def static(path: str) -> str:
    """A file of frontend/static; its hash in the query makes a new version a new URL."""
    content = (assets.frontend() / "static" / path).read_bytes()
    return f"/static/{path}?v={sha256(content).hexdigest()[:10]}"
