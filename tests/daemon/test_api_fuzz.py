"""Requests that the OpenAPI document allows, and many that it does not, cause no error 500."""

import subprocess
import sys
from pathlib import Path

import pytest
from kit.daemon import running_daemon
from kit.pace import within
from kit.pictures import png

pytestmark = pytest.mark.attack

COMMAND = Path(sys.executable).with_name("schemathesis")


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        daemon.wait_for_model()
        assert daemon.check(png(0)).status == 201
        yield daemon


@pytest.mark.parametrize("examples", [3, pytest.param(50, marks=pytest.mark.soak)])
def test_no_request_causes_an_internal_error(daemon, tmp_path, examples):
    """All operations except the one that stops the daemon, and the stream, which has no end."""
    done = subprocess.run(
        [
            COMMAND,
            "run",
            f"http://127.0.0.1:{daemon.port}/api/v1/openapi.json",
            "--header",
            f"Authorization: Bearer {daemon.secret}",
            "--checks",
            "not_a_server_error,content_type_conformance,response_schema_conformance",
            "--exclude-path",
            "/api/v1/daemon:stop",
            "--exclude-path",
            "/api/v1/events",
            "--max-examples",
            str(examples),
            "--seed",
            "1",
            "--phases",
            "examples,coverage,fuzzing",
            "--mode",
            "all",
            "--request-timeout",
            str(within(60)),
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=within(240),
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert daemon.get("/health").status == 200
