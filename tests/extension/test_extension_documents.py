"""What the README says about the extension is what the extension has."""

import re

from kit.extension_zips import EXTENSION, manifest
from kit.wheels import ROOT

README = (ROOT / "README.md").read_text("utf-8")
DOCTOR = (EXTENSION / "lib" / "doctor.js").read_text("utf-8")


def table(head: str) -> list[list[str]]:
    """Returns the rows of the table with that head."""
    _, _, rest = README.partition(f"{head}\n")
    lines = rest.split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_readme_has_every_cause_of_the_doctor_and_no_other():
    [buttons] = re.findall(r"const BUTTONS = \{\n(.*?)\n\};", DOCTOR, re.DOTALL)
    causes = set(re.findall(r'^  "?([a-z-]+)"?: ', buttons, re.MULTILINE))
    assert len(causes) > 10
    rows = table("| cause | what it means | what to do |")
    named = [name for cause, *_ in rows for name in re.findall("`([^`]+)`", cause)]
    assert sorted(named) == sorted(causes)
    assert all(len(row) == 3 and all(row) for row in rows)


def test_the_readme_has_a_reason_for_every_permission():
    whole = manifest()
    rows = table("| permission | why | when |")
    when = {row[0]: row[2] for row in rows}
    for name in [*whole["permissions"], *whole["host_permissions"]]:
        assert when.pop(f"`{name}`") == "installation"
    for name in whole.get("optional_permissions", []):
        assert when.pop(f"`{name}`") != "installation"
    assert list(when.values()) == ["asked when first needed"]
    assert all(row[1] for row in rows)


def test_the_readme_names_the_shortcut_and_the_oldest_firefox():
    whole = manifest()
    assert whole["commands"]["pick"]["suggested_key"]["default"] in README
    oldest = whole["browser_specific_settings"]["gecko"]["strict_min_version"]
    assert f"Firefox {oldest.partition('.')[0]} or newer" in README
