"""Bundles that are split when memory runs out, and how often."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | Sequence[str] | None = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("memory_splits", sa.Integer(), nullable=False, server_default="0")
    op.add_column("bundle", column)
