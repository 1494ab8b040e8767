"""Import and export that are stopped by Ctrl-C or SIGTERM while they talk to the daemon."""

import json
import signal
import sys
from datetime import UTC, datetime

import pytest
from kit.command_line import antifake, ended, start
from kit.waiting import eventually

from antifake.daemon import app, instance
from antifake.daemon.store import history

pytestmark = [
    pytest.mark.attack,
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
N_ROWS = 5_000
A_PIECE = 1_250
"""More rows than one of these pieces has."""
both_signals = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture
def service(where):
    with instance.single_instance(where), app.started(where, lambda: None) as daemon:
        yield daemon.service


@pytest.fixture
def rows():
    """Lines of an export, nearly a kilobyte each."""
    about = {"sha256": "7" * 64, "label": "real", "p_fake": 0.1, "page": "x" * 850}
    return [f"{json.dumps(about | {'id': f'{n:013d}'})}\n" for n in range(N_ROWS)]


def count(service):
    with service.store.reading() as session:
        return history.count(session)


@both_signals
def test_an_import_that_is_stopped_is_repeated_for_what_is_missing(service, rows, tmp_path, number):
    file = tmp_path / "history.jsonl"
    file.write_text("".join(rows))
    command = start("history", "import", file)
    eventually(lambda: count(service) > A_PIECE)
    stdout, stderr = ended(command, number)
    kept = count(service)
    assert stdout == ""
    assert "What was imported stays. Import the file again to go on." in stderr
    assert stderr.endswith("Stopped.\n")
    done = json.loads(antifake("history", "import", file, "--json").stdout)
    assert kept <= done["known"] < N_ROWS
    assert done["added"] == N_ROWS - done["known"]
    assert count(service) == N_ROWS


@both_signals
def test_an_export_that_is_stopped_leaves_no_file(service, rows, tmp_path, number):
    service.import_rows(rows, "jsonl", 0, lambda: False)
    file = tmp_path / "history.jsonl"
    command = start("history", "export", file)
    eventually(lambda: file.exists() and file.stat().st_size)
    _stdout, stderr = ended(command, number)
    assert stderr == "Stopped.\n"
    assert list(tmp_path.glob("*.jsonl")) == []
    antifake("history", "export", file)
    assert len(file.read_text().splitlines()) == N_ROWS
