# ruff: noqa: RUF001  # letters that look like others are what this is about
"""Names that programs choose: what deceives a reader is refused, and honest names are not."""

from contextlib import suppress

import pytest

from antifake.core.errors import UsageError
from antifake.daemon.service.names import is_reserved, program_name

HONEST = [
    "Chrome on Linux",
    "Firefox on Windows",
    "Яндекс Browser",
    "Привет",
    "写真チェッカー",
    "ตัวตรวจสอบ",
    "चित्र जाँच",
    "בודק תמונות",
    "مدقق الصور",
    "Ελληνικό πρόγραμμα",
    "Café Müller – Fotos",
    "my script (v2.1)",
    "Adminer",
    "antifake in Chromium",
    "Tiếng Việt",
]


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_name_is_shown_as_it_is(name):
    assert program_name(f" {name} ") == name
    assert not is_reserved(name)


@pytest.mark.attack
@pytest.mark.parametrize(
    "name",
    [
        "This Computer",
        "ｔｈｉｓ ｃｏｍｐｕｔｅｒ",
        "𝐭𝐡𝐢𝐬 𝐜𝐨𝐦𝐩𝐮𝐭𝐞𝐫",
        "ⓣⓗⓘⓢ ⓒⓞⓜⓟⓤⓣⓔⓡ",
        "th1s c0mputer",
        "this-computer",
        "this\u2003\u00a0 computer",
        "thıs computer",
        "this computer (tray)",
        "тніѕ сомрутег",
        "tḣïš čömpútęr",
        "t\u0323h\u0301is computer",
        "ᴛʜɪs ᴄᴏᴍᴘᴜᴛᴇʀ",
        "antifake",
        "ANTlFAKE",
        "аnтіfаkе",
        "admin",
        "АДМІN",
        "аԁміп",
        "Administrator",
        "ΤΗΙS COMPUTER",
        "a\u200bntifake",
        "a\u034fntifake",
        "anti\u3164fake",
        "anti\u00adfake",
        "antifake\u202e",
        "\u2066antifake\u2069",
        "antifake\ufe0f",
        "anti\U000e0020fake",
    ],
)
def test_no_look_alike_of_our_own_names_is_taken(name):
    with suppress(UsageError):  # refused for how it is written
        assert is_reserved(program_name(name)), name


@pytest.mark.attack
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Fіrefox", "mixes letters"),
        ("Сhrome", "mixes letters"),
        ("Ϝirefox", "mixes letters"),
        ("x" + "\u0301" * 20, "too many marks"),
        ("\u0301" * 3 + "Chrome", "too many marks"),
        ("\u0301Chrome", "too many marks"),
        ("Chrome\u202egnp", "printable"),
        ("\u2800", "printable"),
        ("\u3164", "printable"),
        ("ab\u034fc", "printable"),
        ("x" * 81, "1 to 80"),
        ("\ufdfa" * 20, "1 to 80"),
        ("x" * 1_000_000, "1 to 80"),
    ],
)
def test_a_name_that_hides_something_is_refused_with_a_reason(name, why):
    with pytest.raises(UsageError, match=why):
        program_name(name)


@pytest.mark.attack
def test_widths_and_ligatures_are_shown_as_plain_letters():
    assert program_name("Ｃｈｒｏｍｅ ﬁlter") == "Chrome filter"
