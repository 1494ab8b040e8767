"""The copied picture on each desktop. The programs that read the clipboard are scripts here;
test_tray_screen has the real ones."""

import io
import sys

import pytest
from kit.pictures import png
from PIL import Image, ImageGrab

from antifake.core.errors import AntifakeError
from antifake.daemon.tray import NoHostError, TrayError
from antifake.daemon.tray.backend import toolkit
from antifake.daemon.tray.clipboard import copied_picture
from antifake.daemon.tray.icon import _plain

WL_PASTE = """#!/bin/sh
if [ "$1" = --list-types ]; then printf "{types}"; exit 0; fi
[ "$1 $2" = "--no-newline --type" ] || exit 1
cat "{folder}/$(echo "$3" | tr / _)"
"""


@pytest.fixture
def wayland(monkeypatch, tmp_path):
    """Returns a function that puts something on the clipboard of a Wayland session."""
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def put(**offered):
        for kind, data in offered.items():
            (tmp_path / kind).write_bytes(data)
        types = "".join(f"{kind.replace('_', '/', 1)}\\n" for kind in offered)
        program = tmp_path / "wl-paste"
        program.write_text(WL_PASTE.format(types=types, folder=tmp_path))
        program.chmod(0o755)

    return put


def test_a_picture_copied_on_wayland_is_read_byte_for_byte(wayland):
    wayland(text_html=b"<img>", image_png=png(1))
    assert copied_picture().data == png(1)


def test_a_file_copied_on_wayland_is_read(wayland, tmp_path):
    (tmp_path / "cat 1.png").write_bytes(png(2))
    name = "text_uri-list"
    for start in ("file:///", "file://localhost/", "FILE:/"):
        address = (tmp_path / "cat 1.png").as_uri().replace("file:///", start)
        wayland(**{name: f"{address}\r\n".encode()})
        found = copied_picture()
        assert (found.data, found.path) == (png(2), tmp_path / "cat 1.png")


def test_text_on_a_wayland_clipboard_is_no_picture(wayland):
    wayland(text_plain=b"hello")
    with pytest.raises(AntifakeError, match="no picture on the clipboard"):
        copied_picture()


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_windows_and_macos_give_pixels_files_or_nothing(system, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", system)
    (tmp_path / "cat.png").write_bytes(png(3))
    clipboard = {"pixels": Image.new("RGB", (4, 3), "teal"), "file": [str(tmp_path / "cat.png")]}
    for name in ("pixels", "file", "nothing"):
        monkeypatch.setattr(ImageGrab, "grabclipboard", lambda name=name: clipboard.get(name))
        if name == "nothing":
            with pytest.raises(AntifakeError, match="no picture on the clipboard"):
                copied_picture()
        elif name == "file":
            assert copied_picture().path == tmp_path / "cat.png"
        else:
            with Image.open(io.BytesIO(copied_picture().data)) as found:
                assert (found.format, found.size) == ("PNG", (4, 3))


def test_an_ampersand_in_a_name_is_shown_on_windows(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert _plain("salt & pepper") == "salt && pepper"
    monkeypatch.setattr(sys, "platform", "linux")
    assert _plain("salt & pepper") == "salt & pepper"


def test_on_windows_and_macos_no_panel_is_looked_for(monkeypatch):
    """There pystray has one backend. The error says that it is not installed here."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    for name in [name for name in sys.modules if name.startswith("pystray")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(TrayError, match="cannot be shown") as error:
        toolkit(None, 0)
    assert not isinstance(error.value, NoHostError)
