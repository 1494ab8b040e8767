"""Tables and folders of pictures whose truth is known."""

import pytest

from antifake.core.errors import UsageError
from antifake.trainer.examples import Example, from_folders, from_manifest


def test_a_table_gives_what_is_known_and_nothing_else(tmp_path):
    table = tmp_path / "table.csv"
    # With a byte order mark, as spreadsheets write it.
    table.write_text("\ufefffile,label,source\na.jpg,real,one\nb/c.png,fake,\n", encoding="utf-8")
    assert from_manifest(table) == [
        Example(tmp_path / "a.jpg", False, "one"),
        Example(tmp_path / "b/c.png", True),
    ]
    assert [e.path.name for e in from_manifest(table, only="b/*")] == ["c.png"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,label\na.jpg,maybe\n", "line 2: the label is 'maybe', not real or fake"),
        ("file\na.jpg\n", "lacks the column label"),
        ("", "lacks the column file, label"),
        ("file,label\na.jpg\n", "the label is '', not real or fake"),
    ],
)
def test_a_mistake_in_a_table_is_named(tmp_path, text, sentence):
    table = tmp_path / "table.csv"
    table.write_text(text)
    with pytest.raises(UsageError, match=sentence):
        from_manifest(table)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b'file,label\n"' + b"a" * 200_000])
def test_what_is_not_a_table_is_refused(tmp_path, data):
    table = tmp_path / "table.csv"
    table.write_bytes(data)
    with pytest.raises(UsageError):
        from_manifest(table)


def test_a_table_that_is_not_there_is_said_plainly(tmp_path):
    with pytest.raises(UsageError, match=r"No such file or directory\.$"):
        from_manifest(tmp_path / "none.csv")


def test_folders_give_pictures_real_ones_first(tmp_path):
    for name in ("r/b.jpg", "r/deep/a.PNG", "f/c.webp", "f/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    found = from_folders(tmp_path / "r", tmp_path / "f")
    assert [(e.path.name, e.is_fake) for e in found] == [
        ("b.jpg", False),
        ("a.PNG", False),
        ("c.webp", True),
    ]
