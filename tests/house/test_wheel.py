"""The wheel holds the tree, no file less and none more, and runs where nothing else of ours is."""

import json
import re
import subprocess
import zipfile
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from kit.pace import within
from kit.pages import way_on
from kit.wheels import ROOT, build_wheel, clean_environment, copy_tree, tree_files

from antifake.core.samples import photographs

PACKAGES = ("core", "trainer", "daemon")
ABOUT = {
    "METADATA",
    "RECORD",
    "WHEEL",
    "entry_points.txt",
    "licenses/LICENSE",
    "licenses/NOTICE",
    "top_level.txt",
}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    source = copy_tree(tmp_path_factory.mktemp("tree"))
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory) -> Path:
    """The `bin` of an environment with the wheel and its dependencies."""
    return clean_environment(tmp_path_factory.mktemp("elsewhere") / "venv", wheel)


def held(wheel: Path) -> set[str]:
    """The files in a wheel, those that describe it under the name `about`."""
    names = set(zipfile.ZipFile(wheel).namelist())
    return {re.sub(r"^antifake-[^/]+\.dist-info/", "about/", name) for name in names}


def wanted() -> set[str]:
    ours = {f"antifake/{name}" for name in tree_files() if name.parts[0] in PACKAGES}
    return ours | {f"about/{name}" for name in ABOUT}


def test_the_wheel_holds_the_files_of_the_tree_and_no_others(wheel):
    assert held(wheel) == wanted()
    assert "antifake/core/mini/mini.json" in held(wheel)


def test_a_module_that_an_earlier_build_has_left_would_be_noticed(tmp_path):
    source = copy_tree(tmp_path / "tree")
    stale = source / "build" / "lib" / "antifake" / "daemon" / "long_gone.py"
    stale.parent.mkdir(parents=True)
    stale.touch()
    found = held(build_wheel(source, tmp_path / "wheel"))
    assert found - wanted() == {"antifake/daemon/long_gone.py"}


class User:
    """Somebody with an empty home who has installed the wheel, and nothing in the environment."""

    def __init__(self, commands: Path, home: Path) -> None:
        self.commands, self.home = commands, home
        self.env = {"PATH": f"{commands}:/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8"}

    def run(self, *arguments: str | Path, code: int = 0) -> str:
        done = subprocess.run(
            [self.commands / "antifake", *arguments],
            env=self.env,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=within(120),
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout


@pytest.fixture
def user(installed, tmp_path):
    someone = User(installed, tmp_path)
    yield someone
    subprocess.run([installed / "antifake", "daemon", "stop"], env=someone.env, check=False)


def test_the_help_is_there_and_everything_comes_from_the_wheel(user):
    assert "on your own computer" in user.run("--help")
    code = "import antifake.core, antifake.daemon as d, antifake.trainer, sys; print(d.__file__)"
    python = user.commands / "python"
    done = subprocess.run([python, "-c", code], env=user.env, capture_output=True, check=True)
    assert done.stdout.decode().startswith(str(user.commands.parent))


def test_the_installed_daemon_judges_a_picture_and_shows_its_page(user):
    if not (tower := next((ROOT / "build" / "wheels").glob("*.whl"), None)):
        pytest.fail("Run the tests with `make test`: it fetches the image tower first.")
    user.run("model", "pull", "mini", "--from", tower)
    user.run("daemon", "start")
    [said] = json.loads(user.run("check", "--json", photographs()[0]))
    assert said["label"] == "real"
    link = urlsplit(user.run("open", "--print").strip())
    site = Site(link.netloc)
    site.enter(f"{link.path}?{link.query}")
    page = site.get("/", "text/html")
    assert 'href="/picture/' in page
    styles = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
    scripts = re.findall(r'<script [^>]*src="([^"]+)"', page)
    assert styles
    assert scripts
    for path in styles:
        assert "{" in site.get(path, "text/css")
    site.get_modules(scripts)
    assert len(site.modules) > len(scripts), "no script imports another one"
    user.run("daemon", "stop")
    user.run("daemon", "status", code=4)


class Site:
    """The page as a browser asks for it."""

    def __init__(self, address: str) -> None:
        self.address, self.cookie = address, ""
        self.modules: set[str] = set()

    def enter(self, path: str) -> None:
        """Follows the link as a browser without scripts does."""
        answer, page = self._ask(path)
        if answer.status == 200:  # the page that looks for the daemon's own host name
            answer, _ = self._ask(way_on(page))
        assert answer.status == 303
        self.cookie = answer.headers["Set-Cookie"].partition(";")[0]

    def get(self, path: str, kind: str) -> str:
        answer, body = self._ask(path)
        assert answer.status == 200, path
        assert answer.headers.get_content_type() == kind
        return body

    def get_modules(self, paths: list[str]) -> None:
        """Gets these scripts and all that they import."""
        for path in set(paths) - self.modules:
            self.modules.add(path)
            body = self.get(path, "text/javascript")
            imported = re.findall(r'(?:from|import) "(\./[^"]+)"', body)
            self.get_modules([urljoin(path, name) for name in imported])

    def _ask(self, path: str):
        connection = HTTPConnection(self.address, timeout=within(20))
        try:
            connection.request("GET", path, headers={"Cookie": self.cookie})
            answer = connection.getresponse()
            return answer, answer.read().decode()
        finally:
            connection.close()
