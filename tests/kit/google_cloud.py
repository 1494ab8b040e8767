"""A bucket of Google Cloud Storage, on a server of 127.0.0.1."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from gcp_storage_emulator.server import create_server
from pyarrow import fs

from antifake.core.bulk import stores

from .daemon import free_port

BUCKET = "gs://anonymous@bucket"


@contextmanager
def google_bucket() -> Iterator[str]:
    """Yields the address of an empty bucket, for this process and those that it starts."""
    port = free_port()
    there = {"CLOUD_STORAGE_EMULATOR_ENDPOINT": f"http://127.0.0.1:{port}"}
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="bucket")
    with server, patch.dict(os.environ, there):
        stores._root.cache_clear()  # the one before had another port
        yield BUCKET


def upload(folder: Path, name: str) -> None:
    """Makes an object of each file below a folder, and none for the folders themselves."""
    store, bucket = fs.FileSystem.from_uri(BUCKET)
    for file in folder.rglob("*"):
        if file.is_file():
            object_name = f"{bucket}/{name}/{file.relative_to(folder).as_posix()}"
            with store.open_output_stream(object_name) as there:
                there.write(file.read_bytes())
