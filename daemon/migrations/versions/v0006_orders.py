"""The history in the order of certainty, and by model; filters that the user has saved."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    # Not a generated column: Alembic cannot copy a table that has one.
    op.add_column("checks", sa.Column("certainty", sa.Double))
    op.execute("UPDATE checks SET certainty = abs(p_fake - 0.5) WHERE p_fake IS NOT NULL")
    op.create_index("checks_by_certainty", "checks", ["certainty", "id"])
    op.create_index("checks_by_model", "checks", ["model", "id"])
    op.create_table(
        "saved_filters",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("query", TEXT, nullable=False),
        sa.Column("at", NUMBER, nullable=False),
    )
