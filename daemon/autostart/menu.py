"""A desktop entry in the user's menu, with an icon. It opens the page, and starts antifake first if
needed. Only for Linux: nothing of the kind is made on Windows and macOS.
"""

from dataclasses import dataclass
from pathlib import Path

from antifake.core.files import write_atomically
from antifake.core.i18n import _

from .desktop import exec_line, string_value
from .entry import Program, Status, remove, single_line

ICON = Path(__file__).parents[1] / "web" / "pages" / "static" / "icon.svg"

_ENTRY = """\
[Desktop Entry]
Type=Application
Version=1.0
Name=antifake
GenericName={kind}
Comment={what}
TryExec={program}
Exec={command}
Icon={icon}
Terminal=false
Categories=Utility;Graphics;
Keywords={keywords}
StartupNotify=false
"""


@dataclass(frozen=True)
class MenuEntry:
    program: Program
    data_home: Path

    @property
    def path(self) -> Path:
        return self.data_home / "applications" / "antifake.desktop"

    @property
    def icon(self) -> Path:
        return self.data_home / "icons" / "hicolor" / "scalable" / "apps" / "antifake.svg"

    def on(self) -> None:
        # A copy of the icon, as the environment that antifake is installed in may move or go.
        write_atomically(self.icon, ICON.read_bytes())
        write_atomically(self.path, self.text().encode())

    def off(self) -> None:
        remove(self.path, self.data_home)
        remove(self.icon, self.data_home)

    def status(self) -> Status:
        return Status("antifake", "menu", self.path.exists(), str(self.path))

    def text(self) -> str:
        return _ENTRY.format(
            kind=_("Detector of AI-made pictures"),
            what=self.program.what,
            # Translators: words that find the program in a menu; each ends in a semicolon.
            keywords=_("AI;fake;picture;photo;image;deepfake;"),
            program=string_value(single_line(self.program.command[0])),
            command=exec_line(self.program),
            icon=string_value(single_line(str(self.icon))),
        )
