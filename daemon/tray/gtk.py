"""Finds GTK for Python, which pystray needs for a menu in a panel that embeds windows.

A virtual environment does not see the system's `gi`, and pip cannot install it without a compiler
and GTK's headers. But the system's can be imported by any Python of the same version.
"""

import importlib.util
import sys
import sysconfig
from pathlib import Path

from antifake.core.i18n import _

PLACES = (
    "/usr/lib/python3/dist-packages",
    "/usr/lib64/python{}/site-packages",
    "/usr/lib/python{}/site-packages",
)
"""Where Debian and its relatives, Fedora and its relatives, and all others have it."""


def load_gi(places: tuple[str, ...] = PLACES) -> str:
    """Makes `gi` importable. Returns "", or a sentence that says why it is not."""
    if "gi" in sys.modules or importlib.util.find_spec("gi"):
        return ""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = [Path(place.format(version)) / "gi" for place in places]
    for folder in found:
        if (folder / f"_gi{sysconfig.get_config_var('EXT_SUFFIX')}").exists():
            return _imported_from(folder)
    if any((folder / "__init__.py").exists() for folder in found):
        return _(
            "For a menu it needs GTK for Python {version}, which antifake runs on; the system's "
            "is for another Python.",
            version=version,
        )
    return _(
        "For a menu it needs GTK for Python {version} (on Debian: python3-gi gir1.2-gtk-3.0).",
        version=version,
    )


def _imported_from(folder: Path) -> str:
    """Import only `gi`: the folder around it has packages that would hide those of antifake."""
    spec = importlib.util.spec_from_file_location(
        "gi", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        return _("It has no menu, because {folder} cannot be read.", folder=folder)
    sys.modules["gi"] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001  # a system's package may fail in its own ways
        del sys.modules["gi"]
        return _(
            "It has no menu, because the system's GTK for Python does not load: {why}.", why=error
        )
    return ""
