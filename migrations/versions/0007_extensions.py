"""Runs that a study reuses from the one that it extends, and the study that it extends."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | Sequence[str] | None = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    source = sa.ForeignKey("run.id", name="fk_run_reuses")
    op.add_column("run", sa.Column("reuses", kind, source), inline_references=True)
    op.create_index("ix_run_reuses", "run", ["reuses"])
    op.create_index("ix_study_extends", "study", ["extends"])
