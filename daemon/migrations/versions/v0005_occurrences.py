"""Where known pictures were seen again. Copies that watched folders hold already are added."""

import re
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
RANDOM_BITS = 21  # of a check's number, below its time in milliseconds


def upgrade() -> None:
    occurrences = op.create_table(
        "occurrences",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("at", NUMBER, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("path", TEXT),
        sa.Column("page", TEXT),
        sa.Column("name", TEXT),
    )
    op.create_index("occurrences_by_picture", "occurrences", ["sha256", "at"])
    op.create_index("occurrences_by_path", "occurrences", ["path"])
    copies = _copies()
    if copies:
        op.bulk_insert(occurrences, [seen for _, seen in copies])
    for check, seen in copies:
        _make_findable(check, str(seen["path"]))


def _copies() -> list[tuple[int, dict[str, object]]]:
    """Returns the files in the ledger that a check of another file has answered for.

    None where the check has no path: it is not to be kept, then. When the copy was found is not
    known; it was after the check, and hardly before the file was last changed.
    """
    wanted = sa.text(
        "SELECT c.id, f.path, f.mtime_ns, f.sha256 FROM files f JOIN checks c ON c.id = f.check_id"
        " WHERE c.path IS NOT NULL AND f.path <> c.path AND f.sha256 = c.sha256"
    )
    now = int(datetime.now(UTC).timestamp() * 1000)
    about = {"times": 1, "source": "watch", "page": None, "name": None}
    return [
        (
            check,
            {"sha256": sha256, "at": _between(check >> RANDOM_BITS, mtime_ns, now), "path": path}
            | about,
        )
        for check, path, mtime_ns, sha256 in op.get_bind().execute(wanted)
    ]


def _between(first: int, mtime_ns: int, now: int) -> int:
    return max(first, min(mtime_ns // 1_000_000, now))


def _make_findable(check: int, path: str) -> None:
    """Adds the name of a copy to those that searches look in."""
    name = re.split(r"[\\/]" if "\\" in path else "/", path)[-1].casefold()
    bind = op.get_bind()
    old = bind.execute(
        sa.text("SELECT name_key FROM checks WHERE id = :id"), {"id": check}
    ).scalar()
    keys = dict.fromkeys([*(old or "").split("\n"), name])
    new = sa.text("UPDATE checks SET name_key = :key WHERE id = :id")
    bind.execute(new, {"key": "\n".join(filter(None, keys)), "id": check})
