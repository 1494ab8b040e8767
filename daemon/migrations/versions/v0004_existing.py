"""What watched folders held before they were watched: it is checked only on request."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("files", sa.Column("waits_in", TEXT))
    op.create_index("files_that_wait", "files", ["waits_in", "path"])
    existing = op.create_table(
        "existing",
        sa.Column("folder", TEXT, primary_key=True),
        sa.Column("at", NUMBER, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("wish", sa.String, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("others", sa.Integer, nullable=False),
    )
    files = op.get_bind().execute(sa.text("SELECT 1 FROM files LIMIT 1")).first()
    if files is not None:
        # The settings are not known here. This row stands for all folders that they name.
        older = {"folder": "", "at": 0, "state": "done", "wish": "done", "total": 0, "others": 0}
        op.bulk_insert(existing, [older])
