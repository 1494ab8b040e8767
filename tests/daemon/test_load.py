"""Many clients at once, while the daemon and its children are killed: nothing answered is lost."""

import os
import time
from pathlib import Path

import pytest
from kit.acknowledged import Acknowledged
from kit.daemon import free_port
from kit.faults import Faults
from kit.health import Health, percentiles
from kit.load import Client
from kit.load_audit import audit, is_settled, summary
from kit.processes import children
from kit.waiting import eventually

from antifake.daemon.config import Folder, add_folder, put

CLIENTS = 6
SEED = int(os.environ.get("ANTIFAKE_LOAD_SEED", "17"))
MINUTES = float(os.environ.get("ANTIFAKE_LOAD_MINUTES", "30"))
"""Of the long run."""


@pytest.mark.attack
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("seconds", "pauses_s"),
    [(120, (0.5, 3.0)), pytest.param(60 * MINUTES, (1.0, 12.0), marks=pytest.mark.soak)],
    ids=["short", "long"],
)
def test_nothing_acknowledged_is_lost_while_all_that_runs_is_killed(
    tiny_home, tmp_path, seconds, pauses_s
):
    folder = tmp_path / "Downloads"
    folder.mkdir()
    add_folder(tiny_home.root / "config.toml", Folder(path=folder))
    put(tiny_home.root / "config.toml", "server.port", free_port())
    done = Acknowledged()
    faults = Faults(tiny_home.root, SEED, pauses_s)
    database = tiny_home.root / "history.db"
    try:
        places = faults.running.places
        clients = [Client(places, folder, done, 100 * SEED + n, 0.2) for n in range(CLIENTS)]
        with Health(places.running) as health:
            faults.start()
            for client in clients:
                client.start()
            time.sleep(seconds)
            for client in clients:
                client.end()
            for client in clients:
                client.join()
            faults.end()
        eventually(lambda: is_settled(database, done), 120, every_s=0.2)
        left = [child.pid for child in children(faults.running.process.pid)]
    finally:
        faults.running.stop()
    print(summary(done, faults.done))
    for who, found in (("health", health.daemon_s), ("the peer", health.peer_s)):
        p50, p99, longest = (1000 * one for one in percentiles(found))
        print(f"{who}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {longest:.1f} ms, {len(found)}")
    assert done.wrong + audit(tiny_home, database, done) == []
    assert not [pid for pid in left if Path(f"/proc/{pid}").exists()]
    assert not list((tiny_home.root / "run" / "spool").iterdir())
