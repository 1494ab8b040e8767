"""Makes a pack of what is here, and takes one in: first as a preview, then beside what is here."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from antifake.core.bundle import Bundle
from antifake.core.decoder import Decoder
from antifake.core.i18n import _
from antifake.core.promptbook import SHIPPED
from antifake.daemon.store import corrections, crops
from antifake.daemon.store.corrections import NewWord
from antifake.daemon.worker.judge import lossless

from .pack import Pack, PackWord
from .place import Place
from .versions import PREFIX

MAX_CROPS_BYTES = 40_000_000
"""So that a pack can be sent to the daemon again."""

_Fate = Literal["new", "known", "changed", "older"]


@dataclass(frozen=True)
class Merge:
    """What a pack brings, or has brought."""

    words_new: int
    words_known: int
    words_changed: int
    """Pictures of which the pack says something else, later than was said here."""
    words_older: int
    """Pictures of which something else was said here later, which stays."""
    crops: int
    """Crops that are new here."""
    crops_refused: int
    """Crops that are no pictures of the model's size. Known once they are taken in."""
    versions_new: tuple[str, ...]
    versions_known: tuple[str, ...]
    uses: str | None
    """The version that answers afterwards; None if that does not change."""
    one_in: int | None
    """The budget afterwards; None if that does not change."""
    sentences: tuple[str, ...]
    """All of it for people."""


def export(place: Place, bundle: Bundle, one_in: int, *, with_crops: bool) -> Pack:
    """Returns all that was learned here. Crops only of pictures that the user has labelled."""
    with place.store.reading() as session:
        said = corrections.said(session)
    files = place.versions.files(bundle)
    active = place.versions.active(bundle)
    prompts = {
        name: file.path.read_bytes()
        for name, file in files.items()
        if name != SHIPPED
        and (name.startswith(PREFIX) or name == active)
        and file.about.base == bundle.manifest.fingerprint
    }
    kept = dict(_crops(place, [word.sha256 for word in said])) if with_crops else {}
    with place.store.machine.reading() as session:
        there = crops.sizes(session, [word.sha256 for word in said]) if with_crops else {}
    return Pack(
        model=bundle.manifest.version,
        base=bundle.manifest.fingerprint,
        active=active if active in prompts else None,
        one_in=one_in,
        crops_left_out=len(there) - len(kept),
        words=tuple(PackWord(one.sha256, one.label, one.phash, one.said_at) for one in said),
        prompts=prompts,
        crops=kept,
    )


