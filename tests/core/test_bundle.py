"""A model's folder says which files it has; it is not believed blindly."""

import json
import shutil

import pytest

from antifake.core.bundle import MANIFEST, Bundle
from antifake.core.errors import DamagedModelError, ModelError

pytestmark = pytest.mark.attack


@pytest.fixture
def folder(tiny_bundle, tmp_path):
    return shutil.copytree(tiny_bundle.folder, tmp_path / "tiny")


def rewrite(folder, change):
    manifest = json.loads((folder / MANIFEST).read_bytes())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "sub/file"])
def test_a_model_that_names_files_outside_its_folder_is_refused(folder, name):
    outside = (folder / name).resolve()
    if not outside.exists():
        outside.parent.mkdir(exist_ok=True)
        outside.write_bytes(b"secret")
    entry = {"bytes": outside.stat().st_size, "sha256": "0" * 64}
    rewrite(folder, lambda manifest: manifest["files"].update({name: entry}))
    with pytest.raises(ModelError, match="it names files outside its folder"):
        Bundle.open(folder)


def test_a_model_of_another_format_is_refused(folder):
    rewrite(folder, lambda manifest: manifest.update(format=2))
    with pytest.raises(ModelError, match="made by another version of antifake"):
        Bundle.open(folder)


def test_a_link_does_not_stand_for_a_file_of_the_model(folder, tmp_path):
    shard = folder / "model-00001.safetensors"
    shard.rename(tmp_path / "elsewhere")
    shard.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedModelError, match=shard.name):
        Bundle.open(folder)
