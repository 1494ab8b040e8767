"""Says in our own few words what a C2PA manifest store says: pure, from the library's report.

The library's overall state is not used, as it mixes whether the picture is as it was signed with
whether the signer is known. Codes: C2PA technical specification 2.2, section 15.
"""

from collections.abc import Iterator
from typing import Any, Literal

from .marks import NAME_PATTERNS, inert
from .trust_lists import INTERIM, KNOWN

Content = Literal["none", "intact", "changed", "elsewhere", "unreadable"]
"""Whether the picture is as it was signed: `elsewhere` if its credentials lie on a server, which
is never asked; `none` if it has none."""
Signer = Literal["known", "known_interim", "unknown", "lapsed", "revoked"]
"""`known_interim`: only on the older list; `lapsed`: the certificate has run out."""
Says = Literal["ai", "ai_part", "camera", "other"]

MOST_PARENTS = 16
_SIGNERS_FAMILIES = ("signingCredential.", "timeStamp.", "cawg.")
_HASH_MATCHES = {
    "assertion.dataHash.match", "assertion.boxesHash.match", "assertion.bmffHash.match",
}  # fmt: skip
_KNOWN_BY: dict[str, Signer] = {KNOWN: "known", INTERIM: "known_interim"}
_SOURCES: dict[str, Says] = {
    "trainedAlgorithmicMedia": "ai",
    "compositeWithTrainedAlgorithmicMedia": "ai_part",
    "compositeSynthetic": "ai_part",
    "digitalCapture": "camera",
    "computationalCapture": "camera",
    "negativeFilm": "camera",
    "positiveFilm": "camera",
    "print": "camera",
}


def content_of(report: dict[str, Any]) -> Content:
    """Returns whether the picture is as its active manifest's signer left it."""
    successes, failures = _codes(report, "success"), _codes(report, "failure")
    about_content = [one for one in failures if not one.startswith(_SIGNERS_FAMILIES)]
    if "claimSignature.validated" in successes and successes & _HASH_MATCHES and not about_content:
        return "intact"
    return "changed" if any(one.endswith("mismatch") for one in about_content) else "unreadable"


def signer_of(report: dict[str, Any]) -> Signer:
    """Returns what the lists that the library was given say of the signer."""
    successes, failures = _codes(report, "success"), _codes(report, "failure")
    if any("revoked" in one for one in failures):
        return "revoked"
    if "signingCredential.expired" in failures and "timeStamp.trusted" not in successes:
        return "lapsed"
    if "signingCredential.trusted" not in successes:
        return "unknown"
    found_in = str((report.get("validation_results") or {}).get("trustListUri"))
    return _KNOWN_BY.get(found_in, "unknown")


def says_of(report: dict[str, Any]) -> tuple[Says | None, Literal["source", "agent"] | None]:
    """Returns how the picture was made, and whether a source or only a program's name says so.

    Follows the parents of an edited picture until one was created: OpenAI's active manifest says
    nothing, its parent does.
    """
    chain = list(_chain(report))
    made: Says | None = None
    by: Literal["source", "agent"] | None = None
    for manifest in chain:
        if found := _created(manifest):
            made, by = found
            break
    if made != "ai" and any(_has_part_of_ai(report, manifest) for manifest in chain):
        return "ai_part", "source"
    return made, by


def name_of(report: dict[str, Any]) -> str | None:
    """Returns the organisation of the certificate that signed, inert; anyone can name any."""
    issuer = (_active(report).get("signature_info") or {}).get("issuer")
    return inert(str(issuer)) if issuer else None


def time_of(report: dict[str, Any]) -> str | None:
    time = (_active(report).get("signature_info") or {}).get("time")
    return inert(str(time), 40) if time else None


def _codes(report: dict[str, Any], kind: str) -> set[str]:
    results = (report.get("validation_results") or {}).get("activeManifest") or {}
    return {str(one.get("code")) for one in results.get(kind) or []}


def _active(report: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (report.get("manifests") or {}).get(report.get("active_manifest")) or {}
    return found


def _chain(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the active manifest, its parent, and so on, as far as none was changed."""
    manifests = report.get("manifests") or {}
    seen: set[str] = set()
    label = str(report.get("active_manifest"))
    broken = _broken_ingredients(report)
    while label in manifests and label not in seen and len(seen) <= MOST_PARENTS:
        seen.add(label)
        manifest = manifests[label]
        yield manifest
        parents = [
            one
            for one in manifest.get("ingredients") or []
            if one.get("relationship") == "parentOf" and (label, one.get("label")) not in broken
        ]
        label = str(parents[0].get("active_manifest")) if parents else ""


def _broken_ingredients(report: dict[str, Any]) -> set[tuple[str, str]]:
    """Returns manifest and label of the ingredients that fail by themselves."""
    broken = set()
    for delta in (report.get("validation_results") or {}).get("ingredientDeltas") or []:
        failures = (delta.get("validationDeltas") or {}).get("failure") or []
        if any(not str(one.get("code")).startswith(_SIGNERS_FAMILIES) for one in failures):
            parts = str(delta.get("ingredientAssertionURI", "")).split("/")
            if len(parts) >= 3:
                broken.add((parts[-3], parts[-1]))
    return broken


def _actions(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for assertion in manifest.get("assertions") or []:
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            yield from (
                one
                for one in (assertion.get("data") or {}).get("actions") or []
                if isinstance(one, dict)
            )


def _source(action: dict[str, Any]) -> Says | None:
    source = str(action.get("digitalSourceType") or "").rpartition("/")[2]
    return _SOURCES.get(source, "other") if source else None


def _created(manifest: dict[str, Any]) -> tuple[Says, Literal["source", "agent"]] | None:
    created = [one for one in _actions(manifest) if one.get("action") == "c2pa.created"]
    for action in created:
        if said := _source(action):
            return said, "source"
    if any(_is_by_generator(action) for action in created):
        return "ai", "agent"
    return None


def _is_by_generator(action: dict[str, Any]) -> bool:
    agent = action.get("softwareAgent") or ""
    name = str(agent.get("name") if isinstance(agent, dict) else agent)[:200]
    return any(pattern.search(name) for _, pattern in NAME_PATTERNS)


def _has_part_of_ai(report: dict[str, Any], manifest: dict[str, Any]) -> bool:
    """Returns whether an edit names AI, or a picture made by AI was placed into this one."""
    edits = [one for one in _actions(manifest) if one.get("action") != "c2pa.created"]
    if any(_source(one) in ("ai", "ai_part") for one in edits):
        return True
    manifests = report.get("manifests") or {}
    placed = [
        manifests.get(one.get("active_manifest")) or {}
        for one in manifest.get("ingredients") or []
        if one.get("relationship") == "componentOf"
    ]
    return any((_created(one) or ("",))[0] in ("ai", "ai_part") for one in placed)
