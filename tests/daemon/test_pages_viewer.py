"""The viewer: a picture as large as it is, from its place, and nothing else from anywhere."""

import hashlib
import os
import sys
import time
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pillow_heif
import pytest
from kit.axe import axe
from kit.page_desk import desk_at, shoot
from kit.pages import ago, scene, webp
from kit.pictures import saved
from kit.waiting import eventually
from PIL import Image
from playwright.sync_api import expect

from antifake.core.parts import Box, JudgedPart, Part
from antifake.daemon.config import Folder
from antifake.daemon.service import originals
from antifake.daemon.service.file_hashes import QUIET_NS, REMEMBERED_NS, FileHashes
from antifake.daemon.store import occurrences
from antifake.daemon.store.occurrences import Occurrence

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and programs of Unix")

SENDER = {"X-Requested-By": "antifake"}


def change(me, where, headers=SENDER, **body):
    return me.post(f"/changes/{where}", json=body, headers=headers)


@dataclass
class Album:
    """A watched folder, and the checks of the files in it."""

    world: object
    folder: Path

    def add(self, name, kind="JPEG", seed=1, size=(900, 600), **about):
        path = self.folder / name
        path.write_bytes(saved(scene(seed, *size), kind))
        return self.note(path, kind=kind, seed=seed, size=size, **about)

    def note(self, path, kind="JPEG", seed=1, size=(900, 600), **about):
        data = path.read_bytes()
        values = {"sha256": hashlib.sha256(data).hexdigest(), "path": str(path), "format": kind}
        values |= {"width": size[0], "height": size[1], "thumb": scene(seed)}
        return self.world.add(**values | about)

    def keep(self, check):
        self.world.service.crop_files.write(check.sha256, webp(scene(2, 224, 224)))


@pytest.fixture
def album(here, tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    here.service.settings.watch(Folder(path=folder))
    return Album(here, folder)


# --- The original -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "type_"),
    [("JPEG", "a.jpg", "image/jpeg"), ("PNG", "a.png", "image/png"), ("GIF", "a.gif", "image/gif")],
)
def test_the_original_is_sent_as_a_picture_that_can_do_nothing(me, album, kind, name, type_):
    check = album.add(name, kind)
    answer = me.get(f"/original/{check.id}")
    assert answer.data == (album.folder / name).read_bytes()
    assert answer.content_type == type_
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "The original file." in me.get(f"/picture/{check.id}").text


@pytest.mark.parametrize("what", ["original", "copy", "thumb", "pieces/view"])
def test_without_a_session_there_is_no_picture(stranger, album, what):
    check = album.add("a.jpg")
    album.keep(check)
    answer = stranger.get(f"/{what}/{check.id}")
    assert answer.status_code == 401
    assert answer.mimetype == "text/html"


def test_a_page_of_the_web_cannot_show_it(me, album):
    check = album.add("a.jpg")
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}
    assert me.get(f"/original/{check.id}", headers=headers).status_code == 403


@pytest.mark.attack
def test_a_changed_file_is_not_shown_and_the_page_says_so(me, album):
    check = album.add("a.jpg")
    (album.folder / "a.jpg").write_bytes(b"the secret that lies there now")
    answer = me.get(f"/original/{check.id}")
    assert answer.status_code == 404
    assert "secret" not in answer.text
    assert "has changed since it was checked" in answer.text
    assert "This is the small picture that was kept" in me.get(f"/picture/{check.id}").text


def test_a_file_that_is_gone_is_replaced_by_our_copy_of_its_middle(me, album):
    check = album.add("a.jpg")
    album.keep(check)
    (album.folder / "a.jpg").unlink()
    page = me.get(f"/picture/{check.id}").text
    assert "The file is not where it was. This is the middle of it" in page
    assert f'src="/copy/{check.id}"' in page
    assert me.get(f"/copy/{check.id}").data == webp(scene(2, 224, 224))


def test_a_small_picture_of_all_of_it_is_shown_before_a_copy_of_its_middle(me, album):
    check = album.add("a.jpg", thumb=scene(1, 480, 320))
    album.keep(check)
    (album.folder / "a.jpg").unlink()
    page = me.get(f"/picture/{check.id}").text
    assert "The file is not where it was. This is the small picture that was kept of it." in page


