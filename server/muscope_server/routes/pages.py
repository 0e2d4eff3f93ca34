"""The pages: parse the request, read once, hand a context to a template."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from muscope.extension import Addition
from muscope.presets import demo
from muscope.recorded import RecordedSpec
from muscope.reports.html import spec_yaml
from muscope.reports.slope_table import Order
from muscope.settings import Settings
from muscope.spec import StudySpec, digest
from muscope.storage import attempts, plugins, studies, verdicts, workers
from muscope.storage.database import Database
from muscope.theory.expected import TOLERANCE
from muscope.vocabulary import Axis, Statistic, TensorKind
from muscope_server import (
    estimates,
    experiments,
    forms,
    offers,
    recipe_page,
    templates,
    urls,
)
from muscope_server.contexts import (
    HelpContext,
    NewStudyContext,
    PlanContext,
    RecipeTarget,
    StudiesContext,
    WorkerLine,
    WorkersContext,
)
from muscope_server.deps import (
    DatabaseDep,
    DoorbellDep,
    SettingsDep,
    StudyIdDep,
    get_study_id,
    study_of,
)
from muscope_server.errors import Refusal, not_found
from muscope_server.forms import Form, FormErrors
from muscope_server.limits import PAGE_ROWS
from muscope_server.services import extending, offering, submission
from muscope_server.study_page import asked, header, page
from muscope_server.study_page.line import line
from muscope_server.study_page.view import PARTS, TABS, View

router = APIRouter(include_in_schema=False)

OFFERING = ("verdict", "lr-transfer")
"""The tabs that say what would decide a study."""


async def _typed(request: Request) -> dict[str, str]:
    """The fields as text; a file in place of a field counts as its absence."""
    async with request.form(max_files=0, max_fields=2_000) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


TypedDep = Annotated[dict[str, str], Depends(_typed)]


@router.get("/")
def studies_page(request: Request, database: DatabaseDep, settings: SettingsDep) -> Response:
    """All studies, newest first, or the offer of the demo and of published experiments."""
    with database.read() as conn:
        rows = studies.page(conn, limit=PAGE_ROWS)
        found = verdicts.of_studies(conn, [row.id for row in rows])
        total = studies.count(conn)
    lines = [line(row, found.get(row.id, [])) for row in rows]
    context = StudiesContext(
        studies=lines,
        total=total,
        demo_runs=demo.demo().run_count,
        experiments=() if lines else experiments.offers(database, settings),
        key=secrets.token_urlsafe(12),
    )
    return templates.render(request, "studies.html", context)


@router.get("/studies/new", dependencies=[Depends(offering.refresh)])
def new_study_page(
    request: Request,
    *,
    database: DatabaseDep,
    settings: SettingsDep,
    clone: str = "",
    extend: str = "",
    preset: str = "",
    size: str = experiments.OFFERED_SIZE,
    study: int = 1,
) -> Response:
    """The form, filled in with defaults, from the study `clone`, or from what adds to `extend`.

    Or from the `study` of that number of a `preset` of that `size`.
    """
    form, experiment = forms.blank(), None
    if preset:
        spec, experiment = experiments.study(preset, size, study)
        form = forms.filled(spec)
    if extend:
        form = _extension_form(database, get_study_id(extend))
    if clone:
        with database.read() as conn:
            row = study_of(conn, get_study_id(clone))
        if isinstance(row.spec, RecordedSpec):
            raise not_found("study that can be cloned")
        form = forms.filled(row.spec.model_copy(update={"extends": None}))
    context = _form_context(form, _planned(form, database, settings))
    context = replace(context, experiments=experiments.links(database), experiment=experiment)
    return templates.render(request, "new_study.html", context)


@router.post("/studies/new", dependencies=[Depends(offering.refresh)])
def create_study(
    request: Request,
    *,
    values: TypedDep,
    database: DatabaseDep,
    doorbell: DoorbellDep,
    settings: SettingsDep,
) -> Response:
    """Submit what was typed, or show it again with what is wrong beside it."""
    try:
        specs = experiments.asked(values)
    except FormErrors as error:
        return _refused(request, database, Form(values, error.errors))
    try:
        for spec in specs[1:]:  # all of a preset or nothing
            submission.plan_within_limits(database, settings, spec)
        ids = [
            submission.submit(database, doorbell, settings, spec, _idempotency_key(values, spec))[0]
            for spec in specs
        ]
    except Refusal as refusal:
        # a button on the home page had no fields: they are those of the study that it names
        typed = forms.filled(specs[0]).values if values.get("preset") else values
        page = _refused(request, database, Form(typed, {"": refusal.message}), refusal.status)
        page.headers.update(refusal.headers)
        return page
    return RedirectResponse(urls.study(ids[0]) if len(ids) == 1 else urls.studies, status_code=303)


@router.post("/studies/plan", dependencies=[Depends(offering.refresh)])
def plan_study(
    request: Request, values: TypedDep, database: DatabaseDep, settings: SettingsDep
) -> Response:
    """What the form would cost: the panel for the live form, the whole page without scripts."""
    form = Form(values)
    planned = _planned(form, database, settings)
    if "hx-request" in request.headers:
        return templates.render(request, "_plan.html", planned)
    context = replace(_form_context(form, planned), experiments=experiments.links(database))
    return templates.render(request, "new_study.html", context)


@router.get("/studies/{study_id}")
def study(
    request: Request,
    *,
    study_id: StudyIdDep,
    database: DatabaseDep,
    settings: SettingsDep,
    tab: str = "verdict",
    part: str = "",
    kind: TensorKind = TensorKind.ACTIVATION,
    statistic: Statistic = asked.FIRST[0],
    tensor: Annotated[str, Query(max_length=200)] = "",
    axis: Axis = Axis.WIDTH,
    order: Order = "model",
    variant: Annotated[str, Query(max_length=200)] = "",
    width: Annotated[str, Query(max_length=40)] = "",
    depth: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """A study's page, or the `part` of it that the live view fetches again."""
    known = {name for tabs in TABS.values() for name in tabs}
    if tab not in known or part not in PARTS:
        raise not_found("page")
    shown = PARTS[part]
    view = View(shown.tab or tab, statistic, tensor, kind, axis, order)
    with database.read() as conn:
        row = study_of(conn, study_id)
        context = page.context(conn, row, view.of(row))
        if context.tab == "recipe":
            wanted = RecipeTarget(variant, width, depth)
            context = replace(context, recipe=recipe_page.context(conn, row, wanted))
    if context.tab in OFFERING:
        context = replace(context, offer=offers.offer(database, settings, row))
    return templates.render(request, shown.template, context)


