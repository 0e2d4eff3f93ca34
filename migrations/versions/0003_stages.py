"""Studies that go on in stages, and runs at several learning rates."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | Sequence[str] | None = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("study", sa.Column("stage", sa.Integer(), nullable=True))
    for name, kind in (("octave", sa.Float()), ("stage", sa.Integer())):
        op.add_column("run", sa.Column(name, kind, nullable=False, server_default="0"))
