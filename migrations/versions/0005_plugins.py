"""What plugins said of themselves, for every study made with one, and what they measured."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | Sequence[str] | None = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plugin",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("key", sa.String(length=12), nullable=False),
        sa.Column("description_json", sa.Text(), nullable=False),
        sa.Column("first_used_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_plugin")),
    )
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    table = "plugin_measurement"
    op.create_table(
        table,
        sa.Column("run_id", number, nullable=False),
        sa.Column("attempt_id", number, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("tensor_id", number, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("statistic", sa.String(length=120), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("nonfinite", sa.Integer(), server_default="0", nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [f"{of}_id"], [f"{of}.id"], name=op.f(f"fk_plugin_measurement_{of}_id")
            )
            for of in ("run", "attempt", "tensor")
        ),
        sa.PrimaryKeyConstraint(
            "run_id", "attempt_id", "step", "tensor_id", "kind", "statistic",
            name=op.f("pk_plugin_measurement"),
        ),
        sqlite_with_rowid=False,
    )  # fmt: skip
