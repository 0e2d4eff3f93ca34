"""What a run records, and the kind of a verdict: a study may have both kinds of a variant."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | Sequence[str] | None = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("record", sa.String(16), nullable=True))
    op.add_column("verdict", sa.Column("kind", sa.String(40), nullable=True))
    op.execute(
        "UPDATE verdict SET kind = (SELECT kind FROM study WHERE study.id = verdict.study_id)"
    )
    with op.batch_alter_table("verdict") as table:
        table.alter_column("kind", existing_type=sa.String(40), nullable=False)
        table.drop_constraint("pk_verdict", type_="primary")
        table.create_primary_key("pk_verdict", ["study_id", "variant", "kind"])
