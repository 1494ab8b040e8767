"""The known models, the installed ones and the active one. Imports no torch."""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .bundle import MANIFEST, Bundle
from .errors import ModelError, UsageError
from .files import read_capped, write_atomically
from .i18n import _
from .private_files import make_private, secure

MINI = "mini"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class CatalogEntry:
    """A model that can be pulled by name."""

    name: str
    what: str
    hub: str = ""
    """Hub id; empty for the embedded model, which is assembled from two parts."""
    hub_bytes: int = 0
    """The approximate size of the download."""


CATALOG = {
    known.name: known
    for known in (
        CatalogEntry(MINI, _("small InstructBLIP on CLIP ViT-B/16, works out of the box")),
        CatalogEntry(
            "instructblip-vicuna-7b",
            _("the model of the AntifakePrompt paper; needs an official prompt and 16 GB"),
            "Salesforce/instructblip-vicuna-7b",
            31_700_000_000,
        ),
        CatalogEntry(
            "instructblip-flan-t5-xl",
            _("InstructBLIP with FLAN-T5; no prompt for it is published: it needs one of your own"),
            "Salesforce/instructblip-flan-t5-xl",
            16_100_000_000,
        ),
    )
}


@dataclass(frozen=True)
class Home:
    """The folder with all data of one user."""

    root: Path

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def prompts(self) -> Path:
        return self.root / "prompts"

    @property
    def downloads(self) -> Path:
        return self.root / "downloads"

    @property
    def folders(self) -> tuple[Path, ...]:
        return self.root, self.models, self.prompts, self.downloads

    @property
    def _active(self) -> Path:
        return self.models / "active"

    def installed(self) -> dict[str, Bundle]:
        """Returns all bundles that can be opened, by name. Damaged ones are left out."""
        found = {}
        for manifest in sorted(self.models.glob(f"*/{MANIFEST}")):
            if is_name(manifest.parent.name):
                try:
                    found[manifest.parent.name] = Bundle.open(manifest.parent)
                except ModelError:
                    continue
        return found

    def active(self) -> str:
        """Returns the name of the model that is used when none is named.

        A name that cannot be one is returned as well, so that who opens that model is told.
        """
        try:
            return read_capped(self._active, 4096, "name").decode(errors="replace").strip() or MINI
        except ModelError:
            return MINI

    def use(self, name: str) -> None:
        """Makes a model the active one. Raises ModelError if it is not installed."""
        self.bundle(name)
        write_atomically(self._active, name.encode())

    def bundle(self, name: str | None = None) -> Bundle:
        """Opens a model by name or folder; None is the active one. Raises ModelError."""
        name = name or self.active()
        if "/" in name or "\\" in name:
            return Bundle.open(Path(name))
        folder = self.models / checked_name(name)
        if not folder.is_dir():
            raise _not_here(name)
        return Bundle.open(folder)

    def note_request(self, what: str, n_bytes: int) -> None:
        """Records that something was fetched; `antifake privacy` shows these lines."""
        make_private(self.root)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with (self.root / "requests.log").open("a", encoding="utf-8") as log:
            log.write(f"{now}  {n_bytes:>14,} bytes  {what}\n")

    def requests(self) -> list[str]:
        """Returns all lines that `note_request` wrote."""
        log = self.root / "requests.log"
        try:
            return log.read_text("utf-8", "replace").splitlines() if log.is_file() else []
        except OSError:
            return []


def _not_here(name: str) -> ModelError:
    if name not in CATALOG:
        return ModelError(
            _("The model {name} is not on this computer: see `antifake model list`.", name=name)
        )
    return ModelError(
        _(
            "The model {name} is not on this computer: get it with `antifake model pull {name}`.",
            name=name,
        )
    )


def user_home() -> Home:
    """The folder of this user; the environment variable ANTIFAKE_HOME names another one.

    Raises NotPrivateError if others could change what is in it.
    """
    if chosen := os.environ.get("ANTIFAKE_HOME"):
        home = Home(Path(chosen))
    else:
        import platformdirs  # noqa: PLC0415 - only where no folder is named

        home = Home(platformdirs.user_data_path("antifake", appauthor=False))
    secure(home.root, home.folders)
    return home


def is_name(name: str) -> bool:
    """Returns whether a model or prompt can have it: a valid file name on every system."""
    return _NAME.fullmatch(name) is not None and name != "active"


def checked_name(name: str) -> str:
    """Returns the name if `is_name`. Raises UsageError."""
    if not is_name(name):
        raise UsageError(_("{name!r} cannot be a name: use letters, digits, dot, dash.", name=name))
    return name
