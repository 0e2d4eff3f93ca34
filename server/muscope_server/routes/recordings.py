"""Where recorders send what they measure: begin, batches, finish. Each may be sent again."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel

from muscope.ingest import Batch, Closing, Opening
from muscope_server import json_body, schemas, urls
from muscope_server.deps import DatabaseDep, DoorbellDep, SettingsDep
from muscope_server.pace import Pace
from muscope_server.parameters import refuse_unknown
from muscope_server.services import recording

router = APIRouter(prefix="/api/v1/recordings", dependencies=[Depends(refuse_unknown)])


def _shape(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


async def _body(request: Request) -> bytes:
    """The bytes only, and not too many of them a second from all recorders together."""
    pace: Pace = request.app.state.pace
    pace.check()
    json_body.check_type(request)
    return await request.body()


BodyDep = Annotated[bytes, Depends(_body)]
RecordingDep = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


@router.post("", status_code=201, openapi_extra=_shape(Opening))
def begin_recording(
    response: Response, body: BodyDep, *, database: DatabaseDep, settings: SettingsDep
) -> schemas.Recorded:
    """Begin a recording; the same again is the same recording (200)."""
    begun = recording.begin(database, settings, body)
    response.status_code = 200 if begun.was_known else 201
    return schemas.Recorded.of(begun, urls.study(begun.study_id))


@router.post("/{recording_id}/batches", status_code=201, openapi_extra=_shape(Batch))
def add_batch(
    response: Response, recording_id: RecordingDep, body: BodyDep, *, database: DatabaseDep
) -> schemas.Recorded:
    """Store a batch of measurements once; the same again changes nothing (200)."""
    added = recording.add(database, recording_id, body)
    response.status_code = 200 if added.was_known else 201
    return schemas.Recorded.of(added, urls.study(added.study_id))


@router.post("/{recording_id}/finish", openapi_extra=_shape(Closing))
def finish_recording(
    recording_id: RecordingDep, body: BodyDep, database: DatabaseDep, doorbell: DoorbellDep
) -> schemas.Recorded:
    """End a recording after its batches and rows were counted; a worker judges its study."""
    ended = recording.finish(database, doorbell, recording_id, body)
    return schemas.Recorded.of(ended, urls.study(ended.study_id))
