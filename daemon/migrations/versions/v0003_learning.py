"""What learning from corrections needs: kept crops, trainings, and the review queue."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SHA256 = sa.LargeBinary(32)


def upgrade() -> None:
    op.create_table(
        "crops",
        sa.Column("sha256", SHA256, primary_key=True),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("at", NUMBER, nullable=False, index=True),
    )
    op.create_table(
        "trainings",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("trigger", sa.String, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("words", SHA256, nullable=False),
        sa.Column("at", NUMBER, nullable=False),
        sa.Column("ended", NUMBER),
        sa.Column("reason", TEXT),
        sa.Column("report", sa.Text),
        sa.Column("candidate", TEXT),
        sa.Column("promoted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "reviews",
        sa.Column("sha256", SHA256, primary_key=True),
        sa.Column("skipped", NUMBER, nullable=False, index=True),
    )
