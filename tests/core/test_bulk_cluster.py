"""Scans by a Ray cluster of two machines, from and to a store, and with everything killed."""

import json
import sys

import pyarrow as pa
import pytest
from conftest import tiny_prompt
from kit.bulk import finished, ids_in, ray_scan, rows_in
from kit.command_line import antifake as run
from kit.daemon import tiny_home_in
from kit.ray_nodes import RayCluster
from kit.toy import toy_pictures
from kit.waiting import eventually
from moto.server import ThreadedMotoServer
from pyarrow import fs, parquet

from antifake.core.catalog import Home
from antifake.core.prepare import Source, prepare
from antifake.core.promptbook import Promptbook

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        sys.platform != "linux",
        reason="Ray has no clusters elsewhere, nor are there more loopbacks",
    ),
]

GOOD = 400


@pytest.fixture(scope="module")
def home(tiny_source, tmp_path_factory):
    """What every machine has at hand: the tiny model, with a prompt on the first machine only."""
    return tiny_home_in(tmp_path_factory.mktemp("home"), tiny_source)


@pytest.fixture(scope="module")
def store():
    """A server of S3; yields the environment that leads there."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    server.stop()


@pytest.fixture(scope="module")
def cluster(home, store):
    with RayCluster({"ANTIFAKE_HOME": str(home.root), **store}) as cluster:
        yield cluster


@pytest.fixture
def here(home, store, monkeypatch):
    """This process as the person who scans."""
    for name, value in {"ANTIFAKE_HOME": str(home.root), **store}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("here")
def test_a_scan_reads_from_a_store_and_writes_there_on_two_machines(cluster, tmp_path):
    toy_pictures(tmp_path / "here", n=12)
    store, bucket = fs.FileSystem.from_uri("s3://bucket?allow_bucket_creation=true")
    store.create_dir(bucket)
    fs.copy_files(
        str(tmp_path / "here"),
        "bucket/all of it",
        fs.LocalFileSystem(),
        destination_filesystem=store,
    )
    with store.open_output_stream("bucket/all of it/notes.txt") as file:
        file.write(b"no picture")
    inventory = pa.table({"bucket": ["bucket"], "key": ["gone.png"]})
    parquet.write_table(inventory, "bucket/inventory.parquet", filesystem=store)
    listing = ("--listing", "s3://bucket/inventory.parquet")
    where = ("-r", "s3://bucket/all of it", "-o", "s3://bucket/out", "--address", cluster.address)
    with ray_scan(*where, *listing, **cluster.env) as scan:
        said = scan.ended(code=1)
    assert "13 pictures" in said
    assert "1 other file was passed over" in said
    rows = [json.loads(line) for line in run("rows", "s3://bucket/out").stdout.splitlines()]
    gone = [row for row in rows if row["error"]]
    assert [(row["path"], row["code"]) for row in gone] == [("s3://bucket/gone.png", "no_file")]
    plain = rows_in(run("scan", "-r", "--jsonl", tmp_path / "here").stdout)
    stored = {row["path"]: row for row in rows if not row["error"]}
    assert len(stored) == len(plain) == 12
    for path, row in plain.items():
        other = stored[path.replace(str(tmp_path / "here"), "s3://bucket/all of it")]
        assert {**other, "path": path, "ms": None} == {**row, "ms": None}
    told = run("privacy").stdout
    assert "s3://bucket/all of it" in told
    assert "s3://bucket/out" in told
    assert cluster.address in told


@pytest.mark.usefixtures("here")
def test_without_its_token_a_cluster_lets_nobody_in(cluster, tmp_path):
    toy_pictures(tmp_path / "here", n=2)
    where = ("-r", tmp_path / "here", "-o", tmp_path / "out", "--address", cluster.address)
    with ray_scan(*where, **cluster.env | {"RAY_AUTH_TOKEN": "0" * 64}) as scan:
        assert "lets nobody in" in scan.ended(code=2)


@pytest.mark.usefixtures("here")
def test_another_model_on_the_machines_is_noticed_before_anything_is_judged(
    cluster, home, tiny_source, tmp_path
):
    toy_pictures(tmp_path / "here", n=2)
    other = Home(tmp_path / "home")
    bundle = prepare(Source(tiny_source), other.models / "tiny", dtype="int8")
    other.use("tiny")
    Promptbook(other.prompts).add("first", tiny_prompt(1).to_bytes())
    Promptbook(other.prompts).use("first", bundle)
    where = ("-r", tmp_path / "here", "-o", tmp_path / "out", "--address", cluster.address)
    with ray_scan(*where, **cluster.env | {"ANTIFAKE_HOME": str(other.root)}) as scan:
        assert "another model named tiny" in scan.ended(code=2)
    assert home.bundle("tiny").manifest.dtype == "fp32"
    assert not any((tmp_path / "out" / "rows").iterdir())


@pytest.mark.usefixtures("here")
def test_pools_that_the_cluster_has_no_room_for_are_refused(cluster, tmp_path):
    toy_pictures(tmp_path / "here", n=2)
    where = ("-r", tmp_path / "here", "-o", tmp_path / "out", "--address", cluster.address)
    with ray_scan(*where, "--decoders", 6, **cluster.env) as scan:
        assert "must stay free" in scan.ended(code=2)


@pytest.mark.usefixtures("here")
def test_no_row_is_lost_or_doubled_when_a_decoder_a_detector_and_a_machine_are_killed(
    cluster, tmp_path
):
    toy_pictures(tmp_path / "here", n=GOOD)
    out = tmp_path / "out"
    where = ("-r", tmp_path / "here", "-o", out, "--address", cluster.address)
    with ray_scan(*where, "--decoders", 2, **cluster.env) as scan:
        eventually(lambda: cluster.workers("Decode"), within_s=200)[0].kill()
        before = eventually(lambda: finished(out), within_s=200)
        eventually(lambda: cluster.workers("Judge"), within_s=200)[0].kill()
        cluster.other.kill()
        before |= finished(out)
        assert len(before) < GOOD, "nothing was left to do"
        assert f"{GOOD} pictures" in scan.ended()
    ids = ids_in(out)
    assert len(ids) == len(set(ids)) == GOOD
    assert before <= set(ids)
