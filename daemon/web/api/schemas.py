"""The schemas of requests and answers, as the OpenAPI document shows them.

Marshmallow checks requests. It refuses unknown keys, so that no client believes that a key had an
effect when it had none.
"""

from datetime import UTC
from typing import Any, cast, get_args

from apiflask import Schema
from apiflask.fields import (
    AwareDateTime,
    Boolean,
    Dict,
    File,
    Float,
    Integer,
    List,
    Nested,
    Raw,
    String,
)
from apiflask.validators import Length, OneOf, Range, Regexp
from marshmallow import INCLUDE, ValidationError
from marshmallow.fields import Field

from antifake.core.evidence.card import Basis
from antifake.daemon.config import names
from antifake.daemon.service.access import SCOPES
from antifake.daemon.store.tables import Source

LABELS = ["real", "fake", "unsure"]
RIGHT = "right"
"""Confirms the verdict that is shown, whichever it is."""
SOURCES = list(get_args(Source))
BASES = list(get_args(Basis))
AT_ONCE = 500
WAIT_S = 20


def _text(value: str) -> None:
    """Refuses text that a file or a database cannot hold."""
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValidationError("Not text that can be kept.")


def _words(most: int, least: int = 0, **about: Any) -> String:
    return String(validate=[Length(least, most), _text], **about)


def _ids() -> List[str]:
    return List(String(validate=Length(1, 40)), required=True, validate=Length(1, AT_ONCE))


class _Open(Schema):
    class Meta:
        unknown = INCLUDE


def _schema(name: str, members: dict[str, Field[Any]], of: type[Schema] = Schema) -> type[Schema]:
    """Returns a schema with fields whose names are Python keywords or attributes of Schema."""
    return cast(type[Schema], of.from_dict(members, name=name))


# --- Requests -----------------------------------------------------------------------------


class Hello(Schema):
    token_id = Integer(required=True, strict=True, validate=Range(0, 2**63 - 1))
    nonce = _words(200, 8, required=True)


_some_scopes = Length(1, len(SCOPES))


class PairingWish(Schema):
    name = _words(80, 1, required=True)
    scopes = List(String(validate=OneOf(list(SCOPES))), required=True, validate=_some_scopes)


class CheckForm(Schema):
    file = File(required=True)  # type: ignore[no-untyped-call]
    source = String(validate=OneOf(["extension", "tray", "cli", "api"]))
    page = _words(2000)
    path = _words(4096)
    name = _words(
        255,
        metadata={
            "description": "A file name, or the address of a picture: its last part is kept. "
            "Without it, the file name of the part `file`. Not used if there is a path"
        },
    )
    private = Boolean(load_default=False)
    priority = String(validate=OneOf(["person", "batch"]), load_default="person")


class Waiting(Schema):
    wait = Float(load_default=0.0, validate=Range(0, WAIT_S))


class ReportWanted(Schema):
    format = String(validate=OneOf(["html", "pdf"]), load_default="html")
    name = Boolean(
        load_default=True, metadata={"description": "Whether it tells the names of the file"}
    )


class Wanted(Schema):
    """The filter of the history. All its conditions must hold."""

    label = String(validate=OneOf([*LABELS, "failed"]))
    source = String(validate=OneOf(SOURCES))
    since = AwareDateTime(format="iso", default_timezone=UTC)
    until = AwareDateTime(format="iso", default_timezone=UTC)
    corrected = Boolean()
    declared = Boolean(
        metadata={
            "description": "Whether the file itself says that AI made it, by a signature or a mark"
        }
    )
    q = _words(200)
    folder = _words(4096)
    model = _words(200)


class WantedPage(Wanted):
    cursor = String(validate=Length(1, 40))
    limit = Integer(load_default=50, validate=Range(1, 500))


class WantedExport(Wanted):
    form = String(validate=OneOf(["csv", "jsonl"]), load_default="csv")


class ImportForm(Schema):
    form = String(validate=OneOf(["csv", "jsonl"]), load_default="csv")
    before = Integer(
        validate=Range(0, 10**12),
        load_default=0,
        metadata={"description": "Rows of the same file that were sent earlier, to count on."},
    )


def _client() -> String:
    about = "Which of this computer's own programs sends it. Needs the scope admin."
    return String(validate=OneOf(["cli", "tray"]), metadata={"description": about})


class NewCorrection(Schema):
    label = String(required=True, validate=OneOf([*LABELS, RIGHT]))
    note = _words(2000, load_default="")
    source = _client()


class NewCorrections(Schema):
    ids = _ids()
    label = String(required=True, allow_none=True, validate=OneOf([*LABELS, RIGHT]))
    note = _words(2000, load_default="")
    source = _client()


class Ids(Schema):
    ids = _ids()


class Undo(Schema):
    ids = _ids()
    source = _client()


