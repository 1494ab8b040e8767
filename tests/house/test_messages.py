"""Every sentence for people is a message that can be translated."""

import ast
import re

import pytest
from kit.messages import PACKAGES, PLACEHOLDER, ROOT, TEMPLATE, extracted, template, uses

SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MESSAGE_CALLS = {"_", "ngettext"}
LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "log"}
FOR_PROGRAMMERS = {
    "AssertionError", "AttributeError", "KeyError", "LookupError", "NotImplementedError", "OSError",
    "RuntimeError", "ShortScanError", "TypeError", "ValueError", "ValidationError",
}  # fmt: skip
"""Exceptions whose text nobody but a programmer reads; people get an AntifakeError."""
WORDS = re.compile(r"[A-Za-z]{2,}[,;:]? (\{\}|[A-Za-z(“])[^=]*$")
SQL = re.compile(
    r"^\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|PRAGMA|WITH|VACUUM|BEGIN|SET)\b"
)
ENGLISH_ONLY = (
    "core/evidence/containers.py",
    "core/evidence/hidden_text.py",
    "core/evidence/marks.py",
    "core/evidence/recipes.py",
    "core/lazy_imports.py",
    "daemon/migrations/",
    "daemon/web/api/learning_schemas.py",
    "daemon/web/api/schemas.py",
    "daemon/web/openapi.py",
    "trainer/base_set/",
    "trainer/commands/mini",
    "trainer/mini/",
)
"""Names of fields and products; documentation of the API; the tools that build `mini`."""
NOT_FOR_PEOPLE: dict[str, set[str]] = {
    "core/file_formats.py": {"JPEG XL", "JPEG XR"},
    "core/child_process.py": {"from {}.resource_limits import end_with; end_with"},
    "core/decoder.py": {"from {} import TimeLimit, _Limits, serve; serve({})"},
    "core/evidence/provenance.py": {"from {} import serve; serve(*{})"},
    "core/batching.py": {"out of memory", "allocate memory", "not enough memory"},
    "core/commands/demo.py": {"antifake {}", "check PICTURE..."},
    "core/cuda_graphs.py": {"it failed ({})", "it gave {} and not {}"},
    "core/dtype_benchmark.py": {"torch {}", "model name", "cpu family"},
    "core/embedded.py": {"{} from the Hugging Face hub", "{} from the Python package index"},
    "core/fetch.py": {"Found link (\\S+/{}\\S+\\.whl)\\b"},
    "core/hub.py": {"{} from the Hugging Face hub"},
    "core/precision.py": {
        ", language model in int8,",
        ", language model in nf4,",
        "{}{} on {}",
    },
    "core/preview.py": {"from {} import serve; serve({})"},
    "core/prompt_file.py": {"Is this photo real"},
    "core/request_log.py": {" from the Python package index", " from the Hugging Face hub"},
    "daemon/autostart/desktop.py": {"XDG autostart"},
    "daemon/autostart/windows.py": {"Run key"},
    "daemon/client/transport.py": {
        "Bearer {}",
        "deque[tuple[float, http.client.HTTPConnection]]",
    },
    "daemon/commands/label.py": {
        "[--note TEXT] [--json]",
        "ID... fake|real|unsure|right | undo ID...",
    },
    "daemon/doctor/environment.py": {
        "echo fs.inotify.max_user_watches={} | sudo tee /etc/sysctl.d/60-antifake.conf && "
        "sudo sysctl --system",
        "watched folders",
    },
    "daemon/doctor/finding.py": {"watched folders"},
    "daemon/doctor/installation.py": {
        "import antifake.core.lazy_imports as lazy\n"
        "lazy.transformers_classes(); print(lazy.fallback_reason() or '')"
    },
    "daemon/service/access.py": {"this computer"},
    "daemon/store/database.py": {"connection failed: "},
    "daemon/store/opening.py": {"pip install 'antifake[postgres]'"},
    "daemon/service/model_fetch.py": {"from {} import serve; serve({})"},
    "daemon/web/api/checks.py": {
        "Not done yet; ask again.",
        "Too large",
        "Not a form",
        "Come again",
    },
    "daemon/web/api/events.py": {"Too many streams are open already"},
    "daemon/web/api/pairing.py": {"Letting programs in", "One at a time, five a minute"},
    "daemon/web/api/status.py": {"The daemon"},
    "daemon/web/api/watches.py": {"Watched folders"},
    "daemon/web/events.py": {"id: {}\nevent: {}\ndata: {}\n\n"},
    "daemon/web/guards.py": {
        "Authorization, Content-Type, Prefer, X-Pairing-Secret",
        "Location, Retry-After",
    },
    "daemon/web/pages/remembered.py": {"Mac OS X"},
    "daemon/web/pages/render.py": {"{}; connect-src {}"},
    "daemon/web/pages/viewer.py": {"sandbox; default-src 'none'; frame-ancestors 'none'"},
    "daemon/web/server.py": {
        "Content-Length beside Transfer-Encoding",
        "Length Required",
        "another protocol",
        "refused by the app",
        "this cannot be read",
        "two hosts",
    },
    "daemon/learning/trainer_process.py": {
        "import sys\nfrom pathlib import Path\nfrom {} import main\nsys.exit(main(Path({})))"
    },
    "daemon/worker/model_child.py": {"from {} import serve; serve({}, {}, {})"},
    "daemon/tray/dbus_menu.py": {"There is no entry {}.", "There is no property {}."},
    "trainer/degradations.py": {"JPEG {}", "WebP {}"},
    "trainer/personal/retraining.py": {"antifake retrain"},
    "trainer/progress.py": {"antifake prompt import {}", "antifake prompt use {}"},
    "trainer/report/charts.py": {"lower right", "lower left", "outside upper left"},
    "trainer/report/drawing.py": {
        "DejaVu Sans",
        "font-family: system-ui, 'DejaVu Sans', 'Segoe UI', Arial, sans-serif",
    },
    "trainer/training.py": {"antifake train"},
}
"""Texts that are no messages, by file: what a protocol, a model or a file format wants."""