@router.post("/studies/{study_id}/extend", dependencies=[Depends(offering.refresh)])
def extend_study(
    study_id: StudyIdDep,
    *,
    values: TypedDep,
    database: DatabaseDep,
    doorbell: DoorbellDep,
    settings: SettingsDep,
) -> Response:
    """Add to a study what its page offered, and go to the study that does; once per offer."""
    addition = extending.read(values.get("addition", "").encode())
    new_id, _ = extending.extend(
        database, doorbell, settings, study_id, addition=addition, key=values.get("key")
    )
    return RedirectResponse(urls.study(new_id), status_code=303)


@router.post("/studies/{study_id}/cancel")
def cancel_study(study_id: StudyIdDep, database: DatabaseDep) -> Response:
    """Cancel, and go back to the study."""
    submission.cancel(database, study_id)
    return RedirectResponse(urls.study(study_id), status_code=303)


@router.get("/workers")
def workers_page(request: Request, database: DatabaseDep) -> Response:
    """Who can train, what each does, how much waits."""
    with database.read() as conn:
        rows = workers.all_workers(conn)
        alive = {row.id for row in workers.alive(conn, within_s=workers.ALIVE_S)}
        busy = {bundle.worker_id: bundle for bundle in attempts.running(conn)}
        positions = {name: header.position(conn, bundle) for name, bundle in busy.items()}
        waiting = attempts.waiting(conn)
    lines = [
        WorkerLine(
            row=row,
            alive=row.id in alive,
            bundle=busy.get(row.id),
            position=positions.get(row.id, ""),
            plugins=[one.name for one in plugins.of_worker(row)],
            refused=plugins.refused_by(row),
        )
        for row in sorted(rows, key=lambda row: row.id not in alive)
    ]
    context = WorkersContext(workers=lines, queued_bundles=waiting, running_bundles=len(busy))
    return templates.render(request, "workers.html", context)


@router.get("/help")
def help_page(request: Request) -> Response:
    """What the words mean, on one screen."""
    return templates.render(request, "help.html", HelpContext(tolerance=TOLERANCE))


def _extension_form(database: Database, study_id: str) -> Form:
    """A study with what its verdict advises; with nothing more, where it advises nothing."""
    with database.read() as conn:
        row = study_of(conn, study_id)
        is_advised = isinstance(row.spec, StudySpec) and extending.advice(conn, study_id, row.spec)
    if not is_advised:
        return forms.filled(extending.blank(database, study_id))
    wanted = extending.extended(database, study_id, Addition())
    return replace(forms.filled(wanted.spec), changed=frozenset(wanted.changed))


def _idempotency_key(values: Mapping[str, str], spec: StudySpec) -> str | None:
    """Two clicks on one form make one study; the same form with another spec makes another."""
    if "key" not in values:
        return None
    return "form-" + sha256(f"{values['key']} {digest(spec)}".encode()).hexdigest()[:32]


def _refused(request: Request, database: Database, form: Form, status: int = 422) -> Response:
    """The form as it was typed, with its errors."""
    context = _form_context(form, PlanContext(None, "", "", (), ()))
    context = replace(context, experiments=experiments.links(database))
    return templates.render(request, "new_study.html", context, status=status)


def _problems(form: Form) -> list[str]:
    """Errors for the plan's panel, each with the name of its field."""
    return [f"{problem.title}: {problem.message}" for problem in form.problems]


def _planned(form: Form, database: Database, settings: Settings) -> PlanContext:
    """The plan of a form, or what stands in its way."""
    try:
        spec = forms.parse(form.values)
        planned = submission.plan_within_limits(database, settings, spec)
    except FormErrors as error:
        return PlanContext(None, "", "", _problems(Form(form.values, error.errors)), ())
    except Refusal as refusal:
        return PlanContext(None, "", "", [refusal.message], ())
    time = estimates.estimate(database, planned, spec).words
    return PlanContext(planned, time, spec_yaml(spec), (), forms.hints(spec))


def _form_context(form: Form, planned: PlanContext) -> NewStudyContext:
    return NewStudyContext(
        form=form,
        plan=planned.plan,
        time=planned.time,
        spec_yaml=planned.spec_yaml,
        problems=planned.problems,
        hints=planned.hints,
        key=secrets.token_urlsafe(12),
    )
