"""Scores of the parts of a picture. Before, only the middle of each was judged."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("checks", sa.Column("parts", sa.Text))
