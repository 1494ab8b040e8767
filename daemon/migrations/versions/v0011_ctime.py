"""The ctime of each file in the ledger. NULL: the file was noted before this was kept."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("files", sa.Column("ctime_ns", NUMBER))
