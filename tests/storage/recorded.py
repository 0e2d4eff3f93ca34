"""Recordings as a recorder sends them, of a network whose sizes follow a formula."""

import uuid

from muscope import ingest
from muscope.ingest import Batch, Closing, Loss, Opening, Row, TensorLine
from muscope.recorded import RecordedVariant
from muscope.storage import recordings
from muscope.storage.database import Database
from muscope.vocabulary import Role, Statistic

TENSORS = (
    TensorLine(name="embed", role=Role.EMBEDDING),
    TensorLine(name="hidden", role=Role.HIDDEN),
)


def opening(
    *, width: int = 64, seed: int = 0, key: str = "my run", label: str = "mine", name: str = ""
) -> Opening:
    """A recording that begins; its id follows from where it is, unless it has a name."""
    place = f"{key} {label} {width} {seed} {name}"
    return Opening(
        recording=uuid.uuid5(uuid.NAMESPACE_OID, place).hex,
        study="my run",
        key=key,
        variant=RecordedVariant(label=label),
        width=width,
        depth=0,
        seed=seed,
        environment={"host": "here"},
    )


def batch(seq: int, *, width: int = 64, growth: float = 0.0, last: float | None = None) -> Batch:
    """Step `seq` of every tensor; hidden sizes grow like width to the power of `growth`."""
    size = (width / 64) ** growth
    values = [1.0, size if last is None else last]
    rows = tuple(
        Row(step=seq, tensor=place, values={Statistic.L1: value, Statistic.RMS: 1.25 * value})
        for place, value in enumerate(values)
    )
    return Batch(seq=seq, tensors=TENSORS, rows=rows, losses=(Loss(step=seq, train=2.0),))


def begin(db: Database, what: Opening) -> recordings.Recording:
    """Begin a recording."""
    with db.write() as conn:
        return recordings.begin(conn, what)


def add(db: Database, what: Opening, sent: Batch) -> recordings.Recording:
    """Send a batch of a recording."""
    with db.write() as conn:
        digest = ingest.digest(sent.model_dump_json().encode())
        return recordings.add(conn, what.recording, sent, body_digest=digest)


def close(db: Database, what: Opening, batches: int, **how: str) -> recordings.Recording:
    """Close a recording of so many batches."""
    closing = Closing(batches=batches, rows=batches * len(TENSORS), **how)
    with db.write() as conn:
        return recordings.close(conn, what.recording, closing)


def whole(db: Database, what: Opening, *, batches: int = 3, growth: float = 0.0) -> str:
    """A recording from its beginning to its end; gives the study."""
    study_id = begin(db, what).study_id
    for seq in range(batches):
        add(db, what, batch(seq, width=what.width, growth=growth))
    close(db, what, batches)
    return study_id
