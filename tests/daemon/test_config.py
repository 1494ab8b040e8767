"""The settings file, as a user writes it and as the program edits it."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from antifake.core.errors import UsageError
from antifake.daemon.config import (
    Config,
    ConfigError,
    Folder,
    add_folder,
    change_folder,
    changed,
    config_path,
    from_text,
    load,
    names,
    parse,
    put,
    remove_folder,
    to_toml,
)

WRITTEN = """\
# my settings
[server]
port = 9000  # the other one is taken

[[watch.folders]]
path = "/home/anna/Downloads"
exclude = ["private/**"]  # hers
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(WRITTEN)
    return path


def refusal(text):
    with pytest.raises(ConfigError) as caught:
        parse(text, Path("/x/config.toml"))
    assert isinstance(caught.value, UsageError)
    return str(caught.value)


def test_without_a_file_all_settings_have_their_defaults(tmp_path):
    assert load(tmp_path / "none.toml") == Config()


def test_the_file_overrides_the_defaults(file):
    config = load(file)
    assert config.server.port == 9000
    assert config.watch.folders == (Folder(Path("/home/anna/Downloads"), exclude=("private/**",)),)
    assert config.history == Config().history


def test_a_misspelt_key_is_reported_with_the_right_one_and_the_file():
    told = refusal("[server]\nprot = 1234")
    assert "server.prot" in told
    assert "did you mean server.port?" in told
    assert "/x/config.toml" in told


def test_misspelt_keys_of_folders_and_misspelt_groups_are_reported_too():
    assert "exclude" in refusal('[[watch.folders]]\npath = "/a"\nexclud = ["*.png"]')
    assert "did you mean watch?" in refusal("[wach]\nfolders = []")


@pytest.mark.parametrize(
    ("text", "name", "allowed"),
    [
        ("[server]\nport = 80", "server.port", "from 1,024 to 65,535"),
        ("[server]\nport = true", "server.port", "from 1,024 to 65,535"),
        ('[server]\nport = "9000"', "server.port", "from 1,024 to 65,535"),
        ("server = 9000", "server", "table"),
        ("[login]\nstart = 1", "login.start", "true or false"),
        ('[notifications]\nlevel = "loud"', "notifications.level", '"errors"'),
        ('[notifications]\nquiet_hours = "night"', "notifications.quiet_hours", "22:00-07:00"),
        ('[notifications]\nquiet_hours = "22:00-24:00"', "notifications.quiet_hours", "two times"),
        ("[worker]\nidle_minutes = 0", "worker.idle_minutes", "from 0.1"),
        ("[worker]\nidle_minutes = nan", "worker.idle_minutes", "from 0.1"),
        ("[history]\nbackups = 0", "history.backups", "from 1"),
        ("[watch]\npaused_until = 2026-01-01T00:00:00", "watch.paused_until", "zone"),
        ("[watch]\nfolders = [3]", "watch.folders[0]", "table"),
        ("[[watch.folders]]\nrecursive = true", "watch.folders[0]", "path"),
        ('[[watch.folders]]\npath = "Downloads"', "watch.folders[0].path", "whole path"),
        ('[[watch.folders]]\npath = "/a"\ninclude = "*.png"', "include", "patterns"),
        ('[[watch.folders]]\npath = "/a"\ninclude = ["/b"]', "include", "patterns"),
        ('[[watch.folders]]\npath = "/a"\ninclude = ["[a-"]', "include", "patterns"),
        ('[[watch.folders]]\npath = "/a"\ninclude = ["../*"]', "include", "patterns"),
        ('[[watch.folders]]\npath = "/a"\ninclude = [7]', "include", "patterns"),
    ],
)
def test_an_invalid_value_is_refused_with_its_name_and_the_valid_ones(text, name, allowed):
    told = refusal(text)
    assert name in told
    assert allowed in told


def test_a_file_that_is_not_toml_is_reported_with_the_line(file):
    assert "line 2" in refusal("[server]\nport = = 3")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(file)


def test_a_setting_is_read_by_its_dotted_name(file):
    config = load(file)
    assert config.get("server.port") == 9000
    assert config.get("server") == config.server
    with pytest.raises(ConfigError, match=r"did you mean server\.port"):
        config.get("server.porte")
    assert all(config.get(name) == config.get(name) for name in names())


def test_changing_one_setting_leaves_the_rest_of_the_file_as_it_was(file):
    assert put(file, "server.port", 9001).server.port == 9001
    assert file.read_text() == WRITTEN.replace("9000", "9001")
    put(file, "login.start", True)
    assert file.read_text().startswith(WRITTEN.replace("9000", "9001").rstrip())
    assert load(file).login.start


def test_line_ends_are_kept(file):
    file.write_bytes(WRITTEN.replace("\n", "\r\n").encode())
    put(file, "server.port", 9001)
    assert file.read_bytes() == WRITTEN.replace("9000", "9001").replace("\n", "\r\n").encode()


def test_an_invalid_change_leaves_the_file_alone(file):
    for name, value in (("server.port", 3), ("server.prot", 9000), ("watch", {})):
        with pytest.raises(ConfigError):
            put(file, name, value)
    assert file.read_text() == WRITTEN
    assert [path.name for path in file.parent.iterdir()] == ["config.toml"]


def test_none_restores_the_default(file):
    until = datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert put(file, "watch.paused_until", until).watch.paused_until == until
    assert put(file, "watch.paused_until", None) == load(file)
    assert load(file).watch.paused_until is None
    assert put(file, "server.port", None).server == Config().server


