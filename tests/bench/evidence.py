"""Measures what it takes to read what files say of themselves, without a model."""

import tempfile
from pathlib import Path

from antifake.core.evidence.provenance import ProvenanceReader
from antifake.core.evidence.reading import read_marks
from tests.kit.signing import Authority

from .measure import by_turns, process, row


def measure(path: Path) -> None:
    """Measures the cold command, and both tracks for a JPEG that is signed."""
    signed = Authority().signed(path.read_bytes(), "jpg")
    with tempfile.TemporaryDirectory() as folder, ProvenanceReader() as reader:
        copy = Path(folder) / "signed.jpg"
        copy.write_bytes(signed)
        for what, one in (("a picture", path), ("a signed picture", copy)):
            cold, bare = by_turns(
                process("-m", "antifake.daemon", "evidence", str(one)),
                process("-c", "pass"),
                runs=7,
            )
            row(f"cold `antifake evidence`, {what}", cold, "bare Python", bare)
        marks = read_marks(signed)
        reader.read(marks, lambda: signed)
        credentials, walk = by_turns(
            lambda: reader.read(marks, lambda: signed), lambda: read_marks(signed), runs=50
        )
    row("Content Credentials of a signed picture", credentials, "its marks", walk)
