"""What a person should know of what was judged of a picture, such as that rows are missing."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("checks", sa.Column("note", sa.Text))