def test_the_first_setting_creates_the_file_and_its_folder(tmp_path):
    path = tmp_path / "new" / "config.toml"
    assert put(path, "worker.model", "mini").worker.model == "mini"
    assert load(path).worker.model == "mini"


def test_a_file_that_is_a_link_stays_a_link(file, tmp_path):
    link = tmp_path / "dot" / "config.toml"
    link.parent.mkdir()
    link.symlink_to(file)
    put(link, "server.port", 9002)
    assert link.is_symlink()
    assert load(file).server.port == 9002


@pytest.mark.parametrize(
    ("name", "typed", "meant"),
    [
        ("server.port", "9000", 9000),
        ("login.start", "true", True),
        ("worker.model", "mini", "mini"),
        ("worker.model", "", None),
        ("notifications.level", "none", "none"),
        ("notifications.quiet_hours", "22:00-7:30", "22:00-7:30"),
        ("notifications.quiet_hours", "", None),
        ("notifications.pictures", "false", False),
        ("watch.paused_until", "none", None),
        ("watch.paused_until", "2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("server.port", "many", "many"),
    ],
)
def test_values_are_read_as_people_type_them(name, typed, meant):
    assert from_text(name, typed) == meant


def test_folders_are_added_and_removed_and_comments_stay(file, tmp_path):
    pictures = Folder(tmp_path, include=("*.png",), polling=True)
    assert add_folder(file, pictures).watch.folders[1] == pictures
    with pytest.raises(ConfigError, match="watched already"):
        add_folder(file, pictures)
    more = pictures.with_more(Folder(tmp_path, exclude=("a/**",), recursive=False))
    assert more == Folder(tmp_path, ("*.png",), ("a/**",), recursive=False, polling=True)
    assert change_folder(file, pictures, more).watch.folders[1] == more
    assert change_folder(file, more, pictures).watch.folders[1] == pictures
    with pytest.raises(ConfigError, match="is not watched"):
        change_folder(file, pictures, Folder(tmp_path / "else"))
    assert "# hers" in file.read_text()
    assert remove_folder(file, Path("/home/anna/Downloads")).watch.folders == (pictures,)
    with pytest.raises(ConfigError, match="is not watched"):
        remove_folder(file, Path("/home/anna/Downloads"))
    assert remove_folder(file, pictures.path).watch.folders == ()
    assert add_folder(file, pictures).watch.folders == (pictures,)
    assert file.read_text().startswith("# my settings")


@pytest.mark.parametrize(
    "text",
    [
        "[watch]\nfolders = []\n",
        'watch.folders = [{path = "/a"}]\n',
        "[watch]\nquiet_s = 1  # slow drive\n\n[server]\nport = 9000\n",
    ],
)
def test_folders_are_added_however_the_others_are_written(tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text)
    folders = load(path).watch.folders
    assert add_folder(path, Folder(tmp_path)).watch.folders == (*folders, Folder(tmp_path))
    assert remove_folder(path, tmp_path).watch.folders == folders
    assert load(path).watch.quiet_s in (0.6, 1)


@pytest.mark.parametrize("way", ["add", "put"])
def test_a_new_folder_must_be_there_but_an_old_one_may_be_away(file, tmp_path, way):
    (tmp_path / "a.png").touch()

    def add(path):
        if way == "add":
            return add_folder(file, Folder(path))
        now = [{"path": str(one.path)} for one in load(file).watch.folders]
        return put(file, "watch.folders", [*now, {"path": str(path)}])

    before = file.read_text()
    for name, sentence in (("none", "There is no folder"), ("a.png", "is a file, not a folder")):
        with pytest.raises(ConfigError, match=sentence):
            add(tmp_path / name)
    assert file.read_text() == before
    assert [one.path for one in add(tmp_path).watch.folders] == [
        Path("/home/anna/Downloads"),  # which is not there
        tmp_path,
    ]


def test_the_first_folder_creates_the_file(tmp_path):
    folder = Folder(tmp_path)
    assert add_folder(tmp_path / "config.toml", folder).watch.folders == (folder,)


def test_the_output_can_be_read_back(file):
    config = put(file, "watch.paused_until", datetime(2026, 5, 1, tzinfo=UTC))
    assert parse(to_toml(config), file) == config
    assert parse(to_toml(Config()), file) == Config()


def test_the_file_is_in_the_given_home_or_where_the_platform_puts_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ANTIFAKE_HOME", str(tmp_path))
    assert config_path() == tmp_path / "config.toml"
    monkeypatch.delenv("ANTIFAKE_HOME")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert config_path().name == "config.toml"
    assert config_path().parent.name == "antifake"


def test_settings_and_the_store_import_nothing_heavy():
    code = "import antifake.daemon.config, antifake.daemon.store, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"torch", "numpy", "PIL", "alembic", "transformers"}


def test_what_a_setting_would_be_is_what_putting_it_makes_of_the_file(file):
    now = put(file, "history.thumbnails", 100_000)
    for name, value in (("history.keep_days", 7), ("history.thumbnails", None)):
        would_be = changed(now, name, value)
        now = put(file, name, value)
        assert would_be == now
    assert now.history.thumbnails == Config().history.thumbnails
    for value in (-1, "x", True):
        with pytest.raises(ConfigError, match=r"history\.keep_days cannot be"):
            changed(now, "history.keep_days", value)