FolderForm = _schema(
    "FolderForm",
    {
        "path": _words(4096, 1, required=True),
        "include": List(_words(200, 1), load_default=list, validate=Length(0, 100)),
        "exclude": List(_words(200, 1), load_default=list, validate=Length(0, 100)),
        "recursive": Boolean(load_default=True),
        "polling": Boolean(load_default=False),
        "existing": String(
            load_default="ask",
            validate=OneOf(["ask", "check", "leave"]),
            metadata={
                "description": "What to do with the pictures that it holds already: check them,"
                " leave them, or let the user decide on the page"
            },
        ),
    },
)


class ExistingAction(Schema):
    path = _words(4096, 1, required=True)
    action = String(
        required=True,
        validate=OneOf(["check", "pause", "leave"]),
        metadata={"description": "`check` also ends a pause"},
    )


class BackfillAction(Schema):
    action = String(required=True, validate=OneOf(["read", "stop"]))


class Backfill(Schema):
    """How far the files of pictures are read that were judged before files were read."""

    is_running = Boolean()
    left = Integer(metadata={"description": "Pictures whose file was not read yet"})
    total = Integer(metadata={"description": "Pictures of the last run"})
    read = Integer()
    missing = Integer(
        metadata={"description": "Their file is gone, is another one now, or unreadable"}
    )
    summary = String(metadata={"description": "One or two sentences, or none"})


class FolderPath(Schema):
    path = _words(4096, 1, required=True)


class Pause(Schema):
    minutes = Float(required=True, allow_none=True, validate=Range(0, 525_600, min_inclusive=False))


class Days(Schema):
    days = Integer(load_default=30, validate=Range(1, 3660))


class Since(Schema):
    after = Integer(validate=Range(0, 2**62))
    wait = Float(load_default=0.0, validate=Range(0, WAIT_S))


class LoginWish(Schema):
    next = String(metadata={"description": "The page to show, as /review; the history without it"})


class PairingSecret(Schema):
    secret = String(data_key="X-Pairing-Secret", required=True, validate=Length(1, 200))


# --- Answers ------------------------------------------------------------------------------


def _maybe(kind: type[Field[Any]]) -> Field[Any]:
    return kind(allow_none=True)


class Correction(Schema):
    label = String()
    at = String()
    note = String()


class Occurrence(Schema):
    """A place where a picture was seen."""

    at = String(metadata={"description": "When it was last seen there"})
    source = String(metadata={"enum": SOURCES})
    path = _maybe(String)
    page = _maybe(String)
    name = _maybe(String)
    times = Integer()


class Part(Schema):
    """A square of the picture that was judged."""

    box = List(
        Float(),
        metadata={"description": "Left, top, width, height, in fractions of the upright picture"},
    )
    frame = Integer(metadata={"description": "Of an animation, or page of a TIFF, from 0"})
    p_fake = Float(metadata={"description": "As if it were all of the picture"})


class Evidence(Schema):
    """All that is known of a picture, each beside the other. Nothing of a prompt is in it."""

    version = Integer()
    headline = String(metadata={"description": "The same, without the capital letter"})
    basis = String(metadata={"enum": BASES})
    tracks = Dict(
        metadata={
            "description": "`you`, `seen` (a near-copy that you labelled), `provenance` (Content"
            " Credentials), `marks` (of generators, and the camera) and `model`. In each, `ran` is"
            " whether it was looked at"
        }
    )
    summary = _maybe(String)
    conflicts = List(String(), metadata={"description": "Where they contradict each other"})
    sentences = List(Dict(), metadata={"description": "`track` and `text`, for people"})


class Check(Schema):
    """The result for one picture, in words and numbers."""

    id = String()
    at = String()
    state = String()
    label = _maybe(String)
    word = String(metadata={"description": "The model's verdict, or what the user said"})
    headline = String(
        metadata={
            "description": "What people read first: `word`, or that the file itself says that AI"
            " made it"
        }
    )
    basis = String(
        metadata={
            "description": "What the headline rests on. Show `signed` and `marked` as AI-made,"
            " whatever `label` is",
            "enum": BASES,
        }
    )
    summary = String(metadata={"description": "One line for people"})
    is_sure = Boolean(metadata={"description": "Whether the words leave out “likely”"})
    percent = _maybe(Integer)
    p_fake = _maybe(Float)
    error = _maybe(String)
    code = _maybe(String)
    said = Nested(Correction, allow_none=True)
    alike = Boolean()
    explanation = List(String())
    model = String()
    prompt = String()
    sha256 = _maybe(String)
    width = _maybe(Integer)
    height = _maybe(Integer)
    format = _maybe(String)
    path = _maybe(String)
    page = _maybe(String)
    name = _maybe(String)
    source = String()
    seen = Integer(
        allow_none=True,
        metadata={"description": "How often the same bytes were seen; null without the scope read"},
    )
    occurrences = List(Nested(Occurrence), metadata={"description": "Where, the latest first"})
    ms = Float()
    has_thumbnail = Boolean()
    is_stored = Boolean()
    parts = List(
        Nested(Part),
        metadata={"description": "Empty for a check of before 0.2, which saw only the middle"},
    )
    note = String(
        allow_none=True,
        metadata={"description": "What to know of what was judged, such as that rows are missing"},
    )
    evidence = Nested(Evidence)


