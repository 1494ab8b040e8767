"""Autostart: which entries are written, that they can be removed, and what their state is."""

import os
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kit.display import need
from kit.pace import within
from kit.waiting import eventually

from antifake.daemon import autostart
from antifake.daemon.autostart import AutostartError, Session
from antifake.daemon.autostart.desktop import DesktopEntry
from antifake.daemon.autostart.entry import Program
from antifake.daemon.autostart.macos import LaunchAgent
from antifake.daemon.autostart.systemd import SystemdUnit
from antifake.daemon.autostart.windows import RunKey

SYSTEMCTL = """#!/bin/sh
# Makes the links that systemd makes, and writes down how it was called.
echo "$@" >> {log}
unit={units}/default.target.wants/"$3"
case "$2" in
  enable) mkdir -p {units}/default.target.wants; ln -sfn ../"$3" "$unit";;
  disable) rm -f "$unit"; rmdir {units}/default.target.wants 2> /dev/null; exit 0;;
  is-enabled) test -L "$unit";;
esac
"""
REG = """#!{python}
# A registry in a file: one line a value.
import sys, pathlib
store = pathlib.Path({store!r})
what, key, _, name, *rest = sys.argv[1:]
lines = store.read_text().splitlines() if store.exists() else []
mine = [line for line in lines if line.startswith(f"{{key}}|{{name}}|")]
if what == "query":
    if not mine: sys.exit(1)
    print(f"\\r\\n{{key}}\\r\\n    {{name}}    REG_SZ    {{mine[0].split('|', 2)[2]}}\\r\\n")
    sys.exit(0)
lines = [line for line in lines if line not in mine]
if what == "add":
    lines.append(f"{{key}}|{{name}}|{{rest[rest.index('/d') + 1]}}")
store.write_text("\\n".join(sorted(lines)))
"""


