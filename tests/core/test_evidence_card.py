"""Five rules make the headline; conflicts are shown, and nothing in a file ever leads to "real"."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import jsonschema_rs
import pytest

from antifake.core.evidence.card import Card, ModelTrack, Word
from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.evidence.file_marks import FileMarks
from antifake.core.evidence.marks import Camera, Mark
from antifake.core.evidence.provenance import Provenance, WhyNot
from antifake.core.evidence.serialize import to_dict

CONTRACT = Path(__file__).parents[1] / "contract"
RECIPE = Mark("comfyui", "recipe", "PNG prompt")
LABEL = Mark("iptc", "declared", "XMP DigitalSourceType", "trainedAlgorithmicMedia")
NAME = Mark("novelai", "named", "EXIF Software", "NovelAI")
PART = Mark("iptc", "declared_part", "XMP DigitalSourceType")
MAYBE = Mark("aigc", "suspected", "PNG AIGC", "Label 2")
CAMERA = Camera("Make", "Model")
REAL, ALARM = ModelTrack("real", 0.1, "mini@1", "p@1"), ModelTrack("fake", 0.95, "mini@1", "p@1")
LIKELY, UNSURE = (
    ModelTrack("fake", 0.7, "mini@1", "p@1"),
    ModelTrack("unsure", 0.5, "mini@1", "p@1"),
)


def made(*, marks=(), camera=None, provenance=None, **others):
    """Returns a card of what a file says, and what others say of the picture."""
    return Card(FileEvidence(FileMarks(tuple(marks), camera), provenance or Provenance()), **others)


def signed(signer="known", says="ai", content="intact"):
    return Provenance(content=content, signer=signer, says=says, by="source", name="Maker Ltd")


@pytest.mark.parametrize(
    ("card", "headline", "basis"),
    [
        (made(), "not judged", "none"),
        (made(model=REAL), "likely real", "model"),
        (made(model=ALARM), "AI-made", "model"),
        (made(model=UNSURE), "cannot tell", "model"),
        (made(marks=(RECIPE,)), "marked as AI-made", "marked"),
        (made(marks=(LABEL,), model=REAL), "marked as AI-made", "marked"),
        (made(marks=(NAME, PART, MAYBE), model=REAL), "likely real", "model"),
        (made(provenance=signed()), "declared AI-made", "signed"),
        (made(provenance=signed("known_interim"), model=REAL), "declared AI-made", "signed"),
        (made(provenance=signed("unknown"), model=REAL), "marked as AI-made", "marked"),
        (made(provenance=signed("lapsed"), model=REAL), "marked as AI-made", "marked"),
        (made(provenance=signed("revoked"), model=REAL), "likely real", "model"),
        (made(provenance=signed(content="changed"), model=REAL), "likely real", "model"),
        (made(provenance=signed(says="ai_part"), model=REAL), "likely real", "model"),
        (made(provenance=signed(says="camera"), model=ALARM), "AI-made", "model"),
        (made(seen=Word("fake", "2026"), provenance=signed()), "You said: AI-made", "seen"),
        (made(you=Word("real", "2026"), marks=(RECIPE,), model=ALARM), "You said: real", "you"),
    ],
)
def test_the_first_rule_that_holds_makes_the_headline(card, headline, basis):
    assert (card.headline, card.basis) == (headline, basis)
    assert to_dict(card)["headline"] == headline


@pytest.mark.parametrize(
    ("card", "conflicts"),
    [
        (made(provenance=signed(), model=REAL), ["signed_but_unnoticed"]),
        (made(marks=(RECIPE,), model=REAL), ["marked_but_unnoticed"]),
        (made(provenance=signed(says="camera"), model=ALARM), ["camera_signed_but_alarm"]),
        (made(provenance=signed("unknown", "camera"), model=ALARM), []),
        (made(marks=(RECIPE,), camera=CAMERA, model=ALARM), ["camera_and_generator"]),
        (
            made(provenance=signed(content="changed", says=None), model=REAL),
            ["signed_then_changed"],
        ),
        (made(you=Word("real", "2026"), provenance=signed()), ["you_against_signed"]),
        (made(marks=(NAME,), model=REAL), []),
    ],
)
def test_conflicts_are_shown_with_a_sentence_each(card, conflicts):
    said = to_dict(card)
    assert said["conflicts"] == conflicts
    assert sum(one["track"] == "conflict" for one in said["sentences"]) == len(conflicts)


def all_cards():
    marks = [(), (RECIPE,), (LABEL,), (NAME,), (PART,), (MAYBE,), (NAME, RECIPE)]
    signers = ["known", "known_interim", "unknown", "lapsed", "revoked"]
    says = ["ai", "ai_part", "camera", "other", None]
    credentials = [
        Provenance(),
        *(signed(*one) for one in itertools.product(signers, says, ["intact", "changed"])),
        Provenance(content="elsewhere"),
        *(Provenance(why, content="unreadable") for why in get_args(WhyNot)),
    ]
    for some, camera, credential in itertools.product(marks, (None, CAMERA), credentials):
        yield made(marks=some, camera=camera, provenance=credential)


def with_model(card, model):
    return replace(card, model=model)


def test_every_card_is_as_the_schema_says():
    schema = json.loads((CONTRACT / "evidence.schema.json").read_text("utf-8"))
    validator = jsonschema_rs.validator_for(schema)
    for card in all_cards():
        for some in (card, with_model(card, ALARM)):
            validator.validate(to_dict(some))
    assert not validator.is_valid(to_dict(made()) | {"prompt": "a hill"})


def test_a_file_that_was_not_looked_at_says_nothing():
    said = to_dict(Card(model=REAL))
    assert (said["headline"], said["summary"]) == ("likely real", None)
    assert not said["tracks"]["marks"]["ran"]
    assert not said["tracks"]["provenance"]["ran"]
    assert {one["track"] for one in said["sentences"]} == {"model"}


@pytest.mark.parametrize(
    ("card", "begins"),
    [
        (made(marks=(RECIPE, NAME)), "The file holds ComfyUI's recipe"),
        (made(provenance=signed(), marks=(RECIPE,)), "Maker Ltd signed that AI made it."),
        (made(provenance=signed(content="changed")), "The picture is not as it was signed"),
        (made(provenance=signed(says="camera"), marks=(NAME,)), "The file names NovelAI"),
        (made(marks=(RECIPE,), model=REAL), "The file holds ComfyUI's recipe"),
    ],
)
def test_the_summary_is_the_strongest_line_and_its_conflicts(card, begins):
    assert to_dict(card)["summary"].startswith(begins)
    for one in to_dict(card)["sentences"]:
        if one["track"] == "conflict":
            assert one["text"] in to_dict(card)["summary"]
    assert to_dict(made(camera=CAMERA, model=REAL))["summary"] is None


def test_what_a_file_says_survives_being_stored():
    for card in all_cards():
        assert FileEvidence.from_dict(json.loads(json.dumps(card.file.to_dict()))) == card.file


def test_no_file_ever_leads_to_real_nor_lowers_an_alarm():
    for card in all_cards():
        assert "real" not in card.headline
        for model in (ALARM, LIKELY, UNSURE):
            judged = with_model(card, model)
            assert "real" not in judged.headline
            if "AI-made" in made(model=model).headline:
                assert "AI-made" in judged.headline


def test_a_camera_changes_no_headline():
    for card in all_cards():
        found = replace(card.file.marks, camera=None)
        without = replace(card, file=replace(card.file, marks=found))
        assert card.headline == without.headline


def test_the_words_of_the_model_are_never_changed():
    for card in all_cards():
        track = to_dict(with_model(card, REAL))["tracks"]["model"]
        assert (track["label"], track["p_fake"], track["word"]) == ("real", 0.1, "likely real")


def test_every_card_has_sentences_that_claim_nothing_wrong():
    for card in all_cards():
        texts = [one["text"] for one in to_dict(card)["sentences"]]
        assert all(text.strip() and "{" not in text and "None" not in text for text in texts)
        said = " ".join(texts).lower()
        assert not any(word in said for word in ("authentic", "genuine", "forged", "proves that"))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        # A name of a program is not a declaration of AI.
        (FileEvidence(provenance=replace(signed(), by="agent")), "signed that a program for AI"),
        (FileEvidence(provenance=replace(signed("unknown"), by="agent")), "It names a program"),
        # A manifest may have been copied from another picture.
        (FileEvidence(provenance=signed(content="changed", says=None)), "not as it was signed"),
        (FileEvidence(provenance=signed(says="camera")), "Screens and prints"),
        (FileEvidence(FileMarks(is_complete=False)), "Not all of what is written"),
    ],
)
def test_sentences_say_no_more_than_is_known(file, words):
    texts = [one["text"] for one in to_dict(Card(file))["sentences"]]
    assert any(words in one for one in texts), texts
    if not file.marks.is_complete:
        assert not any("No generator" in one or "Most pictures have none" in one for one in texts)
