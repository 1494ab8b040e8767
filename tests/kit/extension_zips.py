"""The extension as the stores get it: one zip for Chromium, one for Firefox.

`make extension` runs this. The folder `extension/` has one manifest that both browsers load; each
zip has only the keys that its browser knows. The same tree gives the same bytes.
"""

import json
import os
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from kit.wheels import ROOT

Browser = Literal["chromium", "firefox"]
Manifest = dict[str, Any]

BROWSERS: tuple[Browser, ...] = ("chromium", "firefox")
EXTENSION = ROOT / "extension"
WEB_EXT = ROOT / "tests" / "extension" / "node_modules" / ".bin" / "web-ext"

_LEFT_OUT: dict[Browser, tuple[str, ...]] = {
    # The key only fixes the id of an unpacked extension; the store has its own.
    "chromium": ("key", "browser_specific_settings", "background.scripts"),
    # Firefox has no optional declarativeNetRequestWithHostAccess.
    "firefox": (
        "key",
        "minimum_chrome_version",
        "background.service_worker",
        "optional_permissions",
    ),
}
_DATE = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644


def tracked_files() -> list[str]:
    """Returns the files of the extension that git tracks, relative to its folder, sorted."""
    command = ["git", "ls-files", "--cached", "-z", "."]
    listed = subprocess.run(command, cwd=EXTENSION, capture_output=True, text=True, check=True)
    return sorted(name for name in listed.stdout.split("\0") if name)


def manifest() -> Manifest:
    read: Manifest = json.loads((EXTENSION / "manifest.json").read_text("utf-8"))
    return read


def manifest_for(browser: Browser, whole: Manifest) -> Manifest:
    """Returns the manifest without the keys that only the other browser reads."""
    found: Manifest = json.loads(json.dumps(whole))
    for dotted in _LEFT_OUT[browser]:
        *parents, last = dotted.split(".")
        part = found
        for parent in parents:
            part = part[parent]
        part.pop(last, None)
    return found


def project_version() -> str:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    return config["metadata"]["version"]


def packed(browser: Browser) -> bytes:
    """Returns the zip. Raises ValueError if the extension's version is not the project's."""
    whole = manifest()
    if whole["version"] != project_version():
        raise ValueError(f"manifest.json says {whole['version']}, setup.cfg {project_version()}")
    own = json.dumps(manifest_for(browser, whole), indent=2, ensure_ascii=False) + "\n"
    out = BytesIO()
    # Stored, not compressed: versions of zlib differ in their output.
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packing:
        for name in tracked_files():
            is_manifest = name == "manifest.json"
            data = own.encode() if is_manifest else (EXTENSION / name).read_bytes()
            packing.writestr(_entry(name), data)
    return out.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.create_system = 3  # Unix, on every system, so that the mode means the same
    entry.external_attr = _FILE_MODE << 16
    return entry


def write_zip(browser: Browser, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"antifake-{project_version()}-{browser}.zip"
    path.write_bytes(packed(browser))
    return path


def unpack(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path) as packing:
        packing.extractall(folder)
    return folder


def lint(folder: Path) -> list[str]:
    """Returns the errors and warnings of Mozilla's linter for an unpacked extension."""
    command = [str(WEB_EXT), "lint", "--source-dir", str(folder), "--output", "json"]
    # The node of this environment, as its launcher asks for any node.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = os.environ | {"PATH": path}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if not done.stdout.strip():
        raise RuntimeError(done.stderr)
    found = json.loads(done.stdout)
    return [
        f"{one['code']} in {one.get('file') or 'the manifest'}: {one['message']}"
        for one in [*found["errors"], *found["warnings"]]
    ]


def main(target: str) -> int:
    from tempfile import TemporaryDirectory

    zips = {browser: write_zip(browser, Path(target)) for browser in BROWSERS}
    for path in zips.values():
        print(path)
    with TemporaryDirectory() as folder:
        found = lint(unpack(zips["firefox"], Path(folder)))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
