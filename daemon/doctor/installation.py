"""Checks that need no daemon: folders, settings, disk space, model, prompt and history."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from antifake.core.catalog import CATALOG
from antifake.core.errors import AntifakeError, ModelError
from antifake.core.files import megabytes
from antifake.core.i18n import _
from antifake.core.private_files import is_open_to_others, keeps_no_rights, objection_to
from antifake.daemon.config import Config, ConfigError, load
from antifake.daemon.places import Places
from antifake.daemon.store import StoreError
from antifake.daemon.store.files import Backups, Condition, files_of
from antifake.daemon.store.files import examine as examine_database
from antifake.daemon.store.opening import OURS, try_server
from antifake.daemon.worker.active_model import ActiveModel

from .finding import RESTART, Finding, ours, typed

LITTLE_BYTES = 500_000_000
IMPORT_S = 120


class Free(NamedTuple):
    """The fields of `shutil.disk_usage`."""

    total: int
    used: int
    free: int


DiskUsage = Callable[[Path], Free]


@dataclass(frozen=True)
class ImportTrial:
    """What importing the model's libraries in a process of its own came to."""

    error: str | None
    """The last line of the traceback; None: they were imported."""
    fallback_reason: str | None
    """Why they are not imported lazily; None: they are."""


TryImports = Callable[[], ImportTrial]


def try_imports() -> ImportTrial:
    """Imports torch and transformers' model classes in a child process, as a check does."""
    code = (
        "import antifake.core.lazy_imports as lazy\n"
        "lazy.transformers_classes(); print(lazy.fallback_reason() or '')"
    )
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-P", "-c", code],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=IMPORT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ImportTrial(
            _("they are not imported within {seconds} seconds", seconds=IMPORT_S), None
        )
    if done.returncode:
        return ImportTrial((done.stderr.strip() or _("no reason was given")).splitlines()[-1], None)
    return ImportTrial(None, (done.stdout.strip().splitlines() or [""])[-1] or None)


def disk_usage(folder: Path) -> Free:
    return Free(*shutil.disk_usage(folder))


