"""Who may do what: one line per route and method. A route without a line fails a test (P13)."""

from enum import StrEnum


class Right(StrEnum):
    """What a request needs. The one token of this version has every right but needs to be shown."""

    PUBLIC = "public"
    VIEW = "view"
    SUBMIT = "submit"
    INGEST = "ingest"


STATIC = "/static"

ROUTES: dict[tuple[str, str], Right] = {
    ("GET", "/api/v1/health"): Right.PUBLIC,
    ("GET", "/login"): Right.PUBLIC,
    ("POST", "/login"): Right.PUBLIC,
    ("GET", "/api/v1/openapi.json"): Right.VIEW,
    ("GET", "/api/v1/catalogue"): Right.VIEW,
    ("GET", "/api/v1/plugins"): Right.VIEW,
    ("GET", "/api/v1/presets"): Right.VIEW,
    ("GET", "/api/v1/presets/{name}"): Right.VIEW,
    ("GET", "/api/v1/presets/{name}/figures/published"): Right.VIEW,
    ("POST", "/api/v1/plans"): Right.VIEW,
    ("GET", "/api/v1/studies"): Right.VIEW,
    ("POST", "/api/v1/studies"): Right.SUBMIT,
    ("GET", "/api/v1/studies/{study_id}"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/runs"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/runs.csv"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/verdicts"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/budget"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/budget.csv"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/grid"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/grid.csv"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/events"): Right.VIEW,
    ("POST", "/api/v1/studies/{study_id}/cancel"): Right.SUBMIT,
    ("POST", "/api/v1/studies/{study_id}/extend"): Right.SUBMIT,
    ("POST", "/api/v1/recordings"): Right.INGEST,
    ("POST", "/api/v1/recordings/{recording_id}/batches"): Right.INGEST,
    ("POST", "/api/v1/recordings/{recording_id}/finish"): Right.INGEST,
    ("GET", "/api/v1/studies/{study_id}/figures/coordinate-check"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/figures/lr-transfer"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/figures/lr-optima"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/figures/search"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/losses.csv"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/sets.csv"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/measurements.csv"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/plugin-statistics.csv"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/recipe"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/report.html"): Right.VIEW,
    ("GET", "/api/v1/studies/{study_id}/slopes.csv"): Right.VIEW,
    ("GET", "/"): Right.VIEW,
    ("GET", "/studies/new"): Right.VIEW,
    ("POST", "/studies/new"): Right.SUBMIT,
    ("POST", "/studies/plan"): Right.VIEW,
    ("GET", "/studies/{study_id}"): Right.VIEW,
    ("POST", "/studies/{study_id}/cancel"): Right.SUBMIT,
    ("POST", "/studies/{study_id}/extend"): Right.SUBMIT,
    ("GET", "/compare"): Right.VIEW,
    ("GET", "/api/v1/compare"): Right.VIEW,
    ("GET", "/api/v1/compare/variants.csv"): Right.VIEW,
    ("GET", "/api/v1/compare/differences.csv"): Right.VIEW,
    ("GET", "/api/v1/compare/figures/{name}"): Right.VIEW,
    ("GET", "/api/v1/compare/events"): Right.VIEW,
    ("GET", "/workers"): Right.VIEW,
    ("GET", "/help"): Right.VIEW,
}

_PUBLIC = {route for route, right in ROUTES.items() if right is Right.PUBLIC}


def is_public(method: str, path: str) -> bool:
    """Whether a request needs no token: the health check, the way in, and the page's own files."""
    if method == "GET" and path.startswith(f"{STATIC}/"):
        return True
    return (method, path) in _PUBLIC