def program_in(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home folder, and a PATH without systemctl."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".config").mkdir()
    return tmp_path / "home"


@pytest.fixture
def asked(tmp_path, home) -> Path:
    """A stand-in for the user's systemd; returns the file in which it writes its calls."""
    units = home / ".config" / "systemd" / "user"
    log = tmp_path / "asked.txt"
    os.environ["PATH"] += f"{os.pathsep}/usr/bin{os.pathsep}/bin"
    program_in(tmp_path / "bin", "systemctl", SYSTEMCTL.format(log=log, units=units))
    return log


def session(home: Path, platform="linux", python=sys.executable, **environment) -> Session:
    return Session(platform, python, home, environment)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Returns everything in a folder: files with their bytes, links with their targets."""
    return {
        str(path.relative_to(folder)): str(path.readlink()).encode()
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in sorted(folder.rglob("*"))
    }


def on_off_is_reversible(home, of):
    """Switches on and off twice: the second time changes nothing, and off restores everything."""
    before = tree(home)
    autostart.turn_on(of)
    once = tree(home)
    assert once != before
    assert all(one.is_on or one.name == "antifake-tray" for one in autostart.status(of))
    autostart.turn_on(of)
    assert tree(home) == once
    autostart.turn_off(of)
    assert tree(home) == before
    assert not any(one.is_on for one in autostart.status(of))
    autostart.turn_off(of)
    assert tree(home) == before


# --- Each way ---------------------------------------------------------------------------------


def test_without_systemd_autostart_is_a_desktop_entry(home):
    of = session(home, DISPLAY=":0")
    on_off_is_reversible(home, of)
    found = autostart.turn_on(of)
    assert [one.way for one in found] == ["XDG autostart", "XDG autostart"]
    assert sorted(path.name for path in (home / ".config" / "autostart").iterdir()) == [
        "antifake-tray.desktop",
        "antifake.desktop",
    ]


def test_with_systemd_the_daemon_is_a_unit_and_the_tray_an_entry(home, asked):
    of = session(home, WAYLAND_DISPLAY="wayland-0")
    on_off_is_reversible(home, of)
    found = autostart.turn_on(of)
    assert [(one.name, one.way, one.is_on, one.problem) for one in found] == [
        ("antifake", "systemd", True, None),
        ("antifake-tray", "XDG autostart", True, None),
    ]
    questions = asked.read_text().splitlines()
    assert "--user enable antifake.service" in questions
    assert "--user disable antifake.service" in questions
    assert "--user daemon-reload" in questions


def test_without_a_screen_there_is_no_tray(home):
    found = autostart.turn_on(session(home))
    assert [one.is_on for one in found] == [True, False]


def test_files_of_other_programs_are_left_alone(home):
    theirs = home / ".config" / "autostart" / "other.desktop"
    theirs.parent.mkdir()
    theirs.write_text("[Desktop Entry]\n")
    on_off_is_reversible(home, session(home, DISPLAY=":0"))
    assert theirs.exists()


def test_an_old_entry_from_before_systemd_does_not_start_a_second_daemon(home, tmp_path):
    of = session(home)
    autostart.turn_on(of)
    entry = home / ".config" / "autostart" / "antifake.desktop"
    assert entry.exists()
    os.environ["PATH"] += f"{os.pathsep}/usr/bin{os.pathsep}/bin"
    units = home / ".config" / "systemd" / "user"
    text = SYSTEMCTL.format(log=tmp_path / "asked.txt", units=units)
    program_in(tmp_path / "bin", "systemctl", text)
    autostart.turn_on(of)
    assert not entry.exists()


def test_xdg_config_home_is_used_unless_it_is_relative(home, tmp_path):
    assert session(home, XDG_CONFIG_HOME=str(tmp_path / "x")).config_home == tmp_path / "x"
    assert session(home, XDG_CONFIG_HOME="x").config_home == home / ".config"


def test_an_error_of_systemd_is_quoted(home, tmp_path):
    program_in(
        tmp_path / "bin",
        "systemctl",
        '#!/bin/sh\ntest "$2" = show-environment && exit 0\necho "Access denied" >&2\nexit 1\n',
    )
    with pytest.raises(AutostartError, match="Access denied"):
        autostart.turn_on(session(home))


# --- The state on disk --------------------------------------------------------------------------


@pytest.mark.parametrize("is_systemd", [False, True])
def test_a_missing_python_is_reported(home, request, is_systemd):
    if is_systemd:
        request.getfixturevalue("asked")
    python = home / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    shutil.copy("/bin/true", python)
    of = session(home, python=str(python))
    autostart.turn_on(of)
    assert autostart.status(of)[0].problem is None
    python.unlink()
    problem = autostart.status(of)[0].problem
    assert str(python) in problem
    assert "not there" in problem


def test_an_entry_of_another_antifake_is_reported(home):
    autostart.turn_on(session(home, python="/bin/true"))
    assert "another antifake" in autostart.status(session(home))[0].problem


@pytest.mark.parametrize("line", ["Hidden=true", "X-GNOME-Autostart-enabled=false"])
def test_an_entry_that_the_desktop_disabled_is_off(home, line):
    of = session(home)
    autostart.turn_on(of)
    path = home / ".config" / "autostart" / "antifake.desktop"
    path.write_text(path.read_text() + line + "\n")
    assert not autostart.status(of)[0].is_on


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"[Desktop Entry]\n", b"Exec = 1"])
def test_an_invalid_entry_is_reported_and_can_be_switched_off(home, content):
    path = home / ".config" / "autostart" / "antifake.desktop"
    path.parent.mkdir()
    path.write_bytes(content)
    of = session(home)
    assert autostart.status(of)[0].problem
    autostart.turn_off(of)
    assert not path.exists()


# --- Characters that are special for systemd and desktops -----------------------------------------

HOSTILE = '/home/a b/100%/$HOME/`id`/"q"/\\back/\'s'


def hostile() -> Program:
    return Program("antifake", "antifake", (sys.executable, "-m", "x", HOSTILE), HOSTILE)


def test_hostile_paths_come_back_from_every_kind_of_file(home, asked):
    for way in (
        DesktopEntry(hostile(), home / ".config"),
        SystemdUnit(hostile(), home / ".config"),
        LaunchAgent(hostile(), home),
    ):
        way.on()
        assert way.status().problem is None, way
    assert asked.exists()


def test_a_path_with_a_line_end_is_refused(home):
    program = Program("antifake", "antifake", (sys.executable, "a\nExecStart=/bin/evil"))
    for way in (DesktopEntry(program, home), SystemdUnit(program, home)):
        with pytest.raises(AutostartError, match="cannot stand"):
            way.on()


def test_a_desktop_entry_is_read_by_glib_as_it_was_meant(home):
    """With the library that GNOME, XFCE and Cinnamon use to start their entries."""
    told = home / "told.txt"
    code = f"import os, sys; open({str(told)!r}, 'w').write(repr([sys.argv, os.environ['X_Y']]))"
    script = home / "say it.py"
    script.write_text(code.replace("X_Y", "ANTIFAKE_HOME"))
    program = Program("antifake", "antifake", (sys.executable, str(script), HOSTILE), HOSTILE)
    entry = DesktopEntry(program, home / ".config")
    entry.on()
    subprocess.run(
        [need("/usr/bin/gio"), "launch", entry.path],
        env={**os.environ, "PATH": "/usr/bin:/bin", "HOME": str(home)},
        check=True,
        timeout=within(20),
        capture_output=True,
    )
    text = eventually(lambda: told.exists() and told.read_text())
    assert text == repr([[str(script), HOSTILE], HOSTILE])


@pytest.mark.parametrize("chosen", [None, HOSTILE])
def test_systemd_itself_finds_nothing_wrong_with_the_unit(home, tmp_path, chosen):
    verifier = need("/usr/bin/systemd-analyze")
    environment = {"ANTIFAKE_HOME": chosen} if chosen else {}
    unit = SystemdUnit(session(home, **environment).daemon, home / ".config")
    path = tmp_path / "antifake.service"
    path.write_text(unit.text())
    (tmp_path / "run").mkdir(mode=0o700)
    done = subprocess.run(
        [verifier, "--user", "verify", path],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "run"), "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=within(30),
    )
    mine = [line for line in done.stderr.splitlines() if "antifake" in line]
    assert (done.returncode, mine) == (0, []), done.stderr


def test_the_unit_keeps_its_promises(home):
    text = SystemdUnit(session(home, ANTIFAKE_HOME="/srv/af").daemon, home).text()
    for line in (
        f'ExecStart="{sys.executable}" "-m" "antifake.daemon" "daemon" "run"',
        'Environment="ANTIFAKE_HOME=/srv/af"',
        "Restart=on-failure",
        "RestartSec=3",
        "StartLimitBurst=5",
        "TimeoutStopSec=20",
        "KillMode=mixed",
        "UMask=0077",
        "NoNewPrivileges=true",
        "LockPersonality=true",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "MemoryHigh=6G",
        "WantedBy=default.target",
    ):
        assert line in text.splitlines()


# --- Other systems: only the files that the same code writes ------------------------------------


def test_the_launch_agent_is_a_plist_with_everything_in_it(home):
    of = session(home, "darwin", ANTIFAKE_HOME="/srv/af")
    (home / "Library").mkdir()
    on_off_is_reversible(home, of)
    autostart.turn_on(of)
    path = home / "Library" / "LaunchAgents" / "local.antifake.plist"
    content = plistlib.loads(path.read_bytes())
    assert content["ProgramArguments"] == [sys.executable, "-m", "antifake.daemon", "daemon", "run"]
    assert content["EnvironmentVariables"] == {"ANTIFAKE_HOME": "/srv/af"}
    assert content["KeepAlive"] == {"SuccessfulExit": False}
    assert content["Umask"] == 0o77


@pytest.fixture
def registry(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    store = tmp_path / "registry.txt"
    program_in(tmp_path / "bin", "reg", REG.format(python=sys.executable, store=str(store)))
    return store


def test_the_run_key_holds_a_command_without_a_console(registry):
    python = r"C:\Program Files\Python\python.exe"
    key = RunKey(Program("antifake", "antifake", (python, "-m", "x")))
    assert key.command() == r'"C:\Program Files\Python\pythonw.exe" -m x'
    key.on()
    once = registry.read_text()
    key.on()
    assert registry.read_text() == once
    assert key.status().is_on
    assert "pythonw.exe, which is not there" in key.status().problem
    key.off()
    key.off()
    assert not key.status().is_on
    assert registry.read_text() == ""


def test_windows_is_told_to_keep_a_chosen_home_first(registry):
    key = RunKey(Program("antifake", "antifake", ("python", "-m", "x"), r"D:\af"))
    with pytest.raises(AutostartError, match="setx"):
        key.on()
    registry.write_text(r"HKCU\Environment|ANTIFAKE_HOME|D:\af")
    key.on()
    assert key.status().is_on


def test_a_command_that_windows_would_cut_is_refused():
    key = RunKey(Program("antifake", "antifake", ("C:\\" + "x" * 300, "-m")))
    with pytest.raises(AutostartError, match="this long"):
        key.on()


# --- The menu ---------------------------------------------------------------------------------


def test_the_entry_in_the_menu_opens_the_page_and_can_be_removed(home):
    of = session(home, ANTIFAKE_HOME="/data/my antifake")
    (home / ".local" / "share").mkdir(parents=True)
    before = tree(home)
    of.menu.on()
    entry = home / ".local" / "share" / "applications" / "antifake.desktop"
    assert of.menu.path == entry
    text = entry.read_text()
    assert f'Exec="env" "ANTIFAKE_HOME=/data/my antifake" "{sys.executable}" ' in text
    assert '"-m" "antifake.daemon" "open"\n' in text
    assert "\nName=antifake\n" in text
    assert of.menu.icon.read_text().startswith("<svg")
    assert f"\nIcon={of.menu.icon}\n" in text
    assert of.menu.status().is_on
    of.menu.off()
    assert tree(home) == before
    of.menu.off()


def test_the_menu_lies_where_the_user_keeps_data(home, tmp_path):
    assert session(home, XDG_DATA_HOME=str(tmp_path / "d")).menu.path.is_relative_to(tmp_path / "d")
    assert session(home, XDG_DATA_HOME="relative").menu.path.is_relative_to(home)


def test_only_linux_has_such_a_menu(home):
    assert session(home).has_menu
    assert not session(home, platform="win32").has_menu
    assert not session(home, platform="darwin").has_menu
