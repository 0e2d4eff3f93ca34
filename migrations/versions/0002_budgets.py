"""What a worker's machine does in a second, and what every attempt took."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("worker", sa.Column("machine_json", sa.Text(), nullable=True))
    op.add_column("attempt", sa.Column("threads", sa.Integer(), nullable=True))
    op.add_column("attempt", sa.Column("matmul_precision", sa.String(length=40), nullable=True))
    for name in ("warm_up_s", "train_s", "planned_s", "flops", "ceiling", "fraction"):
        op.add_column("attempt", sa.Column(name, sa.Float(), nullable=True))
    op.add_column("attempt", sa.Column("peak_bytes", sa.BigInteger(), nullable=True))