@dataclass(frozen=True)
class InstallationChecks:
    where: Places
    disk_usage: DiskUsage = disk_usage
    try_imports: TryImports = try_imports

    def folders(self) -> Finding:
        """Checks that this user can write the folders, and others neither change nor read them."""
        where = self.where
        mine = (where.config, where.running, where.local_token, *files_of(where.database))
        for path in (*where.folders, *mine):
            if objection := objection_to(path):
                return Finding("folders", False, objection.sentence, objection.fix)
        folders = dict.fromkeys([where.home.root, where.data, where.state, where.logs])
        for folder in folders:
            if trouble := _unwritable(folder):
                return Finding(
                    "folders", False, trouble, _("Make {folder} a folder of yours.", folder=folder)
                )
        secret = (where.state, where.local_token, where.browsers_key, where.database)
        exposed = next(filter(is_open_to_others, secret), None)
        if exposed is not None and not keeps_no_rights(where.data):
            mode = "700" if exposed.is_dir() else "600"
            sentence = _("Others on this computer can look into {path}.", path=exposed)
            return Finding("folders", False, sentence, typed("chmod", mode, str(exposed)))
        there = _("Your data is in {folder}, and you can write there.", folder=where.data)
        if exposed is not None:
            open_drive = _(
                "That drive keeps no rights: everybody at this computer can read and change it."
            )
            there = f"{there} {open_drive}"
        return Finding("folders", True, there)

    def settings(self) -> tuple[Finding, Config]:
        path = self.where.config
        try:
            config = load(path)
        except ConfigError as error:
            return Finding(
                "settings", False, str(error), _("Correct that in {path}.", path=path)
            ), Config()
        there = (
            _("{path} is sound.", path=path)
            if path.exists()
            else _("All settings have their defaults; there is no {path}.", path=path)
        )
        return Finding("settings", True, there), config

    def space(self) -> Finding:
        folder = _nearest(self.where.data)
        free = self.disk_usage(folder).free
        sentence = _(
            "{size} are free on the disk of {folder}.", size=megabytes(free), folder=folder
        )
        fix = _("Make room on that disk: antifake wants {size}.", size=megabytes(LITTLE_BYTES))
        return Finding("disk", free >= LITTLE_BYTES, sentence, fix if free < LITTLE_BYTES else None)

    def libraries(self) -> Finding:
        trial = self.try_imports()
        if trial.error:
            sentence = _("The model's libraries cannot be imported: {error}", error=trial.error)
            return Finding(
                "libraries",
                False,
                sentence,
                typed("pip", "install", "--force-reinstall", "antifake"),
            )
        if trial.fallback_reason:
            sentence = _(
                "Lazy imports do not fit this version of transformers ({reason}): "
                "loading the model takes some seconds longer.",
                reason=trial.fallback_reason,
            )
            return Finding(
                "libraries", True, sentence, typed("pip", "install", "--upgrade", "antifake")
            )
        return Finding("libraries", True, _("torch and transformers can be imported."))

    def model(self, config: Config) -> Finding:
        home = self.where.home
        name = config.worker.model or home.active()
        try:
            bundle = home.bundle(name)
            bundle.verify_if_small()
        except AntifakeError as error:
            fix = ours("config", "set", "worker.model", "")
            if isinstance(error, ModelError) and name in CATALOG:
                fix = ours("model", "pull", name)
            elif not config.worker.model:
                fix = _("antifake model list, then antifake model use NAME")
            return Finding("model", False, str(error), fix)
        hint = None if bundle.manifest.is_small else ours("model", "verify", name)
        return Finding(
            "model", True, _("{version} is here and whole.", version=bundle.manifest.version), hint
        )

    def prompt(self, config: Config) -> Finding:
        worker = config.worker
        try:
            signature = ActiveModel(self.where.home, worker.model, worker.prompt).now()
        except AntifakeError as error:
            fix = _("antifake prompt list, then antifake prompt use NAME")
            if worker.prompt:
                fix = ours("config", "set", "worker.prompt", "")
            return Finding("prompt", False, str(error), fix)
        return Finding(
            "prompt",
            True,
            _("{model} is asked with {prompt}.", model=signature.model, prompt=signature.prompt),
        )

    def history(self, config: Config) -> Finding:
        """Checks the history file, or whether a database server lets us in."""
        path = self.where.database
        if config.history.database:
            return _of_server(config.history.database)
        if not path.exists():
            return Finding("history", True, _("There is none yet; the first check makes it."))
        try:
            condition = examine_database(path)
        except (StoreError, OSError) as error:
            return Finding(
                "history",
                False,
                _("The history cannot be read: {error}", error=error),
                typed("ls", "-l", str(path)),
            )
        return self._of(condition, path, config)

    def _of(self, condition: Condition, path: Path, config: Config) -> Finding:
        if condition.is_foreign:
            sentence = _("{path} is a database of another program.", path=path)
            return Finding("history", False, sentence, _("Move {path} elsewhere.", path=path))
        if condition.damage is not None:
            best = Backups(path, config.history.backups).best(OURS.known())
            if best:
                what = _("restores the newest backup and keeps the damaged file")
            else:
                what = _("starts a new history and keeps the damaged file")
            fix = f"{RESTART} ({what})"
            return Finding(
                "history",
                False,
                _("The history is damaged: {damage}.", damage=condition.damage),
                fix,
            )
        if condition.version is not None and condition.version not in OURS.known():
            sentence = _(
                "The history was written by a newer antifake (schema {version}).",
                version=condition.version,
            )
            return Finding("history", False, sentence, _("Update antifake."))
        return Finding(
            "history", True, _("The history is sound, {size}.", size=megabytes(path.stat().st_size))
        )


def _of_server(address: str) -> Finding:
    try:
        name = try_server(address)
    except AntifakeError as error:
        fix = _("Correct history.database, or ask who looks after that server.")
        return Finding("history", False, str(error), fix)
    return Finding("history", True, _("The database server of {name} lets us in.", name=name))


def _unwritable(folder: Path) -> str | None:
    """Returns why nothing can be written there, or None.

    A missing folder is no problem: it is created when it is first needed.
    """
    place = _nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            return None
    except OSError as error:
        is_file = place.is_file()
        why = _("{path} is not a folder", path=place) if is_file else error.strerror
        return _("{folder} cannot be written: {why}.", folder=folder, why=why)


def _nearest(folder: Path) -> Path:
    """Returns the folder itself, or its nearest parent that exists."""
    return next(path for path in _upwards(folder) if path.exists())


def _upwards(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.parents
