"""Attempts say up to which step they left a checkpoint, and where they went on from or why not."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | Sequence[str] | None = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("checkpoint_step", sa.Integer(), nullable=True))
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("attempt", sa.Column("resumed_from", number, nullable=True))
    op.add_column("attempt", sa.Column("resumed_step", sa.Integer(), nullable=True))
    op.add_column("attempt", sa.Column("resume_note", sa.Text(), nullable=True))
