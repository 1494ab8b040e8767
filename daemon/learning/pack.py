"""The personal pack: what the user said, the versions and the budget, as one file.

A zip, read without unpacking it to the disk:

    manifest.json              what it is, and size and sha256 of each other file
    words.json                 what the user said: sha256, label, perceptual hash, time
    prompts/NAME.safetensors   the versions
    crops/SHA256.webp          crops of labelled pictures, if the user asked for them

A pack comes from anywhere, so nothing in it is believed. Nothing is executed, no path is used,
and a pack with anything unexpected is refused as a whole.
"""

import hashlib
import io
import json
import re
import stat
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, cast

from antifake.core import Label
from antifake.core.bundle import Manifest
from antifake.core.errors import ModelError, UsageError
from antifake.core.i18n import _

from .pack_prompt import checked_prompt

SCHEMA = 1
MANIFEST, WORDS = "manifest.json", "words.json"
MAX_PACK_BYTES = 50_000_000
MAX_UNPACKED_BYTES = 100_000_000
MAX_FILES = 12_000
MAX_WORDS = 100_000
MAX_ONE_IN = 10_000
_MAX_BYTES = {
    "manifest": 4_000_000,
    "words": 20_000_000,
    "prompts": 1_000_000,
    "crops": 2_000_000,
}
_NAME = re.compile(
    r"(?:(?P<manifest>manifest\.json)|(?P<words>words\.json)"
    r"|prompts/(?P<prompts>[A-Za-z0-9][A-Za-z0-9._-]{0,63})\.safetensors"
    r"|crops/(?P<crops>[0-9a-f]{64})\.webp)"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PHASH = re.compile(r"[0-9a-f]{16}")
_SAME_TIME = (1980, 1, 1, 0, 0, 0)
_REGULAR = stat.S_IFREG | 0o600


class PackError(UsageError):
    """Why a pack is refused, in a sentence."""

    status = 422
    code = "bad_pack"


@dataclass(frozen=True)
class PackWord:
    """What the user said of a picture."""

    sha256: str
    label: Label
    phash: int | None
    said_at: datetime


@dataclass(frozen=True)
class Pack:
    """The checked content of a pack."""

    model: str
    """Version of the model, such as `mini@1f3a90c2`."""
    base: str
    """The fingerprint of the model."""
    active: str | None
    """The version that answered; None for the shipped one."""
    one_in: int
    """The budget; 0 for none."""
    crops_left_out: int
    words: tuple[PackWord, ...]
    prompts: dict[str, bytes]
    crops: dict[str, bytes]


def write(pack: Pack) -> bytes:
    """Returns the pack as a zip. The same content gives the same bytes."""
    words = [
        {
            "sha256": word.sha256,
            "label": word.label,
            "phash": None if word.phash is None else f"{word.phash:016x}",
            "said_at": word.said_at.isoformat(timespec="milliseconds"),
        }
        for word in pack.words
    ]
    files = {WORDS: json.dumps(words).encode()}
    files |= {f"prompts/{name}.safetensors": data for name, data in sorted(pack.prompts.items())}
    files |= {f"crops/{sha256}.webp": data for sha256, data in sorted(pack.crops.items())}
    manifest = {
        "schema": SCHEMA,
        "model": pack.model,
        "base": pack.base,
        "active": pack.active,
        "false_alarms": pack.one_in,
        "crops_left_out": pack.crops_left_out,
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        },
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in {MANIFEST: json.dumps(manifest, indent=1).encode(), **files}.items():
            info = zipfile.ZipInfo(name, _SAME_TIME)
            info.external_attr = _REGULAR << 16
            is_json = name.endswith(".json")
            info.compress_type = zipfile.ZIP_DEFLATED if is_json else zipfile.ZIP_STORED
            archive.writestr(info, data)
    return out.getvalue()


def read(data: bytes, model: Manifest) -> Pack:
    """Checks a pack against the model of this computer. Raises PackError."""
    if len(data) > MAX_PACK_BYTES:
        _refuse(
            _(
                "it has {n:,} bytes, and at most {most:,} are taken",
                n=len(data),
                most=MAX_PACK_BYTES,
            )
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = _files(archive)
    except PackError:
        raise
    # zipfile raises these for damaged archives, and others for kinds that it does not know.
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, LookupError):
        _refuse(_("it is not a zip that can be read"))
    except Exception:  # noqa: BLE001 - zlib.error and struct.error, in a zip made for that
        _refuse(_("it is not a zip that can be read"))
    return _checked(files, model)


def _files(archive: zipfile.ZipFile) -> dict[str, bytes]:
    infos = archive.infolist()
    if len(infos) > MAX_FILES:
        _refuse(
            _("it has {n:,} files, and at most {most:,} are taken", n=len(infos), most=MAX_FILES)
        )
    _check_names(infos)
    if sum(info.file_size for info in infos) > MAX_UNPACKED_BYTES:
        _refuse(_("it would unpack to more than {most:,} bytes", most=MAX_UNPACKED_BYTES))
    found = {}
    for info in infos:
        with archive.open(info) as file:
            content = file.read(info.file_size + 1)
        if len(content) != info.file_size:
            _refuse(_("{name} is not as long as it says", name=info.filename))
        found[info.filename] = content
    return found


def _check_names(infos: Sequence[zipfile.ZipInfo]) -> None:
    seen = set[str]()
    for info in infos:
        name = info.filename
        match = _NAME.fullmatch(info.orig_filename)
        if match is None or name != info.orig_filename:
            _refuse(
                _(
                    "it has a file {name}, which does not belong in it",
                    name=_shown(info.orig_filename),
                )
            )
        # Some systems do not tell capital letters apart.
        if name.lower() in seen:
            _refuse(_("it has two files {name}", name=name))
        seen.add(name.lower())
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            _refuse(_("{name} is a link or no file at all", name=name))
        if info.flag_bits & 1:
            _refuse(_("{name} is encrypted", name=name))
        kind = cast(str, match.lastgroup)
        if info.file_size > _MAX_BYTES[kind]:
            _refuse(_("{name} has {n:,} bytes, which is too many", name=name, n=info.file_size))


def _checked(files: dict[str, bytes], model: Manifest) -> Pack:
    raw = _json(files.pop(MANIFEST, None), MANIFEST)
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        _refuse(_("its manifest is of another version of antifake, or none"))
    _check_hashes(files, raw.get("files"))
    if raw.get("base") != model.fingerprint:
        made_for = _shown(raw.get("model"))
        _refuse(
            _(
                "it was made for the model {other}, and {model} is used here",
                other=made_for,
                model=model.version,
            )
        )
    prompts = {
        name.removeprefix("prompts/").removesuffix(".safetensors"): data
        for name, data in files.items()
        if name.startswith("prompts/")
    }
    for name, data in prompts.items():
        try:
            checked_prompt(data, name, model)
        except (ModelError, UsageError) as error:
            why = str(error).rstrip(".")
            _refuse(_("one of its versions cannot be used: {why}", why=why))
    active = raw.get("active")
    if active is not None and active not in prompts:
        _refuse(_("the version that it names is not in it"))
    words = _words(_json(files.get(WORDS), WORDS))
    crops = {
        name.removeprefix("crops/").removesuffix(".webp"): data
        for name, data in files.items()
        if name.startswith("crops/")
    }
    if crops.keys() - {word.sha256 for word in words}:
        _refuse(_("it has crops of pictures that it says nothing about"))
    return Pack(
        model=model.version,
        base=model.fingerprint,
        active=active,
        one_in=_whole(raw.get("false_alarms"), MAX_ONE_IN, "false_alarms"),
        crops_left_out=_whole(raw.get("crops_left_out", 0), MAX_WORDS, "crops_left_out"),
        words=words,
        prompts=prompts,
        crops=crops,
    )


def _check_hashes(files: dict[str, bytes], listed: Any) -> None:
    if not isinstance(listed, dict) or listed.keys() != files.keys():
        _refuse(_("its manifest does not list the files that are in it"))
    for name, data in files.items():
        about = listed[name]
        wanted = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if about != wanted:
            _refuse(_("{name} is not what the manifest says; it was changed or damaged", name=name))


def _words(raw: Any) -> tuple[PackWord, ...]:
    if not isinstance(raw, list) or len(raw) > MAX_WORDS:
        _refuse(_("{file} is not a list of at most {n:,} corrections", file=WORDS, n=MAX_WORDS))
    found = [_word(one) for one in raw]
    if len({word.sha256 for word in found}) != len(found):
        _refuse(_("{file} names a picture twice", file=WORDS))
    return tuple(found)


def _word(raw: Any) -> PackWord:
    if not isinstance(raw, dict) or raw.keys() != {"sha256", "label", "phash", "said_at"}:
        _refuse(_("{file} has something that is not a correction", file=WORDS))
    sha256, label, phash = raw["sha256"], raw["label"], raw["phash"]
    is_named = isinstance(sha256, str) and _SHA256.fullmatch(sha256) is not None
    is_hashed = phash is None or (isinstance(phash, str) and _PHASH.fullmatch(phash) is not None)
    if not (is_named and is_hashed and label in ("real", "fake")):
        _refuse(_("{file} has something that is not a correction", file=WORDS))
    try:
        said_at = datetime.fromisoformat(raw["said_at"]).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        _refuse(_("{file} has a time that is not a time", file=WORDS))
    if not datetime(1990, 1, 1, tzinfo=UTC) < said_at < datetime(2200, 1, 1, tzinfo=UTC):
        _refuse(_("{file} has a time that cannot be", file=WORDS))
    return PackWord(sha256, label, None if phash is None else int(phash, 16), said_at)


def _whole(value: Any, most: int, key: str) -> int:
    if type(value) is not int or not 0 <= value <= most:
        _refuse(_("its {key} is not a whole number from 0 to {most:,}", key=key, most=most))
    return value


def _json(data: bytes | None, name: str) -> Any:
    if data is None:
        _refuse(_("it has no {name}", name=name))
    try:
        return json.loads(data, object_pairs_hook=_object, parse_constant=_no_number)
    except PackError:
        raise
    except (ValueError, RecursionError):
        _refuse(_("{name} is not JSON that can be read", name=name))


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            _refuse(_("it names {name} twice", name=_shown(key)))
        found[key] = value
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= 80 else f"{text[:80]}…")


def _refuse(why: str) -> NoReturn:
    raise PackError(_("This pack is refused: {why}.", why=why))
