"""Who is known is decided by the lists that are shipped, and a card says when these are old."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from kit.evidence import AUTHORITY
from kit.evidence import fixtures as fixtures  # noqa: PLC0414 - a fixture of pytest

from antifake.core.evidence import sentences, trust_lists
from antifake.core.evidence.card import Card
from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.evidence.manifests import signer_of
from antifake.core.evidence.provenance import Provenance, ProvenanceReader, checked
from antifake.core.evidence.reading import read_marks
from antifake.core.evidence.serialize import to_dict

FOLDER = Path(trust_lists.__file__).parent / "trust"
LISTS = sorted(FOLDER.glob("*.pem"))
ABROAD = {"Adobe Product Issuing CA vault-a-or2.adobe.net cai"}
"""Intermediates whose roots are on no list."""


def certificates(path):
    return x509.load_pem_x509_certificates(path.read_bytes())


def name_of(certificate):
    return certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


def signer(fixtures, anchors="", interim=""):
    data = (fixtures[0] / "c2pa_ai.jpg").read_bytes()
    with ProvenanceReader(anchors=anchors, interim=interim) as reader:
        return reader.read(read_marks(data), lambda: data).signer


def test_every_shipped_certificate_is_whole():
    listed = [one for path in LISTS for one in certificates(path)]
    by_subject = {one.subject: one for one in listed}
    for one in listed:
        assert one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        if name_of(one) not in ABROAD:
            one.verify_directly_issued_by(by_subject[one.issuer])
    assert {name_of(one) for one in listed if one.issuer not in by_subject} == ABROAD


def test_the_notice_beside_the_lists_names_them_and_how_much_they_hold():
    said = re.findall(
        r"^ +(\S+\.pem) .* (\d+) certificates$", (FOLDER / "NOTICE").read_text(), re.M
    )
    assert {name: int(n) for name, n in said} == {one.name: len(certificates(one)) for one in LISTS}
    assert len(LISTS) == 2
    for day in trust_lists.dates():
        assert datetime.fromisoformat(day).replace(tzinfo=UTC) < datetime.now(UTC)


def test_no_certificate_is_in_two_of_the_lists_that_the_library_gets():
    given = [one["trust_anchors"] for one in trust_lists.settings()["anchors"]]
    found = [one for pem in given for one in re.findall(r"BEGIN.+?END", pem, re.DOTALL)]
    assert len(found) == len(set(found)) > 30
    assert len({one["trust_uri"] for one in trust_lists.settings()["anchors"]}) == len(given) == 2


def test_the_list_that_has_a_signer_decides_what_is_said_of_it(fixtures):
    authority = (fixtures[0] / AUTHORITY).read_text()
    assert signer(fixtures) == "unknown"
    assert signer(fixtures, anchors=authority) == "known"
    assert signer(fixtures, interim=authority) == "known_interim"
    assert signer(fixtures, anchors=authority, interim=authority) == "known"


@pytest.mark.parametrize("found_in", [trust_lists.TIMESTAMPS, "system_anchors", None])
def test_an_authority_for_timestamps_makes_nobody_known(found_in):
    trusted = {"success": [{"code": "signingCredential.trusted"}], "failure": []}
    results = {"activeManifest": trusted, "trustListUri": found_in}
    assert signer_of({"validation_results": results}) == "unknown"
    assert (
        signer_of({"validation_results": results | {"trustListUri": trust_lists.KNOWN}}) == "known"
    )


def test_the_dates_of_the_lists_are_in_the_answer_and_are_kept(fixtures):
    data = (fixtures[0] / "c2pa_ai.jpg").read_bytes()
    with ProvenanceReader() as reader:
        found = reader.read(read_marks(data), lambda: data)
    assert found.lists == trust_lists.dates() != ()
    said = to_dict(Card(FileEvidence(provenance=found)))
    assert list(said["tracks"]["provenance"]["lists"]) == list(trust_lists.dates())
    assert checked(said["tracks"]["provenance"]) == found
    with pytest.raises(ValueError, match="Invalid isoformat"):
        checked({"content": "intact", "lists": ["<b>yesterday"]})


@pytest.mark.parametrize(("days", "is_said"), [(399, False), (402, True)])
def test_a_card_says_the_date_of_a_list_that_is_old(days, is_said):
    day = (datetime.now(UTC) - timedelta(days=days)).date().isoformat()
    found = Provenance(content="intact", signer="unknown", says="ai", lists=(day,))
    texts = [text for _, text in sentences.sentences(Card(FileEvidence(provenance=found)))]
    assert any(day in text for text in texts) == is_said
