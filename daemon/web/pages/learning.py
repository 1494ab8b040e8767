"""The pages of learning: how it stands, what a training changed, versions, and kept crops."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from flask import Response, jsonify, request

from antifake.core import AntifakeError
from antifake.core.i18n import _, ngettext
from antifake.daemon.learning import Flip, Version
from antifake.daemon.service import Answer
from antifake.daemon.store.trainings import Training
from antifake.daemon.web.context import service
from antifake.daemon.web.guards import MAX_FILE_BYTES, requires_session
from antifake.trainer.personal.needed import MINIMUM

from . import body, wording
from . import learning_wording as how
from .checking import BYTES
from .confirming import Question, require_yes
from .render import piece, routes, show

SHOWN = 8
"""So many pictures of each kind are shown on the main page; all of them on the training's own."""
CROPS = 48
_NO_MODEL = _("There is no model on this computer, so there is nothing to learn with.")


@routes.get("/learning")
def learning() -> Response:
    return show("learning.html", max_bytes=MAX_FILE_BYTES, **_everything())


@routes.get("/pieces/learning")
def learning_piece() -> Response:
    return piece("_learning.html", **_everything())


@routes.get("/learning/trainings/<int:number>")
def training(number: int) -> Response:
    found = service().learning.training(number)
    return show(
        "training.html",
        how=how,
        training=found,
        flips=_grouped(service().learning.flips(number)),
        contrary=_contrary(number),
        active=_active(),
    )


@routes.get("/learning/compare")
def compare() -> Response:
    a, b = request.args.get("a", ""), request.args.get("b", "")
    return show("compare.html", how=how, compared=service().learning.versions.compare(a, b))


@routes.get("/learning/crops")
def crops() -> Response:
    after = request.args.get("after") or None
    found = service().learning.crops.page(after, CROPS + 1)
    held, kept = service().learning.crops.stats()
    next_ = found[CROPS - 1].sha256 if len(found) > CROPS else None
    return show(
        "crops.html",
        how=how,
        crops=[(one, _checked(one.check)) for one in found[:CROPS]],
        next=next_,
        after=after,
        held=held,
        kept=kept,
        settings=service().config.learning,
    )


@routes.get("/learning/pack")
def pack() -> Response:
    with_crops = request.args.get("copies") == "yes"
    data = service().learning.packs.save(with_crops=with_crops)
    headers = {"Content-Disposition": 'attachment; filename="antifake-personal.zip"'}
    return Response(data, headers=headers, content_type="application/zip")


# --- Changes --------------------------------------------------------------------------------


@routes.post("/changes/learning/run")
def run_training() -> Response:
    service().learning.start("page")
    return jsonify(said=_("A training has begun."))


@routes.post("/changes/learning/cancel")
def cancel_training() -> Response:
    service().learning.cancel(body.value("id", int))
    return jsonify(said=_("The training is cancelled; nothing has changed."))


@routes.post("/changes/learning/promote")
def promote() -> Response:
    training = service().learning.training(body.value("id", int))
    if training.outcome == "candidate":
        require_yes(_against(training), str(training.id))
    found = service().learning.promote(training.id)
    return jsonify(said=_("{version} is in use from now on.", version=found.candidate))


@routes.post("/changes/learning/use")
def use_version() -> Response:
    name = body.value("name", str)
    made_by = next((one.training for one in _versions() if one.name == name), None)
    training = None if made_by is None else service().learning.training(made_by)
    if training is not None and training.outcome == "candidate":
        require_yes(_against(training), name)
    found = service().learning.versions.use(name)
    return jsonify(said=_("In use from now on: “{version}”.", version=how.version_title(found)))


@routes.post("/changes/learning/back")
def roll_back() -> Response:
    found = service().learning.versions.roll_back()
    return jsonify(said=_("In use again: “{version}”.", version=how.version_title(found)))


@routes.post("/changes/learning/pin")
def pin_version() -> Response:
    found = service().learning.versions.pin(body.value("name", str))
    version = how.version_title(found)
    return jsonify(said=_("“{version}” stays in use, whatever is learned.", version=version))


@routes.post("/changes/learning/unpin")
def unpin() -> Response:
    service().learning.versions.pin(None)
    return jsonify(said=_("From now on a better version takes over."))