def test_a_copy_elsewhere_is_found_once_the_first_place_is_empty(here, me, album):
    check = album.add("a.jpg")
    (album.folder / "a.jpg").rename(album.folder / "b.jpg")
    with here.store.writing() as session:
        seen = Occurrence(at=ago(), source="watch", path=str(album.folder / "b.jpg"))
        occurrences.add(session, check.sha256, seen)
    assert me.get(f"/original/{check.id}").status_code == 200


@pytest.mark.attack
def test_no_link_leads_out_of_a_watched_folder(me, album, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.jpg").write_bytes(saved(scene(1), "JPEG"))
    (album.folder / "link.jpg").symlink_to(outside / "a.jpg")
    (album.folder / "sub").symlink_to(outside)
    for path in ("link.jpg", "sub/a.jpg"):
        check = album.note(album.folder / path)
        assert me.get(f"/original/{check.id}").status_code == 404, path


def test_a_folder_that_is_itself_behind_a_link_can_be_watched(here, me, album, tmp_path):
    (tmp_path / "mine").symlink_to(album.folder)
    here.service.settings.watch(Folder(path=tmp_path / "mine"))
    album.add("a.jpg")
    check = album.note(tmp_path / "mine" / "a.jpg")
    assert me.get(f"/original/{check.id}").status_code == 200


def test_what_is_no_file_does_not_hang_or_leak(me, album, here):
    os.mkfifo(album.folder / "pipe.jpg")
    for path in (album.folder / "pipe.jpg", album.folder, Path("/dev/zero"), Path("a.jpg")):
        check = here.add(None, path=str(path), thumb=scene(1))
        assert me.get(f"/original/{check.id}").status_code == 404, path
    assert me.get("/original/..%2f..%2fetc%2fpasswd").status_code == 404


def turned(picture: Image.Image, kind: str) -> bytes:
    """Returns a file that lies on its side, and says how to turn it: the left is to be the top."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(picture, kind, exif=exif.tobytes())


def with_corner(width: int, height: int) -> Image.Image:
    """Returns a grey picture with a red bottom left corner."""
    picture = scene(5, width, height).convert("L").convert("RGB")
    picture.paste((220, 0, 0), (0, height - height // 3, width // 3, height))
    return picture


@pytest.mark.parametrize("kind", ["TIFF", "HEIF"])
def test_what_browsers_do_not_show_is_sent_upright_as_jpeg(me, album, kind):
    pillow_heif.register_heif_opener()
    (album.folder / "a").write_bytes(turned(with_corner(600, 300), kind))
    check = album.note(album.folder / "a", kind, size=(300, 600))
    answer = me.get(f"/original/{check.id}")
    assert answer.content_type == "image/jpeg"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    shown = Image.open(BytesIO(answer.data))
    assert shown.size == (300, 600)
    red, _, blue = shown.getpixel((20, 20))  # turned to the right, the bottom left is the top left
    assert (red > 180, blue < 70) == (True, True)
    assert not shown.getexif()
    assert f"browsers cannot show {kind} files" in me.get(f"/picture/{check.id}").text


def test_a_large_one_is_sent_smaller_and_the_page_says_so(me, album):
    check = album.add("a.tif", "TIFF", size=(3000, 1500))
    assert Image.open(BytesIO(me.get(f"/original/{check.id}").data)).size == (2560, 1280)
    assert "as JPEG and smaller (at most 2560 pixels)" in me.get(f"/picture/{check.id}").text


def test_what_cannot_be_decoded_is_not_sent_and_costs_nothing_else(here, me, album):
    (album.folder / "a.tif").write_bytes(b"II*\0" + bytes(500))
    check = album.note(album.folder / "a.tif", "TIFF")
    assert me.get(f"/original/{check.id}").status_code == 404
    failed = here.add_failed("a.tif", "This picture is damaged.")
    assert "The original" not in me.get(f"/picture/{failed.id}").text


def test_a_picture_that_is_forgotten_is_not_kept_in_memory(here, me, album):
    check = album.add("a.tif", "TIFF")
    me.get(f"/original/{check.id}")
    renditions = here.service.renditions
    assert renditions.make(check.sha256, b"", bool) is not None
    here.service.forget([check.id])
    assert renditions.make(check.sha256, b"", bool) is None


def test_who_has_left_does_not_wait_for_a_picture(here):
    """Somebody leafs quickly through many pictures that have to be decoded."""
    made, data = here.service.renditions, saved(scene(1), "TIFF")
    with made._turn:
        assert made.make("0" * 64, data, lambda: True) is None
    assert made.make("0" * 64, data, lambda: True) is not None


def test_a_page_and_its_picture_hash_the_file_once(here, album, monkeypatch):
    hashed = []
    sha256 = hashlib.sha256
    check = album.add("a.jpg")
    fake = SimpleNamespace(sha256=lambda data: hashed.append(1) or sha256(data))
    monkeypatch.setattr(originals, "hashlib", fake)
    hashes = FileHashes(lambda: time.time_ns() + 2 * QUIET_NS)
    service = replace(here.service, hashes=hashes)
    assert service.original(check.id, with_data=False).path == album.folder / "a.jpg"
    assert service.original(check.id).data == (album.folder / "a.jpg").read_bytes()
    assert len(hashed) == 1


def test_a_remembered_hash_hides_no_change(here, album):
    check, file = album.add("a.jpg"), album.folder / "a.jpg"
    service = replace(here.service, hashes=FileHashes(lambda: time.time_ns() + 2 * QUIET_NS))
    assert service.original(check.id).data is not None
    before = file.stat()
    file.write_bytes(bytes(before.st_size))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert service.original(check.id, with_data=False).trouble == "changed"
    assert service.original(check.id).trouble == "changed"


def test_a_hash_is_remembered_for_a_minute_and_not_of_a_file_that_just_changed(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(b"a")
    info, clock = file.stat(), [file.stat().st_ctime_ns]
    hashes = FileHashes(lambda: clock[0])
    hashes.note(file, info, "a" * 64)
    assert hashes.of(file, info) is None
    clock[0] += QUIET_NS
    hashes.note(file, info, "a" * 64)
    assert hashes.of(file, info) == "a" * 64
    assert hashes.of(tmp_path / "b.jpg", info) is None
    clock[0] += REMEMBERED_NS
    assert hashes.of(file, info) is None


# --- On the desktop -----------------------------------------------------------------------


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A desktop whose programs note what they are asked for. Returns a function that reads it."""
    folder, notes = tmp_path / "bin", tmp_path / "asked"
    folder.mkdir()
    for name in ("xdg-open", "dbus-send"):
        (folder / name).write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@" >> "{notes}"\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return lambda: notes.read_text().splitlines() if notes.exists() else []


def test_the_file_is_opened_by_the_desktop(me, album, programs):
    check = album.add("a.jpg")
    assert change(me, "open-file", id=check.id).status_code == 200
    assert programs() == ["xdg-open", str(album.folder / "a.jpg")]


def test_the_file_is_shown_in_its_folder(me, album, programs):
    check = album.add("a, b.jpg")
    assert change(me, "show-in-folder", id=check.id).status_code == 200
    asked = programs()
    assert asked[0] == "dbus-send"
    # dbus-send ends an item of a list at a comma.
    assert asked[-2] == f"array:string:file://{album.folder}/a%2C%20b.jpg"


def test_without_a_file_manager_on_the_bus_the_folder_is_opened(me, album, programs, tmp_path):
    (tmp_path / "bin" / "dbus-send").write_text("#!/bin/sh\nexit 1\n")
    check = album.add("a.jpg")
    assert change(me, "show-in-folder", id=check.id).status_code == 200
    assert programs() == ["xdg-open", str(album.folder)]


@pytest.mark.attack
@pytest.mark.parametrize("name", ["run.sh", "a.desktop", "a.jpg.exe", "picture"])
def test_nothing_that_could_be_run_is_opened(me, album, programs, name):
    check = album.add(name)
    answer = change(me, "open-file", id=check.id)
    assert answer.status_code == 404
    assert "not opened from here" in answer.json["error"]
    assert programs() == []
    assert "Open the file" not in me.get(f"/picture/{check.id}").text


def test_a_changed_file_is_not_opened(me, album, programs):
    check = album.add("a.jpg")
    (album.folder / "a.jpg").write_bytes(b"else")
    assert change(me, "open-file", id=check.id).status_code == 404
    assert programs() == []


def test_only_our_own_page_can_have_something_opened(me, album, programs):
    check = album.add("a.jpg")
    for what in ("open-file", "show-in-folder"):
        assert me.get(f"/changes/{what}").status_code == 405
        assert change(me, what, {}, id=check.id).status_code == 403
        foreign = SENDER | {"Origin": "http://localhost:3000"}
        assert change(me, what, foreign, id=check.id).status_code == 403
        assert change(me, what, id=str(album.folder / "a.jpg")).status_code == 404
    me.delete_cookie("antifake_session", domain="127.0.0.1")
    assert change(me, "open-file", id=check.id).status_code == 401
    assert programs() == []


# --- In a browser -------------------------------------------------------------------------


@pytest.fixture
def desk(here, served, chromium):
    with desk_at(here, served, chromium) as made:
        yield made


def width(page):
    return round(page.locator(".canvas img").evaluate("one => one.getBoundingClientRect().width"))


def scrolled(page):
    return page.locator(".stage").evaluate("one => one.scrollLeft")


def test_a_picture_is_looked_at_and_zoomed_by_keys(album, desk):
    check = album.add("wide.jpg", size=(2400, 1200))
    page = desk.open(f"/picture/{check.id}")
    expect(page.locator(".scale")).not_to_be_empty()
    fitted = width(page)
    assert fitted < page.locator(".stage").evaluate("one => one.clientWidth") + 1
    desk.keys("1")
    assert width(page) == 2400
    expect(page.locator(".scale")).to_have_text("100 %")
    desk.keys("-")
    assert width(page) == 1920
    desk.keys("+")
    assert width(page) == 2400
    page.locator(".stage").focus()
    before = scrolled(page)
    desk.keys("ArrowRight")
    eventually(lambda: scrolled(page) > before)
    desk.keys("0")
    assert width(page) == fitted
    page.get_by_role("button", name="Larger").click()
    assert width(page) > fitted
    page.locator(".stage").dblclick()
    assert width(page) == fitted


def test_the_keys_go_to_the_neighbours_within_the_filter_and_back(album, desk):
    for number, label in enumerate(["fake", "real", "fake", "fake"]):
        album.add(f"{number}.jpg", seed=number, label=label, at=ago(hours=number))
    page = desk.open("/?verdict=fake")
    desk.row("0.jpg").locator("a.name").click()
    expect(page.locator("h1")).to_have_text("0.jpg")
    desk.keys("ArrowLeft")
    desk.toast("This is the first picture.")
    for name in ("2.jpg", "3.jpg"):
        desk.keys("ArrowRight")
        expect(page.locator("h1")).to_have_text(name)
    desk.keys("j")
    desk.toast("This is the last picture.")
    desk.keys("k")
    expect(page.locator("h1")).to_have_text("2.jpg")
    desk.keys("Escape")
    expect(page).to_have_url(f"{desk.url}/?verdict=fake")


def test_a_report_is_copied_without_any_path(album, desk):
    check = album.add("cat.jpg", label="fake")
    page = desk.open(f"/picture/{check.id}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy as text").click()
    desk.toast("The text is copied.")
    report = page.evaluate("navigator.clipboard.readText()")
    assert "Verdict: AI-made (94 %)" in report
    assert check.sha256 in report
    assert str(album.folder) not in report


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_viewer_keeps_to_the_rules_and_fits(album, desk, scheme):
    album.add("before.jpg", seed=3)
    check = album.add("sunset-over-the-harbour.jpg", seed=7, size=(1600, 1000), at=ago(hours=1))
    small = album.add("gone.png", "PNG", seed=4, at=ago(hours=2))
    album.keep(small)
    (album.folder / "gone.png").unlink()
    desk.page.emulate_media(color_scheme=scheme)
    for name, one in (("viewer", check), ("viewer-copy", small)):
        page = desk.open(f"/picture/{one.id}")
        for wide, high in ((1180, 860), (590, 430), (390, 844)):
            page.set_viewport_size({"width": wide, "height": high})
            assert axe(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= wide
            shoot(page, f"{name}-{scheme}-{wide}")


# --- The parts that were judged ---------------------------------------------------------------


RIGHT = Part(Box(0.6667, 0, 0.3333, 1))
LEFT = Part(Box(0, 0, 0.3333, 1))
MIDDLE = Part(Box(0.3333, 0, 0.3334, 1))


def in_parts(*scores):
    return tuple(map(JudgedPart, (MIDDLE, LEFT, RIGHT), scores))


def test_the_part_that_decided_is_marked_and_all_on_request(album, desk):
    check = album.add(
        "wide.jpg", size=(1500, 500), label="fake", p_fake=0.8, parts=in_parts(0.1, 0.2, 0.84)
    )
    page = desk.open(f"/picture/{check.id}")
    expect(page.locator("[data-verdict]")).to_contain_text("on the right")
    expect(page.get_by_text("It looks AI-made on the right; most of it does not.")).to_be_visible()
    image = page.locator(".canvas img")
    expect(image).to_be_visible()
    expect(page.locator(".scale")).not_to_be_empty()
    marks = page.locator(".parts rect:visible")
    expect(marks).to_have_count(1)
    mark, shown = marks.first.bounding_box(), image.bounding_box()
    assert mark["x"] - shown["x"] == pytest.approx(2 / 3 * shown["width"], abs=8)
    assert mark["width"] == pytest.approx(shown["width"] / 3, abs=10)
    page.get_by_role("button", name="Judged parts").click()
    expect(marks).to_have_count(3)
    expect(page.get_by_text("on the left 20 %; in the middle 10 %")).to_be_visible()
    assert axe(page) == []
    shoot(page, "parts")


def test_where_nothing_is_said_of_the_picture_nothing_is_said_of_a_part(album, desk):
    check = album.add(
        "wide.jpg", size=(1500, 500), label="unsure", p_fake=0.51, parts=in_parts(0.1, 0.2, 0.55)
    )
    page = desk.open(f"/picture/{check.id}")
    expect(page.get_by_text("3 parts of it were judged.")).to_be_visible()
    expect(page.locator(".scale")).not_to_be_empty()
    expect(page.get_by_text("It looks AI-made")).to_have_count(0)
    expect(page.locator(".parts rect:visible")).to_have_count(0)
    page.get_by_role("button", name="Judged parts").click()
    expect(page.locator(".parts rect:visible")).to_have_count(3)
    expect(page.locator(".parts .made, .parts .decisive")).to_have_count(0)


def test_parts_of_a_turned_picture_are_marked_where_they_are(album, desk):
    file = album.folder / "page.tif"
    file.write_bytes(turned(with_corner(1500, 500), "TIFF"))
    top = Part(Box(0, 0, 1, 0.3333))
    parts = (JudgedPart(top, 0.84), JudgedPart(Part(Box(0, 0.3333, 1, 0.3334)), 0.1))
    check = album.note(file, "TIFF", size=(500, 1500), label="fake", p_fake=0.8, parts=parts)
    page = desk.open(f"/picture/{check.id}")
    expect(page.locator(".scale")).not_to_be_empty()
    image, mark = page.locator(".canvas img"), page.locator(".parts rect:visible")
    expect(mark).to_have_count(1)
    shown, marked = image.bounding_box(), mark.bounding_box()
    assert shown["height"] == pytest.approx(3 * shown["width"], abs=3)
    assert marked["height"] == pytest.approx(shown["height"] / 3, abs=10)
    assert marked["y"] == pytest.approx(shown["y"], abs=8)
    shoot(page, "parts-turned")


def test_nothing_is_marked_where_only_a_copy_of_the_middle_is_shown(me, album):
    check = album.add("wide.jpg", size=(1500, 500), parts=in_parts(0.1, 0.2, 0.3))
    assert 'class="parts"' in me.get(f"/picture/{check.id}").text
    (album.folder / "wide.jpg").unlink()
    assert 'class="parts"' not in me.get(f"/picture/{check.id}").text


def test_a_check_of_an_old_version_says_that_it_saw_only_the_middle(me, album):
    check = album.add("old.jpg", parts=None)
    assert (
        "Only its middle was judged, by an earlier version." in me.get(f"/picture/{check.id}").text
    )
