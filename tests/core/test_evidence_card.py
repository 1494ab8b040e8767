"""Five rules make the headline; conflicts are shown, and nothing in a file ever leads to "real"."""

import itertools
import json
from pathlib import Path
from typing import get_args

import jsonschema_rs
import pytest

from antifake.core.evidence.card import Card, ModelTrack, Word
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


def signed(signer="known", says="ai", content="intact"):
    return Provenance(content=content, signer=signer, says=says, by="source", name="Maker Ltd")


@pytest.mark.parametrize(
    ("card", "headline", "basis"),
    [
        (Card(), "not judged", "none"),
        (Card(model=REAL), "likely real", "model"),
        (Card(model=ALARM), "AI-made", "model"),
        (Card(model=UNSURE), "cannot tell", "model"),
        (Card(marks=(RECIPE,)), "marked as AI-made", "marked"),
        (Card(marks=(LABEL,), model=REAL), "marked as AI-made", "marked"),
        (Card(marks=(NAME, PART, MAYBE), model=REAL), "likely real", "model"),
        (Card(provenance=signed()), "declared AI-made", "signed"),
        (Card(provenance=signed("known_interim"), model=REAL), "declared AI-made", "signed"),
        (Card(provenance=signed("unknown"), model=REAL), "marked as AI-made", "marked"),
        (Card(provenance=signed("lapsed"), model=REAL), "marked as AI-made", "marked"),
        (Card(provenance=signed("revoked"), model=REAL), "likely real", "model"),
        (Card(provenance=signed(content="changed"), model=REAL), "likely real", "model"),
        (Card(provenance=signed(says="ai_part"), model=REAL), "likely real", "model"),
        (Card(provenance=signed(says="camera"), model=ALARM), "AI-made", "model"),
        (Card(seen=Word("fake", "2026"), provenance=signed()), "You said: AI-made", "seen"),
        (Card(you=Word("real", "2026"), marks=(RECIPE,), model=ALARM), "You said: real", "you"),
    ],
)
def test_the_first_rule_that_holds_makes_the_headline(card, headline, basis):
    assert (card.headline, card.basis) == (headline, basis)
    assert to_dict(card)["headline"] == headline


@pytest.mark.parametrize(
    ("card", "conflicts"),
    [
        (Card(provenance=signed(), model=REAL), ["signed_but_unnoticed"]),
        (Card(marks=(RECIPE,), model=REAL), ["marked_but_unnoticed"]),
        (Card(provenance=signed(says="camera"), model=ALARM), ["camera_signed_but_alarm"]),
        (Card(provenance=signed("unknown", "camera"), model=ALARM), []),
        (Card(marks=(RECIPE,), camera=CAMERA, model=ALARM), ["camera_and_generator"]),
        (
            Card(provenance=signed(content="changed", says=None), model=REAL),
            ["signed_then_changed"],
        ),
        (Card(you=Word("real", "2026"), provenance=signed()), ["you_against_signed"]),
        (Card(marks=(NAME,), model=REAL), []),
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
        yield Card(marks=some, camera=camera, provenance=credential)


def with_model(card, model):
    return Card(card.marks, card.camera, card.are_marks_complete, card.provenance, model)


def test_every_card_is_as_the_schema_says():
    schema = json.loads((CONTRACT / "evidence.schema.json").read_text("utf-8"))
    validator = jsonschema_rs.validator_for(schema)
    for card in all_cards():
        for some in (card, with_model(card, ALARM)):
            validator.validate(to_dict(some))
    assert not validator.is_valid(to_dict(Card()) | {"prompt": "a hill"})


def test_no_file_ever_leads_to_real_nor_lowers_an_alarm():
    for card in all_cards():
        assert "real" not in card.headline
        for model in (ALARM, LIKELY, UNSURE):
            judged = with_model(card, model)
            assert "real" not in judged.headline
            if "AI-made" in Card(model=model).headline:
                assert "AI-made" in judged.headline


def test_a_camera_changes_no_headline():
    for card in all_cards():
        without = Card(card.marks, None, True, card.provenance)
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