def _crops(place: Place, sha256s: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yields the crops that there is room for, those of the last words first."""
    room = MAX_CROPS_BYTES
    for sha256 in sha256s:
        with suppress(OSError):
            data = place.crop_files.path(sha256).read_bytes()
            if len(data) <= room:
                room -= len(data)
                yield sha256, data


@dataclass(frozen=True)
class Plan:
    """What a pack would change here."""

    place: Place
    bundle: Bundle
    pack: Pack
    fates: dict[str, _Fate]
    names: dict[str, tuple[str, bool]]
    """The name of each version here, and whether it is here already."""
    uses: str | None
    one_in: int | None
    new_crops: tuple[str, ...]

    def merge(self, crops_refused: int = 0) -> Merge:
        fates = list(self.fates.values())
        new = tuple(name for name, is_known in self.names.values() if not is_known)
        known = tuple(name for name, is_known in self.names.values() if is_known)
        counts = {fate: fates.count(fate) for fate in ("new", "known", "changed", "older")}
        return Merge(
            words_new=counts["new"],
            words_known=counts["known"],
            words_changed=counts["changed"],
            words_older=counts["older"],
            crops=len(self.new_crops) - crops_refused,
            crops_refused=crops_refused,
            versions_new=new,
            versions_known=known,
            uses=self.uses,
            one_in=self.one_in,
            sentences=tuple(self._sentences(counts, new, crops_refused)),
        )

    def _sentences(
        self, counts: dict[str, int], new: tuple[str, ...], refused: int
    ) -> Iterator[str]:
        if not counts["new"]:
            yield _("It has no answers that are new here.")
        yield from self._counted(counts, refused)
        if new:
            yield _("New versions: {names}.", names=", ".join(new))
        if self.uses is not None:
            yield _("In use afterwards: {version}.", version=self.uses)
        if self.one_in is not None:
            yield _("False alarms: at most 1 in {n:,} of your real pictures.", n=self.one_in)

    def _counted(self, counts: dict[str, int], refused: int) -> Iterator[str]:
        if n := counts["new"]:
            yield _("New answers: {n:,}.", n=n)
        if n := counts["changed"]:
            yield _("Answers of yours that are replaced by later ones: {n:,}.", n=n)
        if n := counts["older"]:
            yield _("Answers left out, because yours are later: {n:,}.", n=n)
        if n := counts["known"]:
            yield _("Answers that you already have: {n:,}.", n=n)
        if n := len(self.new_crops) - refused:
            yield _("Copies of pictures: {n:,}.", n=n)
        if n := refused:
            yield _("Copies left out, because the model cannot have seen them: {n:,}.", n=n)
        if n := self.pack.crops_left_out:
            yield _("Copies that had no room in the pack: {n:,}.", n=n)


def plan(place: Place, bundle: Bundle, found: Pack, one_in: int, *, use: bool | None) -> Plan:
    """Returns what a pack would change. Nothing is written.

    `use`: whether its version answers afterwards; None: if the shipped one does now.
    """
    with place.store.reading() as session:
        ours = {one.sha256: one for one in corrections.said(session)}
        last = corrections.last_changes(session, [word.sha256 for word in found.words])
    with place.store.machine.reading() as session:
        there = crops.every(session)
    fates = {
        word.sha256: _fate(word, ours.get(word.sha256), last.get(word.sha256))
        for word in found.words
    }
    names = dict(_names(place, bundle, found))
    active = place.versions.active(bundle)
    wants = active == SHIPPED if use is None else use
    uses = names[found.active][0] if found.active and wants else None
    return Plan(
        place,
        bundle,
        found,
        fates,
        names,
        uses=uses if uses != active else None,
        one_in=found.one_in if found.one_in and not one_in else None,
        new_crops=tuple(sha256 for sha256 in found.crops if sha256 not in there),
    )


def _fate(word: PackWord, ours: NewWord | None, changed: datetime | None) -> _Fate:
    if ours is not None and ours.label == word.label:
        return "known"
    if changed is None:
        return "new"
    # Also what was taken back here later stays taken back.
    return "changed" if word.said_at > changed else "older"


def _names(place: Place, bundle: Bundle, found: Pack) -> Iterator[tuple[str, tuple[str, bool]]]:
    by_hash = {file.sha256: name for name, file in place.versions.files(bundle).items()}
    taken = set(place.versions.book.names())
    for name, data in sorted(found.prompts.items()):
        if known := by_hash.get(hashlib.sha256(data).hexdigest()):
            yield name, (known, True)
            continue
        here = name if name not in taken and name != SHIPPED else place.versions.next_name(taken)
        taken.add(here)
        yield name, (here, False)


def carry_out(wanted: Plan, clock: Callable[[], datetime]) -> Merge:
    """Takes a pack in. Prompts come first, words last, so that a kill leaves nothing half."""
    place, found = wanted.place, wanted.pack
    for name, (here, is_known) in wanted.names.items():
        if not is_known:
            place.versions.book.add(here, found.prompts[name])
    size = wanted.bundle.manifest.image_size
    written = dict(_decoded(wanted, size))
    for sha256, webp in written.items():
        place.crop_files.write(sha256, webp)
    now = clock()
    words = [
        NewWord(word.sha256, word.label, word.phash, min(word.said_at, now))
        for word in found.words
        if wanted.fates[word.sha256] in ("new", "changed")
    ]
    with place.store.writing_both(durable=True) as (session, work):
        corrections.put(session, words, now)
        for sha256, webp in written.items():
            crops.note(work, sha256, len(webp), size, now)
    if wanted.uses is not None:
        place.versions.use(wanted.uses)
    return wanted.merge(len(wanted.new_crops) - len(written))


def _decoded(wanted: Plan, size: int) -> Iterator[tuple[str, bytes]]:
    """Yields the crops, made again from their pixels by a process that a bad picture may crash."""
    if not wanted.new_crops:
        return
    with Decoder(jobs=1, size=size, view="kept") as decoder:
        for sha256 in wanted.new_crops:
            picture = decoder.decode(wanted.pack.crops[sha256]).picture
            if picture is not None:
                yield sha256, lossless(picture.crop)
