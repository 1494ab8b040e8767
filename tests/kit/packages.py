"""The Debian packages that the tests of page, tray and autostart need, such as a browser.

`make test` runs this. As root it installs missing packages; otherwise it names them and fails.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "chromium": "chromium",
    "firefox-esr": "firefox-esr",
    "Xvfb": "xvfb",
    "openbox": "openbox",
    "trayer": "trayer",
    "xdotool": "xdotool",
    "import": "imagemagick",
    "xwininfo": "x11-utils",
    "dbus-daemon": "dbus-daemon",
    "dbus-monitor": "dbus-bin",
    "dbus-send": "dbus-bin",
    "xclip": "xclip",
    "gio": "libglib2.0-bin",
    "systemd-analyze": "systemd",
    "/usr/lib/postgresql/*/bin/postgres": "postgresql",
    "/usr/lib/notification-daemon/notification-daemon": "notification-daemon",
}
"""Programs by name, or by path if they are not on PATH: there * stands for any version."""
MODULES = {
    "gi": "python3-gi",
    "gi.repository.Gtk": "gir1.2-gtk-3.0",
    "gi.repository.AyatanaAppIndicator3": "gir1.2-ayatanaappindicator3-0.1",
}
FONTS = {"DejaVu Sans": "fonts-dejavu-core", "Noto Sans CJK": "fonts-noto-cjk"}


def missing() -> list[str]:
    """Returns the Debian packages that are missing."""
    packages = [
        package
        for program, package in PROGRAMS.items()
        if not shutil.which(program) and not any(Path("/").glob(program.lstrip("/")))
    ]
    for module, package in MODULES.items():
        code = f"import {module.split('.')[0]}"
        if "." in module:
            code = f"from gi.repository import {module.rsplit('.', 1)[1]}"
        if not _succeeds("/usr/bin/python3", "-W", "ignore", "-c", code):
            packages.append(package)
    if shutil.which("fc-list"):
        fonts = subprocess.run(["fc-list"], capture_output=True, text=True, check=False).stdout
        packages += [package for name, package in FONTS.items() if name not in fonts]
    else:
        packages += ["fontconfig", *FONTS.values()]
    return packages


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def main() -> None:
    packages = missing()
    if not packages:
        return
    names = " ".join(packages)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit(
            f"The tests of page and tray need these Debian packages, and only root may install "
            f"them:\n    apt-get install {names}"
            if shutil.which("apt-get")
            else f"The tests of page and tray need what Debian has in these packages; install the "
            f"same here by hand: {names}"
        )
    print(f"Installing for the tests of page and tray: {names}", file=sys.stderr)
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-qq", "update"], check=False, env=quiet)
    install = ["apt-get", "-qq", "-y", "--no-install-recommends", "install"]
    done = subprocess.run([*install, *packages], env=quiet, stdout=subprocess.DEVNULL, check=False)
    left = missing()
    if done.returncode or left:
        sys.exit(
            f"apt-get could not install these Debian packages, its messages are above: "
            f"{' '.join(left or packages)}"
        )


if __name__ == "__main__":
    main()
