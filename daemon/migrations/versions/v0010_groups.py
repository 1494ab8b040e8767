"""Groups of near-copies, so that the history shows each as one picture."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

BITS = 64
ALIKE = 4  # bits in which near-copies differ at most
LEAST_DETAIL = 8  # bits that are set, or not, at least: others are too smooth to tell
BAND_BITS = 16  # with the band's own number above them
AT_ONCE = 5_000


def upgrade() -> None:
    op.add_column("checks", sa.Column("group_phash", sa.BigInteger))
    table = op.create_table(
        "group_bands",
        sa.Column("band", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("phash", sa.BigInteger, primary_key=True),
        sqlite_with_rowid=False,
    )
    by_band = _group_the_checks()
    firsts = ({"band": band, "phash": one} for band, some in by_band.items() for one in some)
    while some := list(islice(firsts, AT_ONCE)):
        op.get_bind().execute(table.insert(), some)
    op.create_index("ix_group_bands_phash", "group_bands", ["phash"])
    op.create_index("checks_by_group", "checks", ["group_phash", "id"])


def _group_the_checks() -> dict[int, list[int]]:
    """Returns the hashes that groups began with, by their bands."""
    bind, by_band = op.get_bind(), defaultdict[int, list[int]](list)
    rows = bind.execute(
        sa.text("SELECT id, phash FROM checks WHERE phash IS NOT NULL ORDER BY id")
    ).all()
    found = _grouped(((number, phash) for number, phash in rows), by_band)
    note = sa.text("UPDATE checks SET group_phash = :group WHERE id = :number")
    while some := [{"number": n, "group": group} for n, group in islice(found, AT_ONCE)]:
        bind.execute(note, some)
    return by_band


def _grouped(
    rows: Iterable[tuple[int, int]], by_band: dict[int, list[int]]
) -> Iterator[tuple[int, int]]:
    """Yields ids of checks with their groups, as if the checks were added one after another.

    Hashes are signed, as they are stored; equal ones are the same, however they are read.
    """
    for number, phash in rows:
        bits = f"{phash % 2**BITS:0{BITS}b}"
        if not LEAST_DETAIL <= bits.count("1") <= BITS - LEAST_DETAIL:
            continue
        bands = [n << BAND_BITS | int(bits[n :: ALIKE + 1], 2) for n in range(ALIKE + 1)]
        near = {
            (((phash ^ one) % 2**BITS).bit_count(), one % 2**BITS, one)
            for band in bands
            for one in by_band[band]
        }
        distance, _unsigned, group = min(near, default=(BITS, 0, phash))
        if distance > ALIKE:
            group = phash
            for band in bands:
                by_band[band].append(phash)
        yield number, group
