"""The JSON API: every page has its twin here."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from muscope import budget
from muscope.extension import Addition
from muscope.recorded import RecordedSpec
from muscope.spec import StudySpec
from muscope.storage import budgets, studies, verdicts
from muscope.storage.studies import StudyRow
from muscope.verdicts.joined.judge import join
from muscope.verdicts.transfer import power
from muscope_server import estimates, json_body, schemas
from muscope_server.deps import DatabaseDep, DoorbellDep, SettingsDep, StudyIdDep, study_of
from muscope_server.limits import PAGE_ROWS
from muscope_server.parameters import WholeNumber, refuse_unknown
from muscope_server.services import extending, offering, spec_reading, submission

router = APIRouter(prefix="/api/v1", dependencies=[Depends(refuse_unknown)])

_SPEC_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": StudySpec.model_json_schema()}},
    }
}

_ADDITION_BODY: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {"application/json": {"schema": Addition.model_json_schema()}},
    }
}


async def _body(request: Request) -> bytes:
    """The bytes only: parsing a megabyte would hold up everyone else in the event loop."""
    json_body.check_type(request)
    return await request.body()


async def _optional_body(request: Request) -> bytes:
    body = await request.body()
    if body:
        json_body.check_type(request)
    return body


BodyDep = Annotated[bytes, Depends(_body)]
OptionalBodyDep = Annotated[bytes, Depends(_optional_body)]


@router.get("/health")
async def health() -> schemas.Health:
    """Whether the server answers; needs no token."""
    return schemas.Health()


@router.get("/catalogue", dependencies=[Depends(offering.refresh)])
def read_catalogue() -> schemas.Catalogue:
    """Everything that a spec can choose from."""
    return schemas.Catalogue.now()


@router.post("/plans", openapi_extra=_SPEC_BODY, dependencies=[Depends(offering.refresh)])
def plan_study(body: BodyDep, database: DatabaseDep, settings: SettingsDep) -> schemas.PlanView:
    """What a study would cost; nothing is stored."""
    spec = spec_reading.read(body)
    planned = submission.plan_within_limits(database, settings, spec)
    estimate = estimates.estimate(database, planned)
    return schemas.PlanView.of(planned, estimate, power.sentence(spec))


@router.post(
    "/studies",
    status_code=201,
    openapi_extra=_SPEC_BODY,
    dependencies=[Depends(offering.refresh)],
)
def create_study(
    response: Response,
    body: BodyDep,
    *,
    database: DatabaseDep,
    doorbell: DoorbellDep,
    settings: SettingsDep,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> schemas.Created:
    """Submit a study; with the same Idempotency-Key and spec, the same study again (200)."""
    spec = spec_reading.read(body)
    study_id, created = submission.submit(database, doorbell, settings, spec, idempotency_key)
    response.status_code = 201 if created else 200
    response.headers["Location"] = f"/api/v1/studies/{study_id}"
    return schemas.Created(
        id=study_id, url=f"/studies/{study_id}", api_url=f"/api/v1/studies/{study_id}"
    )


@router.get("/studies")
def list_studies(
    database: DatabaseDep,
    limit: Annotated[WholeNumber, Query(ge=1, le=PAGE_ROWS)] = PAGE_ROWS,
    offset: Annotated[WholeNumber, Query(ge=0, le=2**31 - 1)] = 0,
) -> schemas.StudyList:
    """Studies, newest first, with their verdicts in a word."""
    with database.read() as conn:
        rows = studies.page(conn, limit=limit, offset=offset)
        found = verdicts.of_studies(conn, [row.id for row in rows])
        total = studies.count(conn)
    listed = tuple(schemas.ListedStudy.of(row, found.get(row.id, [])) for row in rows)
    return schemas.StudyList(studies=listed, total=total, limit=limit, offset=offset)


@router.get("/studies/{study_id}")
def read_study(study_id: StudyIdDep, database: DatabaseDep) -> schemas.FullStudy:
    """One study with its spec and how far it is."""
    with database.read() as conn:
        return _full(study_of(conn, study_id))


@router.get("/studies/{study_id}/runs")
def read_runs(study_id: StudyIdDep, database: DatabaseDep) -> schemas.RunList:
    """Every run of a study: where it stands, how long it took, why it failed."""
    with database.read() as conn:
        study_of(conn, study_id)
        rows = studies.runs(conn, study_id)
    return schemas.RunList(runs=tuple(map(schemas.RunView.model_validate, rows)))


@router.get("/studies/{study_id}/budget")
def read_budget(study_id: StudyIdDep, database: DatabaseDep) -> schemas.StudyBudget:
    """What a study took, bundle by bundle: FLOPs, time, peak memory, fraction of the ceiling."""
    with database.read() as conn:
        study_of(conn, study_id)
        rows = budgets.of_study(conn, study_id)
    total = budget.total([row.budget for row in rows if row.budget and not row.reused])
    return schemas.StudyBudget(
        total=total and schemas.BudgetView.of(total),
        bundles=tuple(map(schemas.BundleBudgetView.of, rows)),
    )


@router.get("/studies/{study_id}/verdicts")
def read_verdicts(study_id: StudyIdDep, database: DatabaseDep) -> schemas.VerdictList:
    """The verdicts of a study, cell by cell."""
    with database.read() as conn:
        study = study_of(conn, study_id)
        found = tuple(verdicts.of_study(conn, study_id))
        transfers = tuple(verdicts.of_transfer(conn, study_id))
        searches = tuple(verdicts.of_search(conn, study_id))
    sentences = {verdict.variant: verdict.sentence() for verdict in found}
    sentences |= {verdict.variant: verdict.sentence() for verdict in transfers}
    sentences |= {verdict.variant: verdict.sentence() for verdict in searches}
    joined = () if isinstance(study.spec, RecordedSpec) else join(study.spec, found, transfers)
    if found:  # a variant has two verdicts
        sentences |= {one.variant: one.sentence for one in joined}
    return schemas.VerdictList(
        verdicts=found,
        transfers=transfers,
        searches=searches,
        joined=joined,
        sentences=sentences,
    )


@router.post("/studies/{study_id}/cancel")
def cancel_study(study_id: StudyIdDep, database: DatabaseDep) -> schemas.FullStudy:
    """Cancel a study; its rows so far are kept."""
    return _full(submission.cancel(database, study_id))


@router.post(
    "/studies/{study_id}/extend",
    status_code=201,
    openapi_extra=_ADDITION_BODY,
    dependencies=[Depends(offering.refresh)],
)
def extend_study(
    study_id: StudyIdDep,
    response: Response,
    body: OptionalBodyDep,
    *,
    database: DatabaseDep,
    doorbell: DoorbellDep,
    settings: SettingsDep,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> schemas.Extension:
    """Submit a study that adds to this one: what the body says, or what its verdict advises.

    Runs of this study that need no training are reused. `seeds` counts all of them.
    """
    addition = extending.read(body)
    new_id, created = extending.extend(
        database, doorbell, settings, study_id, addition=addition, key=idempotency_key
    )
    response.status_code = 201 if created else 200
    response.headers["Location"] = f"/api/v1/studies/{new_id}"
    with database.read() as conn:
        row, said = study_of(conn, new_id), studies.creation(conn, new_id)
    return schemas.Extension.of(row, said)


def _full(row: StudyRow) -> schemas.FullStudy:
    return schemas.FullStudy.model_validate(row)
