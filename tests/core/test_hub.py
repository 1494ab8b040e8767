"""Fetching a published model, from a hub that runs here."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

FILES = {
    "config.json": b'{"model_type": "instructblip"}',
    "model.safetensors": b"weights",
    "tokenizer.model": b"pieces",
    "README.md": b"words",
    "pytorch_model.bin": b"a pickle",
    "modeling_evil.py": b"raise SystemExit",
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """A hub with one model, someone/model."""

    def do_GET(self):
        self.answer(has_body=True)

    def do_HEAD(self):
        self.answer(has_body=False)

    def answer(self, *, has_body):
        body = self.body_of(self.path.partition("?")[0])
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if has_body:
            self.server.sent.append(self.path.rpartition("/")[2])
            self.wfile.write(body)

    def body_of(self, path):
        model = "/api/models/someone/model"
        if path.startswith(f"{model}/tree"):
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": COMMIT}
                for name, data in FILES.items()
            ]
            return json.dumps(tree).encode()
        if path.startswith(model):
            siblings = [{"rfilename": name} for name in FILES]
            about = {"id": "someone/model", "sha": COMMIT, "siblings": siblings}
            return json.dumps(about).encode()
        return FILES.get(path.rpartition("/")[2])

    def log_message(self, *_):
        pass


@contextmanager
def hub(sent):
    """Runs a hub; what is read of it is noted in `sent`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.sent = sent
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def snapshot(endpoint, home, cache):
    """Returns what `snapshot` of someone/model prints in a process that knows this hub only."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from antifake.core.catalog import Home\n"
        "from antifake.core.errors import ModelError\n"
        "from antifake.core.hub import snapshot\n"
        "try:\n"
        "    print(snapshot('someone/model', Home(Path(sys.argv[1]))))\n"
        "except ModelError as error:\n"
        "    sys.exit(str(error))\n"
    )
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    environment |= {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
    }
    return subprocess.run(
        [sys.executable, "-c", code, str(home.root)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def home(tmp_path):
    from antifake.core.catalog import Home

    return Home(tmp_path / "home")


@pytest.mark.attack
def test_weights_and_descriptions_are_fetched_no_pickles_and_no_code(home, tmp_path):
    sent = []
    with hub(sent) as endpoint:
        done = snapshot(endpoint, home, tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    fetched = FILES.keys() & set(sent)
    assert fetched == {"config.json", "model.safetensors", "tokenizer.model", "README.md"}
    (request,) = home.requests()
    n_bytes = sum(len(FILES[name]) for name in fetched)
    assert f"{n_bytes} bytes  someone/model from the Hugging Face hub" in request


def test_a_hub_that_is_not_there_is_told_in_a_sentence(home, tmp_path):
    with hub([]) as endpoint:
        pass
    done = snapshot(endpoint, home, tmp_path / "cache")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "someone/model cannot be fetched from the Hugging Face hub now"
    )
    assert home.requests() == []
