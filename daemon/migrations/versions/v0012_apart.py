"""Jobs and ledger may be in another database than their checks, so no foreign key leads there."""

from alembic import op

revision = "0012"
down_revision = "0011"

NAMES = {"fk": "%(table_name)s_%(column_0_name)s_fkey"}  # as PostgreSQL names them


def upgrade() -> None:
    for table in ("jobs", "files"):
        with op.batch_alter_table(table, naming_convention=NAMES) as batch:
            batch.drop_constraint(f"{table}_check_id_fkey", type_="foreignkey")
