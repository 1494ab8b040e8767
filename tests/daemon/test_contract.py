"""Every answer that the browser extension reads, as tests/contract has it, comes from the real app.

tests/contract/answers.json names the request, the status and the headers of each example. The units
of the extension read the same files.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest
from kit.daemon import Asked, form, running_daemon, tiny_home_in
from kit.pages import PORT, places_in
from kit.pictures import png

from antifake.core.catalog import Home
from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.evidence.file_marks import FileMarks
from antifake.core.evidence.marks import Camera, Mark
from antifake.core.parts import WHOLE, JudgedPart
from antifake.daemon.config import load
from antifake.daemon.service import Events, Service, Settings, Status, learning_of
from antifake.daemon.service.access import Access
from antifake.daemon.service.at_rest import FoldersAtRest, existing_at_rest
from antifake.daemon.service.checks import Checks
from antifake.daemon.store import Store, checks, evidence, open_store, tokens
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.crops import CropFiles
from antifake.daemon.store.ids import to_number
from antifake.daemon.store.tokens import Grant
from antifake.daemon.web import About, create_app
from antifake.daemon.web.context import NAME
from antifake.daemon.web.guards import MAX_FILE_BYTES
from antifake.daemon.worker.active_model import ActiveModel
from antifake.daemon.worker.model_process import ModelProcess
from antifake.daemon.worker.queue import JobQueue

FOLDER = Path(__file__).parents[1] / "contract"
ANSWERS: dict[str, dict[str, Any]] = json.loads((FOLDER / "answers.json").read_text("utf-8"))
NOW = datetime(2026, 11, 22, 23, 45, tzinfo=UTC)
ADDRESS = f"http://127.0.0.1:{PORT}"
ORIGIN = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"
WISH = {"name": "Chromium on Linux", "scopes": ["check", "correct"]}
PICTURE = "38g5me1wptpzh"
OTHER = "38g5m00000000"
HEADERS = ("Location", "Retry-After", "Content-Type", "WWW-Authenticate")
ID, SECRET = "[0-9a-z]{13}", "[A-Za-z0-9_-]{43}"


def example(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


@dataclass
class Door:
    """The whole app with a history and a queue, but without a worker."""

    access: Access
    store: Store
    model: ModelProcess
    app: Any
    now: list[datetime]
    limit: list[int]
    """How many pictures may wait."""
    spool: Path
    secret: str = field(default="", repr=False)
    last: str = ""
    """The last request."""

    def ask(self, request: str, *, token: bool = True, **about: Any) -> Any:
        """`request`: method and path, as "GET /health"."""
        self.last = request
        method, path = request.split()
        headers = {"Origin": ORIGIN} if method != "GET" else {}
        if token:
            headers["Authorization"] = f"Bearer {self.secret}"
        headers |= about.pop("headers", {})
        sent = {"method": method, "base_url": ADDRESS, "headers": headers} | about
        return self.app.test_client().open(f"/api/v1{path}", **sent)

    def check(self, data: bytes, priority: str = "person", **about: Any) -> Any:
        body, kind = form({"file": data, "priority": priority})
        headers = {"Prefer": "wait=0"}
        return self.ask("POST /checks", data=body, content_type=kind, headers=headers, **about)

    def allow(self, *scopes: str) -> None:
        """Gives the extension a token. The first one has the same secret in every run."""
        grant = Grant(name=WISH["name"], scopes=frozenset(scopes), origin=ORIGIN)
        random = token_bytes if self.secret else lambda n: bytes(range(n))
        with self.store.writing() as session:
            _, self.secret = tokens.issue(session, grant, NOW, random)

    def add(self, name: str, file: FileEvidence = FileEvidence(), **other: Any) -> None:  # noqa: B008 - frozen
        known = example("check")
        values = {one.name: known[one.name] for one in fields(Finding) if one.name in known}
        with self.store.writing() as session:
            finding = replace(Finding(**values | {"parts": None}), **other)
            if finding.p_fake is not None:
                finding = replace(finding, parts=(JudgedPart(WHOLE, finding.p_fake),))
            checks.insert(session, finding, to_number(name))
            if finding.sha256 is not None:
                checks.keep_thumbnail(session, finding.sha256, b"webp", NOW)
                evidence.keep(session, finding.sha256, file, NOW)

    def pair(self) -> Any:
        return self.ask("POST /pairings", token=False, json=WISH)

    def poll(self, pairing: dict[str, Any]) -> Any:
        secret = {"X-Pairing-Secret": pairing["secret"]}
        return self.ask(f"GET /pairings/{pairing['id']}", token=False, headers=secret)


@pytest.fixture(scope="module")
def home(tiny_source, tmp_path_factory) -> Home:
    return tiny_home_in(tmp_path_factory.mktemp("home"), tiny_source)


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory) -> Iterator[Asked]:
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        daemon.wait_for_model()
        yield daemon


@contextmanager
def opened(home: Home, folder: Path) -> Iterator[Door]:
    now, limit = [NOW], [64]
    folder.mkdir(exist_ok=True)
    (folder / "spool").mkdir()
    settings = Settings(folder / "config.toml", load(folder / "config.toml"))
    with open_store(folder / "history.db", NOW) as store, ModelProcess(home) as model:
        events = Events()
        queue = JobQueue(store, folder / "spool", lambda: limit[0], lambda: now[0])
        status = Status(store, settings, model, events, lambda: now[0])
        made = Checks(store, settings, ActiveModel(home), queue, events, clock=lambda: NOW)
        folders = FoldersAtRest(settings)
        where = places_in(folder, home)
        learning = learning_of(store, settings, where, status, events, clock=lambda: now[0])
        service = Service(
            store,
            settings,
            events,
            lambda: now[0],
            made,
            status,
            folders,
            existing_at_rest(store, settings, events, lambda: now[0]),
            learning,
            CropFiles(where.crops),
        )
        access = Access(store, events, lambda: now[0], lambda: now[0].timestamp())  # noqa: PLW0108  # it changes
        app = create_app(service, access, About("0.1.0", lambda: None))
        app.extensions[NAME].port = PORT
        door = Door(access, store, model, app, now, limit, folder / "spool")
        door.allow("check", "correct")
        yield door


@pytest.fixture
def door(home, tmp_path) -> Iterator[Door]:
    with opened(home, tmp_path / "door") as made:
        yield made


# --- How each answer comes about ----------------------------------------------------------

Make = Callable[..., Any]
MAKERS: dict[str, tuple[Make, dict[str, str]]] = {}


STATE = {"last_event": "[0-9]+", "model.model": "tiny@.+", "model.prompt": "first@.+"}


def answer(name: str, **random: str) -> Callable[[Make], Make]:
    """`random`: members that differ from run to run, with what they look like."""

    def mark(make: Make) -> Make:
        MAKERS[name] = (make, random)
        return make

    return mark


@answer("check")
def _check(door: Door) -> Any:
    door.add(PICTURE)
    door.allow("check", "correct", "read")
    return door.ask(f"GET /checks/{PICTURE}")


@answer("check_without_read")
def _check_without_read(door: Door) -> Any:
    door.add(PICTURE)
    return door.ask(f"GET /checks/{PICTURE}")


@answer("check_marked")
def _marked(door: Door) -> Any:
    recipe = Mark("comfyui", "recipe", "PNG prompt")
    file = FileEvidence(FileMarks((recipe,), Camera("Make", "Model")))
    door.add(PICTURE, file, label="real", p_fake=0.04)
    return door.ask(f"GET /checks/{PICTURE}")


@answer("check_real")
def _real(door: Door) -> Any:
    door.add(PICTURE, label="real", p_fake=0.04)
    return door.ask(f"GET /checks/{PICTURE}")


@answer("check_unsure")
def _unsure(door: Door) -> Any:
    door.add(PICTURE, label="unsure", p_fake=0.52)
    return door.ask(f"GET /checks/{PICTURE}")


@answer("check_failed")
def _failed(door: Door) -> Any:
    about = {"label": None, "p_fake": None, "width": None, "height": None, "format": None}
    door.add(PICTURE, **about, sha256=None, error="This is not a picture.", code="unreadable")
    return door.ask(f"GET /checks/{PICTURE}")


@answer("check_corrected")
def _corrected(door: Door) -> Any:
    door.add(PICTURE)
    return door.ask(f"PUT /checks/{PICTURE}/label", json={"label": "real"})


@answer("check_near_copy")
def _near_copy(door: Door) -> Any:
    door.add(PICTURE, phash=0x1234_5678_9ABC_DEF0)
    door.add(OTHER, phash=0x1234_5678_9ABC_DEF1, sha256="0" * 64)
    door.ask(f"PUT /checks/{OTHER}/label", json={"label": "fake"})
    return door.ask(f"GET /checks/{PICTURE}")


@answer("checks_undone")
def _undone(door: Door) -> Any:
    door.add(PICTURE)
    for label in ("fake", "real"):
        door.ask(f"PUT /checks/{PICTURE}/label", json={"label": label})
    return door.ask("POST /labels:undo", json={"ids": [PICTURE]})


@answer("checks_page")
def _page(door: Door) -> Any:
    door.add(PICTURE)
    door.add(OTHER, sha256="0" * 64, label="real", p_fake=0.04, path="/home/me/holiday.png")
    door.allow("check", "correct", "read")
    return door.ask("GET /checks?limit=1")


@answer("ticket", id=ID)
def _ticket(door: Door) -> Any:
    return door.check(png(1))


@answer("ticket_loading", id=ID)
def _loading(door: Door) -> Any:
    for seed in range(3):
        door.check(png(seed))
        door.now[0] += timedelta(milliseconds=1)
    door.model.wake()
    return door.check(png(3))


@answer("state", **STATE)
def _state(door: Door) -> Any:
    return door.ask("GET /state")


@answer("health")
def _health(door: Door) -> Any:
    return door.ask("GET /health", token=False)


@answer("hello")
def _hello(door: Door) -> Any:
    """The proof for the token that pairing_accepted hands out."""
    given = example("pairing_accepted")
    assert door.secret == given["token"]
    wish = {"token_id": given["token_id"], "nonce": "00112233445566778899aabbccddeeff"}
    return door.ask("POST /hello", token=False, json=wish)


TOKEN = {"token": SECRET, "token_id": "[0-9]+"}
PAIRING = {"id": "[0-9a-f]{16}", "code": "[0-9]{6}", "secret": SECRET}


@answer("pairing_created", **PAIRING)
def _created(door: Door) -> Any:
    return door.pair()


@answer("pairing_waiting")
def _waiting(door: Door) -> Any:
    return door.poll(door.pair().json)


@answer("pairing_accepted", **TOKEN)
def _accepted(door: Door) -> Any:
    made = door.pair().json
    door.access.accept(made["id"])
    return door.poll(made)


@answer("pairing_rejected")
def _rejected(door: Door) -> Any:
    made = door.pair().json
    door.access.reject(made["id"])
    return door.poll(made)


@answer("pairing_expired")
def _expired(door: Door) -> Any:
    made = door.pair().json
    door.now[0] += timedelta(seconds=61)
    return door.poll(made)


@answer("problem_pairing_gone")
def _gone(door: Door) -> Any:
    made = door.pair().json
    door.now[0] += timedelta(seconds=121)
    return door.poll(made)


@answer("token_self")
def _token_self(door: Door) -> Any:
    return door.ask("GET /tokens/self")


@answer("login", url=f"{re.escape(ADDRESS)}/open\\?code={SECRET}&next=%2Fpicture%2F{PICTURE}")
def _login(door: Door) -> Any:
    door.allow("check", "correct", "open")
    return door.ask("POST /logins", json={"next": f"/picture/{PICTURE}"})


@answer("problem_no_token")
def _no_token(door: Door) -> Any:
    return door.ask("GET /state", token=False)


@answer("problem_unauthorized")
def _unauthorized(door: Door) -> Any:
    door.ask("DELETE /tokens/self")
    return door.ask("GET /state")


@answer("problem_scope")
def _scope(door: Door) -> Any:
    return door.ask("POST /logins", json={})


@answer("problem_wrong_origin")
def _wrong_origin(door: Door) -> Any:
    return door.ask("POST /labels:undo", headers={"Origin": ORIGIN[::-1]}, json={"ids": [PICTURE]})


@answer("problem_too_many")
def _too_many(door: Door) -> Any:
    door.pair()
    return door.pair()


@answer("problem_queue_full")
def _queue_full(door: Door) -> Any:
    door.limit[0] = 2
    return [door.check(png(seed)) for seed in range(3)][-1]


@answer("problem_too_large")
def _too_large(door: Door) -> Any:
    length = {"CONTENT_LENGTH": str(MAX_FILE_BYTES + 5000)}
    return door.check(png(1), environ_overrides=length)


@answer("problem_not_found")
def _not_found(door: Door) -> Any:
    return door.ask(f"GET /checks/{PICTURE}")


@answer("problem_no_model")
def _no_model(door: Door) -> Any:
    folder = door.spool.parent
    home = Home(folder / "home")
    home.models.mkdir(parents=True)
    (home.models / "active").write_text("gone")
    # A batch: a person is answered later, with what the file says.
    with opened(home, folder / "without") as without:
        reply = without.check(png(1), priority="batch")
        door.last = without.last
        return reply


JUDGED = {"id": ID, "at": ".+", "ms": "[0-9.]+", "model": "tiny@.+", "prompt": "first@.+"}


@answer("problem_unreadable", **{f"check.{name}": one for name, one in JUDGED.items()})
def _unreadable(door: Door, daemon: Asked) -> Any:
    door.last = "POST /checks"
    return daemon.check(b"GIF89a", token=daemon.token("check", "correct", origin=ORIGIN))


# --- The comparison -----------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_the_app_answers_as_the_example_in_the_contract(name, door, request):
    make, random = MAKERS[name]
    needs_daemon = make.__code__.co_argcount == 2
    reply = make(door, request.getfixturevalue("daemon")) if needs_daemon else make(door)
    found, expected = reply.json, example(name)
    if status_of(reply) >= 400:
        random = random | {"title": ".+"}  # another Python may have other words
    for place, pattern in random.items():
        shown = [pick(one, place, pattern) for one in (found, expected)]
        assert all(shown), place
    assert found == expected
    assert described(reply, door.last) == ANSWERS[name]


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("check", "Check"),
        ("checks_page", "CheckPage"),
        ("ticket", "Ticket"),
        ("state", "State"),
        ("health", "Health"),
        ("hello", "Proof"),
        ("pairing_created", "NewPairing"),
        ("pairing_accepted", "PairingState"),
        ("token_self", "Token"),
        ("login", "Login"),
    ],
)
def test_the_documentation_names_all_members(door, name, schema):
    documented = door.ask("GET /openapi.json", token=False).json["components"]["schemas"]
    assert documented[schema]["properties"].keys() == example(name).keys()


def test_the_contract_has_no_other_answers():
    files = [path for path in FOLDER.glob("*.json") if not path.name.endswith(".schema.json")]
    names = {path.stem for path in files} - {"answers"}
    assert names == set(MAKERS) == set(ANSWERS)


def pick(answer: Any, place: str, pattern: str) -> bool:
    """Takes a member out of an answer. Returns whether it looks like that."""
    *above, last = place.split(".")
    for name in above:
        answer = answer[name]
    return bool(re.fullmatch(pattern, str(answer.pop(last))))


def described(reply: Any, asked: str) -> dict[str, Any]:
    """Returns an answer without its body, as answers.json has it."""
    headers = {name: reply.headers[name] for name in HEADERS if name in reply.headers}
    request, headers = (
        json.loads(re.sub(r"/(checks|pairings)/[0-9a-z]{13,16}", r"/\1/{id}", json.dumps(one)))
        for one in (asked, headers)
    )
    return {"request": request, "status": status_of(reply), "headers": headers}


def status_of(reply: Any) -> int:
    """Works for the answer of the app and for that of a running daemon."""
    return int(getattr(reply, "status_code", 0) or reply.status)
