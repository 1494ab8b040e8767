"""Scans by Ray on one computer: the same results as a plain scan, whatever kills them."""

import psutil
import pytest
from kit.bulk import finished, ids_in, ray_scan, rows_in
from kit.command_line import antifake as run
from kit.google_cloud import google_bucket, upload
from kit.toy import toy_pictures
from kit.waiting import eventually
from PIL import Image

pytestmark = [pytest.mark.usefixtures("tiny_home"), pytest.mark.timeout(600)]

GOOD = 400
LOOPBACK = {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    toy_pictures(folder, n=GOOD)
    good = next((folder / "real").glob("*.png")).read_bytes()
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (folder / "empty.png").touch()
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "of-another-kind.jpg").write_bytes(good)
    (folder / "no-suffix").write_bytes(good)
    (folder / "notes.txt").write_text("no picture")
    Image.new("RGB", (300, 300)).save(folder / "black.png")
    return folder


def listening(scan):
    """Returns the addresses at which its processes listen; none before Ray has started."""
    return {
        one.laddr.ip
        for process in scan.started()
        for one in process.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN
    }


def test_a_scan_that_was_killed_goes_on_and_ends_with_the_rows_of_a_plain_scan(pictures, tmp_path):
    out = tmp_path / "out"
    with ray_scan("-r", pictures, "-o", out) as scan:
        found = eventually(lambda: listening(scan), within_s=120)
        assert found <= LOOPBACK, "nobody else on the network is to reach Ray"
        before = eventually(lambda: finished(out), within_s=200)
        scan.kill()
    assert len(before) < GOOD, "it was not killed in its middle"
    with ray_scan("-r", pictures, "-o", out, "--resume") as scan:
        said = scan.ended(code=1)  # some pictures have no verdict
    assert said.splitlines()[-1] == run("scan", "-r", pictures, code=1).stderr.splitlines()[0]
    ids = ids_in(out)
    assert before <= set(ids)
    assert len(ids) == len(set(ids))
    plain = rows_in(run("scan", "-r", "--jsonl", pictures, code=1).stdout)
    assert len(plain) == GOOD + 6
    assert rows_in(run("rows", out).stdout) == plain


def test_a_scan_reads_from_google_cloud_and_writes_there(tmp_path):
    here = tmp_path / "here"
    toy_pictures(here, n=12)
    with google_bucket() as bucket:
        there, out = f"{bucket}/all of it", f"{bucket}/out"
        upload(here, "all of it")
        with ray_scan("-r", there, "-o", out) as scan:
            assert "12 pictures" in scan.ended()
        with ray_scan("-r", there, "-o", out, "--resume") as scan:
            assert "12 pictures" in scan.ended()
        rows = rows_in(run("rows", out).stdout.replace(there, str(here)))
    assert len(rows) == 12
    assert rows == rows_in(run("scan", "-r", "--jsonl", here).stdout)
