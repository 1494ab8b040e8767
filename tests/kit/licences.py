"""Lists the licences of the packages that an installation brings along, as they state them.

`make licences` writes the table of NOTICE: names and licences, no versions. Lines of packages that
are not installed here, because another system or Python needs them, stay as they are.
"""

import re
from collections.abc import Iterator
from configparser import ConfigParser
from importlib.metadata import Distribution, PackageNotFoundError

from kit.wheels import ROOT, installed_for, requirements_of
from packaging.utils import canonicalize_name

SPDX = {
    "Apache Software License": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "BSD license (see license.txt for details), Copyright (c) 2000-2025, ReportLab Inc.": (
        "BSD-3-Clause"
    ),
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD License AND Apache Software License": "Apache-2.0 OR BSD-3-Clause",  # python-dateutil's
    "MIT License": "MIT",
    "ISC License (ISCL)": "ISC",
    "ISC License": "ISC",
    "Python Software Foundation License": "PSF-based (matplotlib's own)",
    "The Unlicense (Unlicense)": "Unlicense",
    "Zope Public License": "ZPL-2.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
}


ALLOWED = {
    *("0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause"),
    *("BSL-1.0", "CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0"),
    *("Unlicense", "Zlib", "ZPL-2.1"),
    # Copyleft of single files, which nobody changes here.
    "MPL-2.0",
}
"""Licences that ask for no more than to be named, and to keep their text with the package."""

EXCEPTIONS = {
    "matplotlib": "its own licence, modelled on Python's: asks for its notice only",
    "pystray": "LGPL-3.0: imported unchanged and replaceable, by the icon only",
    "python-xlib": "LGPL-2.1-or-later: imported unchanged and replaceable, needed by pystray",
    "psycopg": "LGPL-3.0: imported unchanged and replaceable, by the extra postgres only",
    "psycopg-binary": "LGPL-3.0: imported unchanged and replaceable, by the extra postgres only",
}
"""Packages under another licence, and why they are used all the same."""


OF_CUDA = re.compile(r"(cuda|nvidia)-|triton$")
"""Names of what torch brings along in its build for NVIDIA's cards, which on Linux is the one that
pip gets. NOTICE has a sentence about them: which they are changes with every version of torch."""


def stated_licence(package: Distribution) -> str:
    """Returns the SPDX expression, else the classifier, else the first line of the licence."""
    about = package.metadata
    if expression := about["License-Expression"]:
        return expression
    classifiers = about.get_all("Classifier") or []
    found = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License ::")]
    words = " AND ".join(found) or (about["License"] or "").partition("\n")[0]
    return SPDX.get(words, words)


def brought_along() -> dict[str, Distribution]:
    """Returns what is installed of all that `pip install antifake` and its extras bring along."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    extras = [name for name in setup["options.extras_require"] if name != "test"]
    found: dict[str, Distribution] = {}
    for one in requirements_of("antifake", extras):
        try:
            found |= installed_for([one])
        except PackageNotFoundError:  # of an extra that this machine lacks
            continue
    return dict(sorted(found.items()))


def cuda_libraries() -> set[str]:
    """Returns which installed packages are there for torch's build for NVIDIA's cards."""
    asked = [one for one in requirements_of("torch") if OF_CUDA.match(canonicalize_name(one.name))]
    return {name for name in installed_for(asked) if OF_CUDA.match(name)}


def licences() -> dict[str, str]:
    """Returns the licence of each package that antifake or an extra needs, directly or not.

    Leaves out the `cuda_libraries`, which antifake neither imports nor needs.
    """
    left_out = cuda_libraries()
    return {
        name: stated_licence(package)
        for name, package in brought_along().items()
        if name not in left_out
    }


def complaints(stated: dict[str, str], notice: str) -> Iterator[str]:
    """Yields a sentence for each package that NOTICE lacks, or whose licence is not allowed."""
    named = table_of(notice)
    for name, licence in stated.items():
        if name not in named:
            yield f"{name} ({licence or 'no licence stated'}) is not in NOTICE: run make licences."
        terms = set(re.split(r" AND | OR ", licence))
        if name not in EXCEPTIONS and not terms <= ALLOWED:
            yield (
                f"{name} is under {licence or 'no licence that it states'}, which "
                "tests/kit/licences.py does not allow: read it, then allow it or do without."
            )


TABLE = re.compile(r"^    ([a-z0-9][a-z0-9-]*)  +(\S.*)$", re.MULTILINE)


def table_of(notice: str) -> dict[str, str]:
    """Returns the table of NOTICE: names and licences, at least two spaces apart."""
    return dict(TABLE.findall(notice))


def with_table(notice: str, stated: dict[str, str]) -> str:
    """Returns NOTICE with these licences in its table. What a line says besides is kept."""
    former = table_of(notice)
    table = {
        name: former[name] if former.get(name, "").startswith(licence) else licence
        for name, licence in stated.items()
    }
    lines = [f"    {name:18}  {text}\n" for name, text in sorted((former | table).items())]
    before, after = notice[: _begin(notice)], notice[_end(notice) :]
    return before + "".join(lines) + after.removeprefix("\n")


def _begin(notice: str) -> int:
    return next(TABLE.finditer(notice)).start()


def _end(notice: str) -> int:
    return max(one.end() for one in TABLE.finditer(notice))


if __name__ == "__main__":
    path = ROOT / "NOTICE"
    path.write_text(with_table(path.read_text("utf-8"), licences()), "utf-8")
