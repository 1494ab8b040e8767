"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SHA256 = sa.LargeBinary(32)


def upgrade() -> None:
    _checks()
    _corrections()
    _jobs()
    _files()
    op.create_table(
        "thumbnails",
        sa.Column("sha256", SHA256, primary_key=True),
        sa.Column("at", NUMBER, nullable=False, index=True),
        sa.Column("webp", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("scopes", TEXT, nullable=False),
        sa.Column("origin", TEXT),
        sa.Column("hash", SHA256, nullable=False, unique=True),
        sa.Column("created", NUMBER, nullable=False),
        sa.Column("last_used", NUMBER),
        sa.Column("revoked", NUMBER),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"PRAGMA application_id={0x616E7466}")


def _checks() -> None:
    op.create_table(
        "checks",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("label", sa.String),
        sa.Column("p_fake", sa.Double),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("prompt", TEXT, nullable=False),
        sa.Column("sha256", SHA256),
        sa.Column("phash", sa.BigInteger),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("format", TEXT),
        sa.Column("path", TEXT),
        sa.Column("page", TEXT),
        sa.Column("name_key", TEXT),
        sa.Column("ms", sa.Double, nullable=False),
        sa.Column("error", TEXT),
        sa.Column("code", TEXT),
    )
    op.create_index("checks_by_picture", "checks", ["sha256", "id"])
    op.create_index("checks_by_label", "checks", ["label", "id"])
    op.create_index("checks_by_source", "checks", ["source", "id"])


def _corrections() -> None:
    op.create_table(
        "corrections",
        sa.Column("seq", NUMBER, primary_key=True),
        sa.Column("sha256", SHA256, nullable=False),
        sa.Column("phash", sa.BigInteger),
        sa.Column("label", sa.String),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("at", NUMBER, nullable=False),
        sa.Column("said_at", NUMBER, nullable=False),
        sa.Column("undoes", NUMBER),
    )
    op.create_index("corrections_by_picture", "corrections", ["sha256", "seq"])
    op.create_table(
        "likenesses",
        sa.Column("key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sha256", SHA256, primary_key=True, index=True),
        sqlite_with_rowid=False,
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("path", TEXT),
        sa.Column("copy", TEXT),
        sa.Column("page", TEXT),
        sa.Column("sha256", SHA256),
        _check_id(),
        sa.Column("error", TEXT),
    )
    op.create_index("jobs_in_turn", "jobs", ["state", "priority", "id"])
    op.create_index("jobs_by_picture", "jobs", ["sha256"])


def _files() -> None:
    op.create_table(
        "files",
        sa.Column("path", TEXT, primary_key=True),
        sa.Column("size", NUMBER, nullable=False),
        sa.Column("mtime_ns", NUMBER, nullable=False),
        sa.Column("identity", TEXT, nullable=False),
        sa.Column("sha256", SHA256),
        _check_id(),
    )
    op.create_index("files_by_picture", "files", ["sha256"])
    op.create_index("files_by_identity", "files", ["identity"])


def _check_id() -> sa.Column[int]:
    return sa.Column(
        "check_id", NUMBER, sa.ForeignKey("checks.id", ondelete="SET NULL"), index=True
    )
