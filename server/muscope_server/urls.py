"""Every path of the application, spelled here and nowhere else in pages and templates."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from itertools import islice
from urllib.parse import quote, urlencode

from muscope import assets
from muscope.vocabulary import Axis, TensorKind
from muscope_server.limits import COMPARED

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


def rates_figure(study_id: str, variant: str, axis: str = "", *, what: str = "lr-transfer") -> str:
    """A learning-rate figure as Plotly JSON: loss over the rates, or `lr-optima` over an axis."""
    query = {"variant": variant} | ({"axis": axis} if axis else {})
    return f"{api_study(study_id)}/figures/{what}?{urlencode(query)}"


def published_figure(preset: str) -> str:
    """The losses that the source of a preset prints, as Plotly JSON."""
    return f"{API}/presets/{quote(preset, safe='')}/figures/published"


def search_figure(study_id: str, variant: str, shown: str) -> str:
    """A figure of a hyperparameter search as Plotly JSON."""
    query = urlencode({"variant": variant, "shown": shown})
    return f"{api_study(study_id)}/figures/search?{query}"


def sets(study_id: str) -> str:
    """Every set of a hyperparameter search at every width as CSV."""
    return f"{api_study(study_id)}/sets.csv"


def measurements(study_id: str) -> str:
    """All measurements as CSV."""
    return f"{api_study(study_id)}/measurements.csv"


def plugin_statistics(study_id: str) -> str:
    """The numbers of plugins' statistics as CSV."""
    return f"{api_study(study_id)}/plugin-statistics.csv"


def losses(study_id: str) -> str:
    """The loss of every run of a learning-rate study as CSV."""
    return f"{api_study(study_id)}/losses.csv"


def slopes(study_id: str) -> str:
    """Every slope of a coordinate check's verdicts as CSV."""
    return f"{api_study(study_id)}/slopes.csv"


def numbers(study_id: str, kind: str) -> str:
    """What a study of a kind has measured, as CSV."""
    named = {"lr_transfer": losses, "hyperparameter_search": sets}
    return named.get(kind, measurements)(study_id)


def runs(study_id: str) -> str:
    """Every run with its end, as JSON; with `.csv` behind it as CSV."""
    return f"{api_study(study_id)}/runs"


def budget(study_id: str) -> str:
    """What every bundle took, as JSON; with `.csv` behind it as CSV."""
    return f"{api_study(study_id)}/budget"


def recipe(study_id: str, **target: str) -> str:
    """The recipe for a target model; `target` is variant, width, depth and format."""
    return f"{api_study(study_id)}/recipe?{urlencode(target)}"


def grid(study_id: str) -> str:
    """Every run with its state and loss, as JSON; with `.csv` behind it as CSV."""
    return f"{api_study(study_id)}/grid"


def run(study_id: str, number: int) -> str:
    """A run in the list of its study."""
    return f"{study(study_id, tab='runs')}#run-{number}"


def report(study_id: str) -> str:
    """The report as one HTML file."""
    return f"{api_study(study_id)}/report.html"


def compare(chosen: Sequence[str] = (), **view: str) -> str:
    """The page on which variants stand beside each other; each is chosen as `STUDY:VARIANT`."""
    return _compared("/compare", chosen, view)


def compare_study(study_id: str, variants: Iterable[str]) -> str:
    """The variants of a study beside each other, the first of them where there are too many."""
    return compare([f"{study_id}:{variant}" for variant in islice(variants, COMPARED)])


def comparison(chosen: Sequence[str], **view: str) -> str:
    """The same as JSON."""
    return _compared(f"{API}/compare", chosen, view)


def comparison_csv(chosen: Sequence[str], name: str, **view: str) -> str:
    """Its table of `variants`, or of `differences`, as CSV."""
    return _compared(f"{API}/compare/{name}.csv", chosen, view)


def comparison_figure(chosen: Sequence[str], name: str, **view: str) -> str:
    """One of its figures as Plotly JSON."""
    return _compared(f"{API}/compare/figures/{name}", chosen, view)


def comparison_events(study_ids: Iterable[str]) -> str:
    """The events of the studies that are compared, in one stream."""
    return f"{API}/compare/events?{urlencode([('study', one) for one in study_ids])}"


def _compared(path: str, chosen: Sequence[str], view: Mapping[str, str]) -> str:
    query = [("with", one) for one in chosen]
    query += [(name, value) for name, value in view.items() if value]
    return path + (f"?{urlencode(query)}" if query else "")


@cache
def static(path: str) -> str:
    """A file of frontend/static; its hash in the query makes a new version a new URL."""
    content = (assets.frontend() / "static" / path).read_bytes()
    return f"/static/{path}?v={sha256(content).hexdigest()[:10]}"
