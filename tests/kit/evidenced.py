"""What files say of themselves: an example of each state that pages and reports show."""

from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.evidence.file_marks import FileMarks
from antifake.core.evidence.manifests import Content, Says, Signer
from antifake.core.evidence.marks import Camera, Mark
from antifake.core.evidence.provenance import Provenance

RECIPE = Mark("comfyui", "recipe", "PNG prompt")
LABEL = Mark("iptc", "declared", "XMP DigitalSourceType", "trainedAlgorithmicMedia")
NAME = Mark("ideogram", "named", "EXIF Software", "Ideogram <b>2.0</b>")
PART = Mark("iptc", "declared_part", "XMP DigitalSourceType", "compositeSynthetic")
MAYBE = Mark("aigc", "suspected", "PNG AIGC", "Label 2")
CAMERA = Camera("NIKON CORPORATION", "NIKON Z 9")


def signed(
    signer: Signer = "known",
    says: Says | None = "ai",
    content: Content = "intact",
    name: str = "Google LLC",
) -> Provenance:
    """Returns credentials as they are read of a signed file."""
    return Provenance(content=content, signer=signer, says=says, by="source", name=name)


def marked(*marks: Mark, camera: Camera | None = None, is_complete: bool = True) -> FileEvidence:
    """Returns what a file says in which nothing but these marks was found."""
    return FileEvidence(FileMarks(marks, camera, is_complete))


STATES: dict[str, FileEvidence | None] = {
    "signed-known": FileEvidence(provenance=signed()),
    "signed-older-list": FileEvidence(provenance=signed("known_interim", name="OpenAI")),
    "signed-unknown": FileEvidence(provenance=signed("unknown")),
    "signed-lapsed": FileEvidence(provenance=signed("lapsed")),
    "signed-revoked": FileEvidence(provenance=signed("revoked")),
    "signed-part": FileEvidence(provenance=signed(says="ai_part", name="Adobe Inc.")),
    "signed-camera": FileEvidence(provenance=signed(says="camera", name="Leica Camera AG")),
    "changed": FileEvidence(provenance=signed(content="changed", says=None)),
    "elsewhere": FileEvidence(provenance=Provenance(content="elsewhere")),
    "unreadable": FileEvidence(provenance=Provenance(content="unreadable")),
    "not-read": FileEvidence(provenance=Provenance("not_installed", "unreadable")),
    "recipe": marked(RECIPE),
    "label": marked(LABEL),
    "named": marked(NAME),
    "part": marked(PART),
    "suspected": marked(MAYBE),
    "camera": marked(camera=CAMERA),
    "camera-and-recipe": marked(RECIPE, camera=CAMERA),
    "many": marked(RECIPE, LABEL, PART, NAME),
    "cut-short": marked(is_complete=False),
    "nothing": FileEvidence(),
    "not-looked-at": None,
}
"""By name. None: the file was not looked at."""
