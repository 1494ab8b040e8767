"""Lists the licences of the packages that an installation brings along, as they state them.

Run as a program it prints the table of NOTICE.
"""

import re
from importlib.metadata import Distribution

from kit.wheels import installed_for, requirements_of

SPDX = {
    "Apache Software License": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "BSD license (see license.txt for details), Copyright (c) 2000-2025, ReportLab Inc.": (
        "BSD-3-Clause"
    ),
    "3-Clause BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "ISC License (ISCL)": "ISC",
    "ISC License": "ISC",
    "Python Software Foundation License": "PSF-based (matplotlib's own)",
    "The Unlicense (Unlicense)": "Unlicense",
    "Zope Public License": "ZPL-2.1",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
}


def stated_licence(package: Distribution) -> str:
    """Returns the SPDX expression, else the classifier, else the first line of the licence."""
    about = package.metadata
    if expression := about["License-Expression"]:
        return expression
    classifiers = about.get_all("Classifier") or []
    found = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License ::")]
    words = " AND ".join(found) or (about["License"] or "").partition("\n")[0]
    return SPDX.get(words, words)


def licences() -> dict[str, str]:
    """Returns the licence of each package that antifake needs, directly or not."""
    needed = installed_for(requirements_of("antifake"))
    return {name: stated_licence(package) for name, package in sorted(needed.items())}


def table_of(notice: str) -> dict[str, str]:
    """Returns the table of NOTICE: names and licences, at least two spaces apart."""
    return dict(re.findall(r"^    ([a-z0-9][a-z0-9-]*)  +(\S.*)$", notice, re.MULTILINE))


if __name__ == "__main__":
    for name, licence in licences().items():
        print(f"    {name:18}  {licence}")
