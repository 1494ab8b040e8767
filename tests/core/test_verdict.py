"""Bands and words: one table for what is said at which probability."""

import pytest

from antifake.core.prompt_file import PromptMetadata
from antifake.core.results import Result
from antifake.core.verdict import Bands, Verdict, word


@pytest.mark.parametrize(
    ("p_fake", "label", "words"),
    [
        (0.0, "real", "likely real"),
        (0.3999, "real", "likely real"),
        (0.4, "unsure", "cannot tell"),
        (0.5, "unsure", "cannot tell"),
        (0.6, "unsure", "cannot tell"),
        (0.6001, "fake", "likely AI-made"),
        (0.8999, "fake", "likely AI-made"),
        (0.9, "fake", "AI-made"),
        (1.0, "fake", "AI-made"),
    ],
)
def test_words_at_the_edges_of_the_bands(p_fake, label, words):
    found = Bands(0.4, 0.6).label(p_fake)
    assert (found, word(found, p_fake)) == (label, words)


def test_bands_must_hold_the_decision_between_them():
    for edges in ((0.6, 0.7), (0.2, 0.4), (-0.1, 0.6), (0.4, 1.1)):
        with pytest.raises(ValueError, match="bands"):
            Bands(*edges)
    assert PromptMetadata().bands == Bands()


def test_a_percentage_never_stands_alone_and_is_never_0_or_100():
    for p_fake in (0.0, 0.05, 0.5, 0.55, 0.7, 0.999, 1.0):
        verdict = Verdict(p_fake, Bands().label(p_fake), "m@1", "p@1")
        text = Result.judged("a.png", None, verdict, 1).to_text(percent=True)
        assert text.startswith(verdict.word)
        assert "fake" not in text
        assert "100 %" not in text
        assert "(0 %)" not in text
        assert ("%" in text) == (verdict.label != "unsure")
        assert "%" not in Result.judged("a.png", None, verdict, 1).to_text(percent=False)
