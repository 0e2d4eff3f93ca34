"""What somebody else's training sends: recordings, and the batches that have arrived."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | Sequence[str] | None = "0005"
branch_labels = None
depends_on = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("study", sa.Column("recording_key", sa.String(length=120), nullable=True))
    op.create_index(op.f("ix_study_recording_key"), "study", ["recording_key"])
    judged = sa.Column("is_judged", sa.Integer(), nullable=False, server_default="1")
    op.add_column("tensor", judged)
    op.create_table(
        "recording",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("study_id", sa.String(length=16), nullable=False),
        sa.Column("run_id", IDENTITY, nullable=False),
        sa.Column("attempt_id", IDENTITY, nullable=False),
        sa.Column("opening_digest", sa.String(length=64), nullable=False),
        sa.Column("closing_digest", sa.String(length=64), nullable=True),
        sa.Column("heard_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_recording_study_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_recording_run_id")),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name=op.f("fk_recording_attempt_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording")),
        sa.UniqueConstraint("attempt_id", name=op.f("uq_recording_attempt_id")),
    )
    op.create_table(
        "recorded_batch",
        sa.Column("recording_id", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recording.id"], name=op.f("fk_recorded_batch_recording_id")
        ),
        sa.PrimaryKeyConstraint("recording_id", "seq", name=op.f("pk_recorded_batch")),
    )