@routes.post("/changes/learning/crops")
def delete_crops() -> Response:
    """Deletes the copies of these pictures, or all if none is named."""
    named = body.texts("sha256s") if body.value("sha256s", list) else None
    held, kept = service().learning.crops.stats()
    n = held.n + kept.n if named is None else len(set(named))
    require_yes(_deleting(n, is_all=named is None), *(named or ()))
    n = service().learning.crops.delete(named)
    return jsonify(said=ngettext("Deleted: {n:,} copy.", "Deleted: {n:,} copies.", n))


@routes.post("/changes/learning/import")
@requires_session(types=(BYTES,), max_bytes=MAX_FILE_BYTES)
def import_pack() -> Response:
    data = request.get_data(cache=False)
    would = service().learning.packs.preview(data)
    require_yes(_importing(would.sentences), sha256(data).hexdigest())
    found = service().learning.packs.take_in(data)
    said = ngettext(
        "The pack is imported: {n:,} new answer.",
        "The pack is imported: {n:,} new answers.",
        found.words_new + found.words_changed,
    )
    return jsonify(said=said)


def _against(training: Training) -> Question:
    return Question(
        _("Use this version against the advice?"),
        (
            wording.inert(how.advice(training)),
            _("You can go back to the version before at any time."),
        ),
        _("Use it anyway"),
        _("Leave it as it is"),
    )


def _deleting(n: int, *, is_all: bool) -> Question:
    counted = ngettext("Delete this copy?", "Delete these {n:,} copies?", n)
    sentence = _(
        "Verdicts and your answers stay. Nothing more can be learned from these pictures, unless "
        "their files are still where they were."
    )
    title = ngettext("Delete the only copy?", "Delete all {n:,} copies?", n) if is_all else counted
    return Question(title, (sentence,), _("Delete all") if is_all else _("Delete"), _("Keep"))


def _importing(sentences: Iterable[str]) -> Question:
    sentence = _(
        "What you have here stays; where answers differ, the later one counts. A pack decides what "
        "your antifake calls AI-made: import only one that you trust."
    )
    return Question(
        _("Import this pack?"),
        (*(wording.inert(one) for one in sentences), sentence),
        _("Import"),
        _("Cancel"),
        is_danger=False,
    )


# --- What is shown --------------------------------------------------------------------------


def _everything() -> dict[str, Any]:
    found, config = service().learning, service().config
    now, versions = found.state(), _versions()
    # Only the newest one can be unfinished.
    last = next((one for one in found.trainings(2) if one.ended is not None), None)
    return {
        "how": how,
        "learning": now,
        "next_run": how.next_run(now, config.learning, service().clock()),
        "versions": versions,
        "last": last,
        "flips": _grouped(found.flips(last.id) if last else []),
        "contrary": _contrary(last.id) if last else [],
        "advice": _advice(versions),
        "shown_most": SHOWN,
        "minimum": MINIMUM,
        "active": now.version,
        "settings": config.learning,
        "no_model": None if versions else _NO_MODEL,
    }


def _grouped(flips: list[Flip]) -> dict[str, list[tuple[Flip, Answer]]]:
    """Returns the pictures of a report by kind, each with its answer as all pages show it."""
    kinds = ("mended", "broken", "changed")
    return {kind: [(one, Answer(one.entry)) for one in how.by_kind(flips, kind)] for kind in kinds}


def _contrary(number: int) -> list[list[Answer]]:
    return [[Answer(one) for one in group] for group in service().learning.contradictions(number)]


def _versions() -> list[Version]:
    """Returns the version in use, then the others, the newest first."""
    try:
        found = service().learning.versions.all()
    except AntifakeError:
        return []
    return sorted(found, key=lambda one: (not one.is_active, -one.at.timestamp() if one.at else 0))


def _advice(versions: list[Version]) -> dict[str, str]:
    """Returns why a version should not be used, for those that were not good enough."""
    made = {
        one.name: service().learning.training(one.training)
        for one in versions
        if one.training is not None and not one.is_active
    }
    return {name: how.advice(one) for name, one in made.items() if one.outcome == "candidate"}


def _active() -> Version | None:
    return next((one for one in _versions() if one.is_active), None)


def _checked(name: str | None) -> Answer | None:
    return None if name is None else service().get(name)
