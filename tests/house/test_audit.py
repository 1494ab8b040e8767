"""The audit of what users install: findings fail, what is accepted is bounded, silence is told."""

import json
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kit import audit
from kit.audit import Accepted, complaints

TODAY = date(2026, 11, 28)
HOLE = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "summary": "It leaks.",
    "affected": [
        {
            "package": {"name": "idna", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.7"}]}],
        }
    ],
}


@pytest.fixture
def advisories():
    """A service that answers as OSV's does. Yields its address and what it was asked."""
    asked: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(question)
            found = {"vulns": [HOLE]} if question["package"]["name"] == "idna" else {}
            data = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query", asked
        server.shutdown()


def test_a_known_hole_fails_with_a_sentence_unless_it_is_accepted(advisories):
    url, asked = advisories
    found = audit.report(["idna==3.4", "rich==14.0"], url)
    assert {one["package"]["name"] for one in asked} == {"idna", "rich"}
    told = "idna 3.4 has a known hole, PYSEC-2026-1 CVE-2026-1; it is mended in 3.7."
    assert list(complaints(found, (), TODAY)) == [told]
    for name in ("PYSEC-2026-1", "CVE-2026-1"):
        one = Accepted(name, "idna", "it is not reached.", TODAY)
        assert list(complaints(found, [one], TODAY)) == []
        assert list(complaints(found, [one], date(2026, 11, 29))) == [
            f"{name} in idna was accepted until 2026-11-28: it is not reached."
        ]
    assert list(complaints(found, [Accepted("CVE-2026-1", "rich", "", TODAY)], TODAY)) == [told]


def test_everything_that_users_get_is_asked_about():
    names = [one.partition("==")[0] for one in audit.requirements()]
    assert {"torch", "flask", "pillow", "peft"} <= set(names)
    assert not {"pytest", "ruff", "antifake"} & set(names)


def test_a_machine_without_advisories_says_that_nothing_was_audited(monkeypatch, capsys):
    monkeypatch.setattr(audit, "requirements", lambda: ["idna==3.4"])
    assert audit.main("http://127.0.0.1:9/") == 0
    assert capsys.readouterr().out == (
        "audit: the advisories of osv.dev could not be fetched, so nothing was audited.\n"
    )


def test_a_finding_ends_the_check(advisories, monkeypatch, capsys):
    monkeypatch.setattr(audit, "requirements", lambda: ["idna==3.4"])
    assert audit.main(advisories[0]) == 1
    assert "idna 3.4 has a known hole" in capsys.readouterr().out


def test_an_audit_that_breaks_is_not_taken_for_one_without_findings():
    with pytest.raises(RuntimeError):
        audit.report(["not a requirement !"], "http://127.0.0.1:9/")