class CheckAmong(Check):
    """A check inside another answer."""


class Loading(Schema):
    """Whether the model is loaded."""

    phase = String(metadata={"enum": ["asleep", "loading", "ready", "broken"]})
    why = _maybe(String)
    ready_in_s = Float(
        allow_none=True,
        metadata={"description": "Seconds until it is loaded, from how long it took last"},
    )


class Ticket(Schema):
    id = String()
    state = String(metadata={"enum": ["queued", "running"]})
    is_stored = Boolean(
        metadata={"description": "If not, it is gone when antifake ends before the answer"}
    )
    ahead = Integer(allow_none=True, metadata={"description": "Pictures that are judged before it"})
    model = Nested(Loading)


class Checks(Schema):
    checks = List(Nested(CheckAmong))


class CheckPage(Checks):
    next = _maybe(String)


class Health(Schema):
    service = String()
    api = String()
    version = String()
    ready = Boolean()


class Proof(Schema):
    proof = String()


class Model(Schema):
    phase = String()
    model = _maybe(String)
    prompt = _maybe(String)
    why = _maybe(String)
    ready_in_s = _maybe(Float)


class State(Schema):
    mode = String()
    model = Nested(Model)
    waiting = Dict(keys=String(), values=Integer())
    left_s = Float(
        allow_none=True, metadata={"description": "Seconds until none waits, if that is known"}
    )
    paused_until = _maybe(String)
    notices = List(String())
    version = String()
    last_event = Integer()


class Day(Schema):
    day = String()
    real = Integer()
    fake = Integer()
    unsure = Integer()
    failed = Integer()


class Stats(Schema):
    days = List(Nested(Day))
    total = Dict(keys=String(), values=Integer())


class Existing(Schema):
    """What a folder held before it was watched, and how much of it is checked."""

    state = String(
        metadata={"description": "counting, counted, left, checking, paused or done"},
    )
    total = Integer()
    done = Integer()
    others = Integer(metadata={"description": "Files that are no pictures, by their names"})
    left_s = _maybe(Float)
    summary = String()
    passed_over = String()


Folder = _schema(
    "Folder",
    {
        "path": String(),
        "include": List(String()),
        "exclude": List(String()),
        "recursive": Boolean(),
        "polling": Boolean(),
        "problem": _maybe(String),
        "pending": Integer(),
        "existing": Nested(Existing, allow_none=True),
    },
)


class Watches(Schema):
    folders = List(Nested(Folder))
    paused_until = _maybe(String)


class Paused(Schema):
    paused_until = _maybe(String)


class Event(Schema):
    number = Integer()
    kind = String()
    data = Dict(keys=String(), values=Raw(allow_none=True))


class Events(Schema):
    events = List(Nested(Event))
    last = Integer()
    reset = Boolean()


class Pairing(Schema):
    id = String()
    name = String()
    origin = _maybe(String)
    scopes = List(String())
    code = String()
    expires = String()


class Pairings(Schema):
    pairings = List(Nested(Pairing))


class NewPairing(Schema):
    id = String()
    code = String()
    secret = String()
    expires = String()


class PairingState(Schema):
    state = String()
    token = String()
    token_id = Integer()


class Token(Schema):
    id = Integer()
    name = String()
    scopes = List(String())
    origin = _maybe(String)
    created = String()
    last_used = _maybe(String)
    expires = _maybe(String)
    revoked = _maybe(String)


class TokenAmong(Token):
    """A token inside another answer."""


class Tokens(Schema):
    tokens = List(Nested(TokenAmong))


class Login(Schema):
    url = String()


class Forgotten(Schema):
    forgotten = Integer()


class Imported(Schema):
    added = Integer()
    known = Integer()
    n_refused = Integer(metadata={"description": "Rows that were left out."})
    refused = List(String(), metadata={"description": "Why, for the first hundred of them."})


class Problem(Schema):
    """An error as in RFC 9457. `detail` is a sentence for people."""

    type = String(required=True, validate=Regexp("urn:antifake:problem:"))
    title = String(required=True)
    status = Integer(required=True)
    detail = String(required=True)
    code = String(required=True)
    errors = List(Dict(keys=String(), values=String()))
    check = Nested(CheckAmong)


Settings = _schema("Settings", {name: Raw(allow_none=True) for name in names()}, _Open)
"""The settings themselves check the values."""
