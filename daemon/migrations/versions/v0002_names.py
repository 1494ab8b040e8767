"""Names of pictures that came as bytes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for table in ("checks", "jobs"):
        op.add_column(table, sa.Column("name", TEXT))
