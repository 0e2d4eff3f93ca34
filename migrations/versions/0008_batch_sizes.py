"""The batch size of every run: a study may ask for several."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | Sequence[str] | None = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("batch_size", sa.Integer(), nullable=True))
