"""The schemas of learning from corrections."""

from typing import Any

from apiflask import Schema
from apiflask.fields import Boolean, Dict, Float, Integer, List, Nested, Raw, String
from apiflask.validators import Length, OneOf, Range, Regexp
from marshmallow.fields import Field

from .schemas import AT_ONCE, CheckAmong

_SHA256 = Regexp(r"^[0-9a-f]{64}$")


def _maybe(kind: type[Field[Any]]) -> Field[Any]:
    return kind(allow_none=True)


def _some_json() -> Field[Any]:
    return Dict(keys=String(), values=Raw(allow_none=True))


# --- Requests -----------------------------------------------------------------------------


class NewTraining(Schema):
    source = String(load_default="api", validate=OneOf(["cli", "page", "tray", "api"]))


class WantedTrainings(Schema):
    limit = Integer(load_default=20, validate=Range(1, 500))


class VersionName(Schema):
    name = String(required=True, validate=Length(1, 100))


class Pin(Schema):
    name = String(required=True, allow_none=True, validate=Length(1, 100))


class Compared(Schema):
    a = String(required=True, validate=Length(1, 100))
    b = String(required=True, validate=Length(1, 100))


class WantedCrops(Schema):
    cursor = String(validate=_SHA256)
    limit = Integer(load_default=100, validate=Range(1, 500))


class DeletedCrops(Schema):
    sha256s = List(
        String(validate=_SHA256), required=True, allow_none=True, validate=Length(1, AT_ONCE)
    )


class WantedPack(Schema):
    crops = Boolean(load_default=False)


class UsePack(Schema):
    use = Boolean()


# --- Answers ------------------------------------------------------------------------------


class Training(Schema):
    id = Integer()
    trigger = String()
    state = String(
        metadata={"enum": ["queued", "running", "done", "failed", "cancelled", "interrupted"]}
    )
    at = String()
    ended = _maybe(String)
    model = String()
    outcome = String(
        allow_none=True, metadata={"description": "The advice: promote, candidate or nothing"}
    )
    reason = _maybe(String)
    chosen = _maybe(String)
    candidate = _maybe(String)
    promoted = Boolean()
    report = Dict(keys=String(), values=Raw(allow_none=True), allow_none=True)


class TrainingAmong(Training):
    """A training inside another answer."""


class Trainings(Schema):
    trainings = List(Nested(TrainingAmong))


class Progress(Schema):
    id = Integer()
    trigger = String()
    at = String()
    stage = String()
    done = Integer()
    total = Integer()
    is_suspended = Boolean()


class Version(Schema):
    name = String()
    version = String()
    is_active = Boolean()
    is_pinned = Boolean()
    made = String(metadata={"description": "shipped, imported, bias, calibration or word"})
    words_real = Integer()
    words_fake = Integer()
    scores = _some_json()
    parent = _maybe(String)
    at = _maybe(String)
    training = _maybe(Integer)


class VersionAmong(Version):
    """A version inside another answer."""


class Versions(Schema):
    versions = List(Nested(VersionAmong))


class Comparison(Schema):
    a = Nested(VersionAmong)
    b = Nested(VersionAmong)
    only_a = Integer()
    only_b = Integer()
    contrary = Integer()
    threshold_a = Float()
    threshold_b = Float()
    temperature_a = Float()
    temperature_b = Float()


class CropStats(Schema):
    n = Integer()
    bytes = Integer()


class Budget(Schema):
    one_in = Integer()
    confidence = Float()
    reached = _maybe(Boolean)
    n_real = _maybe(Integer)
    needed = _maybe(Integer)
    reason = _maybe(String)


class LearningState(Schema):
    words_real = Integer()
    words_fake = Integer()
    groups_real = Integer()
    groups_fake = Integer()
    without_picture = Integer()
    new_words = Integer()
    needed = _maybe(String)
    running = Nested(Progress, allow_none=True)
    last = Nested(TrainingAmong, allow_none=True)
    next_run = _maybe(String)
    why_not = _maybe(String)
    skipped = _maybe(String)
    version = Nested(VersionAmong, allow_none=True)
    held = Nested(CropStats)
    kept = Nested(CropStats)
    budget = Nested(Budget)


class Flip(Schema):
    check = Nested(CheckAmong)
    kind = String(metadata={"enum": ["mended", "broken", "changed"]})
    before = _maybe(String)
    after = _maybe(String)
    p_before = _maybe(Float)
    p_after = _maybe(Float)


class Flips(Schema):
    flips = List(Nested(Flip))


class Contradictions(Schema):
    groups = List(List(Nested(CheckAmong)))


class ReviewItem(Schema):
    check = Nested(CheckAmong)
    why = String()


class Review(Schema):
    items = List(Nested(ReviewItem))
    done_today = Integer()


class Crop(Schema):
    sha256 = String()
    bytes = Integer()
    size = Integer()
    at = String()
    is_kept = Boolean()
    check = _maybe(String)


class Crops(Schema):
    crops = List(Nested(Crop))
    next = _maybe(String)
    held = Nested(CropStats)
    kept = Nested(CropStats)


class CropsDeleted(Schema):
    deleted = Integer()


class Merge(Schema):
    words_new = Integer()
    words_known = Integer()
    words_changed = Integer()
    words_older = Integer()
    crops = Integer()
    crops_refused = Integer()
    versions_new = List(String())
    versions_known = List(String())
    uses = _maybe(String)
    one_in = _maybe(Integer)
    sentences = List(String(), metadata={"description": "All of it for people"})
