"""A virtual screen with a real panel, mouse and keyboard: Xvfb, openbox, trayer, xdotool.

If a program is missing, the test fails with a message that names its Debian package.
"""

import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Self

import pytest
from kit.pace import within
from kit.packages import PROGRAMS
from kit.waiting import eventually
from PIL import Image

NOTIFIER = "/usr/lib/notification-daemon/notification-daemon"
WIDTH, HEIGHT = 1000, 600
PANEL = 32
"""The panel's height in pixels."""

OF_A_SESSION = (
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "PYSTRAY_BACKEND",
)
"""Variables that lead to the screen, bus and panel of the person who runs the tests."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom."""


def need(program: str) -> str:
    found = shutil.which(program)
    if not found:
        package = PROGRAMS.get(program) or PROGRAMS[Path(program).name]
        pytest.fail(f"`{program}` is missing; on Debian: apt install {package}")
    return found


@contextmanager
def process(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a program that ends with the test."""
    started = subprocess.Popen(command, env=env, stdout=stdout, stderr=stderr, pass_fds=pass_fds)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(within(20))
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def output_of(started: subprocess.Popen[bytes]) -> IO[bytes]:
    assert started.stdout is not None, "it was started without a pipe"
    return started.stdout


BUS = """<busconfig>
<type>session</type>
<listen>unix:path={folder}/bus</listen>
<policy context="default">
<allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/>
<allow own="*"/>
</policy>
</busconfig>
"""
"""Without this computer's services: no program is started because a message is sent to it."""


@contextmanager
def private_bus(folder: Path) -> Iterator[str]:
    """Runs a session bus with nobody on it. Yields its address. The socket is `folder`/bus."""
    file = folder / "bus.conf"
    file.write_text(BUS.format(folder=folder))
    command = [need("dbus-daemon"), f"--config-file={file}", "--nofork", "--print-address=1"]
    quiet = subprocess.DEVNULL
    with process(command, stdout=subprocess.PIPE, stderr=quiet) as started:
        try:
            yield output_of(started).readline().decode().strip()
        finally:
            started.terminate()
            started.wait(within(20))
            output_of(started).close()


class Display:
    """A context manager. `env` is the environment for programs on this screen."""

    def __enter__(self) -> Self:
        self._parts = ExitStack()
        reading, writing = os.pipe()
        quiet = subprocess.DEVNULL
        screen = f"{WIDTH}x{HEIGHT}x24"
        command = [need("Xvfb"), "-displayfd", str(writing), "-screen", "0", screen]
        # Without -noreset the server starts over whenever nobody is connected, as between two
        # looks below, and hangs up on a program that is just about to introduce itself.
        command += ["-noreset", "-nolisten", "tcp"]
        with ExitStack() as failing:
            failing.push(self._parts)
            server = process(command, pass_fds=[writing], stdout=quiet, stderr=quiet)
            self._parts.enter_context(server)
            os.close(writing)
            with os.fdopen(reading) as told:
                self.name = f":{told.readline().strip()}"
            kept = {key: value for key, value in os.environ.items() if key not in OF_A_SESSION}
            self.env = {**kept, "DISPLAY": self.name, "NO_AT_BRIDGE": "1"}
            self._parts.enter_context(
                process([need("openbox")], env=self.env, stdout=quiet, stderr=quiet)
            )
            eventually(self._supports_windows)
            failing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def _supports_windows(self) -> bool:
        done = self.do("xwininfo", "-root", "-children", check=False)
        return "Openbox" in done or "openbox" in done

    def do(self, program: str, *arguments: object, check: bool = True) -> str:
        done = subprocess.run(
            [need(program), *map(str, arguments)], env=self.env, capture_output=True, check=check
        )
        return done.stdout.decode(errors="replace")

    @contextmanager
    def panel(self, colour: str = "0x202226") -> Iterator[subprocess.Popen[bytes]]:
        """Starts a new panel. An old one stays one pixel wide after its icon has left."""
        command = [
            need("trayer"),
            "--edge",
            "top",
            "--align",
            "right",
            "--widthtype",
            "request",
            "--height",
            str(PANEL),
            "--transparent",
            "true",
            "--alpha",
            "0",
            "--tint",
            colour,
        ]
        quiet = subprocess.DEVNULL
        with process(command, env=self.env, stdout=quiet, stderr=quiet) as started:
            eventually(lambda: "panel" in self.do("xwininfo", "-root", "-tree", check=False))
            yield started

    @contextmanager
    def bus(self) -> Iterator[str]:
        """Runs a session bus for programs that are started inside. Yields its address."""
        with TemporaryDirectory() as folder, private_bus(Path(folder)) as address:
            self.env["DBUS_SESSION_BUS_ADDRESS"] = address
            try:
                yield address
            finally:
                del self.env["DBUS_SESSION_BUS_ADDRESS"]

    @contextmanager
    def notifier(self) -> Iterator[Callable[[], str]]:
        """Runs a notification service. Yields a function that returns all notifications so far."""
        asked = "interface='org.freedesktop.Notifications'"
        with (
            process([need("dbus-monitor"), asked], env=self.env, stdout=subprocess.PIPE) as monitor,
            process([need(NOTIFIER)], env=self.env, stderr=subprocess.DEVNULL),
        ):
            output = output_of(monitor)
            os.set_blocking(output.fileno(), False)
            heard: list[bytes] = []

            def listen() -> str:
                heard.append(output.read() or b"")
                return b"".join(heard).decode(errors="replace")

            eventually(lambda: "NameAcquired" in listen())  # the monitor's own
            eventually(self._has_notifications)
            try:
                yield listen
            finally:
                output.close()

    def _has_notifications(self) -> bool:
        """Returns whether somebody on the bus shows notifications: a service starts slowly."""
        bus, name = "org.freedesktop.DBus", "org.freedesktop.Notifications"
        request = ["--print-reply", f"--dest={bus}", "/", f"{bus}.NameHasOwner", f"string:{name}"]
        return "boolean true" in self.do("dbus-send", *request)

    def screenshot(self, path: Path | None = None) -> Image.Image:
        shot = subprocess.run(
            [need("import"), "-silent", "-window", "root", "png:-"],
            env=self.env,
            capture_output=True,
            check=True,
        ).stdout
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(shot)
        return Image.open(io.BytesIO(shot)).convert("RGB")

    def icon_box(self) -> Box | None:
        """The panel's place, once an icon is in it."""
        for name in self.do("xdotool", "search", "--class", "trayer", check=False).split():
            lines = self.do("xdotool", "getwindowgeometry", "--shell", name, check=False).split()
            place = dict(line.split("=") for line in lines if "=" in line)
            if int(place.get("WIDTH", 0)) >= 16 and int(place["HEIGHT"]) == PANEL:
                left, top = int(place["X"]), int(place["Y"])
                return left, top, left + int(place["WIDTH"]), top + int(place["HEIGHT"])
        return None

    def click_icon(self, button: int = 1) -> None:
        box = eventually(self.icon_box)
        self.click((box[0] + box[2]) // 2, (box[1] + box[3]) // 2, button)

    def click(self, x: int, y: int, button: int = 1) -> None:
        # In one command: --sync would wait forever for a mouse that is already there.
        self.do("xdotool", "mousemove", x, y, "click", button)

    def keys(self, *names: str) -> None:
        for name in names:
            self.do("xdotool", "key", "--delay", "60", name)
