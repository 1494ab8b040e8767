"""Files and pictures that several commands take from the command line."""

from pathlib import Path
from typing import TYPE_CHECKING

from antifake.core.addresses import path_of
from antifake.core.errors import UsageError
from antifake.core.i18n import _

if TYPE_CHECKING:
    from antifake.trainer.examples import Example


def prompt_file(out: str) -> Path:
    """Returns the file to write a prompt to. Its ending may be left out."""
    return Path(out if out.endswith(".safetensors") else f"{out}.safetensors")


def new_file(path: Path) -> Path:
    """Returns the path. Raises UsageError where it exists."""
    if path.exists():
        raise UsageError(_("{path} exists already; nothing was overwritten.", path=path))
    return path


def named(text: str | None) -> Path | None:
    """Returns what an option names, as a path or as a file:// address. Raises UsageError."""
    return path_of(text) if text else None


def labelled_pictures(
    real: str | None, fake: str | None, manifest: str | None, only: str
) -> "list[Example]":
    """Returns the pictures of two folders and of a table. Raises UsageError."""
    from antifake.trainer.examples import from_folders, from_manifest

    if not (real or fake or manifest):
        raise UsageError(_("Name pictures: --real DIR and --fake DIR, or --manifest FILE."))
    found = from_folders(named(real), named(fake))
    found += from_manifest(table, only) if (table := named(manifest)) else []
    if not found:
        raise UsageError(_("There are no pictures in what you named."))
    return found
