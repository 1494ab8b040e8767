"""All words of the extension are in _locales, whole in each language, and all are used."""

import re

import pytest
from kit.extension_words import (
    LANGUAGES,
    PLACEHOLDER,
    html_pages,
    literals,
    manifest_keys,
    messages,
    places_of,
)

ENGLISH = messages("en")
PLURALS = ("_zero", "_one", "_two", "_few", "_many", "_other")
KEY = re.compile(r"[a-z][a-z0-9_]*")

NOT_FOR_PEOPLE = re.compile(
    r"[A-Z][a-z]+(?:-[A-Z][a-z]+)*"  # keys of the keyboard, headers: Escape, Content-Type
    r"|Arrow(?:Up|Down|Left|Right)|Page(?:Up|Down)"
    r"|Bearer (?:\$\{\w+(?:\.\w+)*\})?"
    r"|[\w-]+ (?:[\w-]+ ?)*"  # classes of CSS and errors for engineers are in small letters
)
SENTENCE = re.compile(
    r"[A-Za-zÄÖÜäöüß\u2019]{2,}[,;:]? [A-Za-zÄÖÜäöüß\u2019]{2,}.*|.*[a-z]{2,}[.!?…]"
)
SINKS = re.compile(
    r"(?:\.(?:textContent|innerText|title|alt|placeholder|ariaLabel)\s*=\s*"
    r"|setAttribute\(\s*[\"'](?:aria-label|title|alt|placeholder)[\"'],\s*"
    r"|[\"']?(?:aria-label|title|alt|placeholder)[\"']?\s*:\s*"
    r"|setTitle\(\{\s*title:\s*|\bbutton\(\s*)\Z"
)


def base_of(key: str) -> str:
    """Returns the key of a count without its form. Another key may end with such a word too."""
    suffix = next((one for one in PLURALS if key.endswith(one)), "")
    base = key.removesuffix(suffix)
    return base if f"{base}_other" in ENGLISH else key


def is_capitalised(text: str) -> bool:
    return text[:1].isupper()


def test_the_scan_sees_the_code():
    """Else the tests below would find nothing to complain about."""
    found = literals()
    assert {one.file.partition("/")[0] for one in found} >= {"background", "lib", "pages"}
    assert any(one.call == "words" for one in found)
    assert any(one.is_template for one in found)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_key_of_english_with_the_same_placeholders(language):
    found = messages(language)
    assert set(found) == set(ENGLISH)
    for key, message in found.items():
        assert set(message) <= {"message", "description", "placeholders"}
        assert message["message"].strip() == message["message"] != "", key
        assert places_of(message) == places_of(ENGLISH[key]), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_names_itself(language):
    assert messages(language)["language"]["message"] == language


def test_german_is_translated():
    german = messages("de")
    same = {key for key in ENGLISH if german[key]["message"] == ENGLISH[key]["message"]}
    texts = [PLACEHOLDER.sub("", german[key]["message"]) for key in same]
    assert [text for text in texts if len(re.findall("[A-Za-z]{2,}", text)) > 1] == []


def test_every_count_has_its_plural_forms():
    counted = {base_of(key) for key in ENGLISH if base_of(key) != key}
    assert counted
    for key in counted:
        assert f"{key}_one" in ENGLISH
        assert "$1" in places_of(ENGLISH[f"{key}_other"])


def test_every_key_that_is_used_is_there():
    missing = set()
    for one in literals():
        if one.call is None or one.is_template or one.text.startswith("@@"):
            continue
        wanted = [one.text] if one.call != "count" else [f"{one.text}_one", f"{one.text}_other"]
        missing |= {f"{key} in {one.file}" for key in wanted if key not in ENGLISH}
    for page, found in html_pages().items():
        missing |= {f"{key} in {page}" for key in found.keys - set(ENGLISH)}
    missing |= {f"{key} in the manifest" for key in manifest_keys() - set(ENGLISH)}
    assert missing == set()


def test_every_key_made_from_parts_can_be_there():
    for one in literals():
        if one.call is not None and one.is_template:
            assert any(one.pattern.fullmatch(base_of(key)) for key in ENGLISH), one


def test_no_key_is_left_over():
    """A key is used if the code has it as a text, also where a table names it."""
    plain = {one.text for one in literals() if not one.is_template}
    patterns = [one.pattern for one in literals() if one.call is not None and one.is_template]
    used = plain | manifest_keys() | {key for page in html_pages().values() for key in page.keys}
    unused = {
        key
        for key in ENGLISH
        if not {key, base_of(key)} & used
        and not any(one.fullmatch(key) or one.fullmatch(base_of(key)) for one in patterns)
    }
    assert unused == set()


def test_no_word_for_people_is_in_the_code():
    found = [
        f"{one.file}: {one.text}"
        for one in literals()
        if (SINKS.search(one.before) and re.search(r"[A-Za-z]{2,}", one.text))
        or (
            SENTENCE.fullmatch(one.text)
            and not NOT_FOR_PEOPLE.fullmatch(one.text)
            and is_capitalised(one.text)
        )
    ]
    assert found == []


def test_no_word_for_people_is_in_a_page():
    assert {page: found.texts for page, found in html_pages().items() if found.texts} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_keep_our_rules(language):
    for key, message in messages(language).items():
        text = message["message"]
        assert KEY.fullmatch(key), key
        assert not re.search(r"\bfakes?\b|100 ?%|\"|\.\.\.|'", text, re.IGNORECASE), text
        assert "  " not in text