def name_of(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def text_of(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
    return None


class Sentences(ast.NodeVisitor):
    """Collects the texts of a module that look like a sentence and are no message."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []

    def visit_Call(self, node: ast.Call) -> None:
        is_log = isinstance(node.func, ast.Attribute) and node.func.attr in LOGGING
        if is_log or name_of(node) in MESSAGE_CALLS | FOR_PROGRAMMERS | {"compile", "getLogger"}:
            for value in [*node.args[2:], *(one.value for one in node.keywords)]:
                self.visit(value)
            return
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if text_of(node.value) is None:  # else a docstring
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        pass  # an annotation

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_Subscript(self, node: ast.Subscript) -> None:
        pass

    def visit_Constant(self, node: ast.Constant) -> None:
        self.note(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.note(node)
        for one in node.values:
            if isinstance(one, ast.FormattedValue):
                self.visit(one.value)

    def note(self, node: ast.expr) -> None:
        text = text_of(node)
        if text and WORDS.search(text) and not SQL.match(text):
            self.found.append((node.lineno, text))


def sentences(path):
    """Returns line and text of what looks like a sentence in a file and is no message."""
    visitor = Sentences()
    visitor.visit(ast.parse(path.read_text("utf-8")))
    known = NOT_FOR_PEOPLE.get(path.relative_to(ROOT).as_posix(), set())
    return [(line, text) for line, text in visitor.found if text not in known]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_sentence_is_a_message(path):
    name = path.relative_to(ROOT).as_posix()
    found = [] if name.startswith(ENGLISH_ONLY) else sentences(path)
    assert not found, "\n".join(f"{path}:{line}: {text!r}" for line, text in found)


def calls_of_messages():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and name_of(node) in MESSAGE_CALLS:
                yield path, node


def test_the_values_of_a_message_are_those_of_its_placeholders():
    for path, call in calls_of_messages():
        texts = [text_of(one) for one in call.args[: 2 if name_of(call) == "ngettext" else 1]]
        where = f"{path}:{call.lineno}: {texts}"
        assert all(isinstance(one, str) for one in texts) or path.name in ("i18n.py", "terminal.py")
        given = {one.arg for one in call.keywords}
        assert None not in given, where
        fillable = given | {"n"} if name_of(call) == "ngettext" else given
        named = {
            re.split(r"[.:!\[]", one[1:-1])[0]
            for text in texts
            for one in PLACEHOLDER.findall(text or "")
        }
        assert not given or named >= given, where
        assert (not given and name_of(call) == "_") or named <= fillable, where


def test_nothing_else_is_called_by_the_name_of_the_translating_function():
    """`_, rest = pair` in a function would make `_()` fail there."""
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)]
        for scope in [tree, *functions]:
            called = {name_of(one) for one in ast.walk(scope) if isinstance(one, ast.Call)}
            bound = {
                one.id
                for one in ast.walk(scope)
                if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
            }
            assert not (scope is not tree and "_" in called & bound), f"{path}: {scope.name}"


def test_every_message_is_found_for_the_catalogue():
    """A call inside of an f-string, for one, is not."""
    known = {id_ if isinstance(id_, str) else id_[0] for id_ in (one.id for one in extracted())}
    lost = [
        f"{path}:{call.lineno}: {text!r}"
        for path, call in calls_of_messages()
        if (text := text_of(call.args[0])) and text not in known
    ]
    assert not lost, "\n".join(lost)


def test_no_message_is_used_both_with_a_number_and_without():
    """gettext() of Python 3.11.2, for one, does not find those that have a plural."""
    messages = [message for _place, message, _comments, _context in uses()]
    with_number = {one[0] for one in messages if isinstance(one, tuple)}
    assert len(with_number) > 50
    assert not with_number & {one for one in messages if isinstance(one, str)}


def test_the_template_of_catalogues_has_every_message():
    assert TEMPLATE.read_bytes() == template(), "write it again: make messages"


def test_that_antifake_is_not_running_is_said_in_one_place():
    about = re.compile(
        r"antifake( daemon)? is not running|another version of antifake is run", re.I
    )
    said = [one for one in extracted() if isinstance(one.id, str) and about.search(one.id)]
    assert {name for one in said for name, _line in one.locations} == {"daemon/instance.py"}
    assert len(said) == 4
