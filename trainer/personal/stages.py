"""The stages of a retraining, in their order: the names of its progress, and what people read."""

from antifake.core.i18n import _

STAGES = {
    # Told by the daemon, before this process has begun.
    "words": _("Gathering your pictures"),
    "features": _("Looking at your pictures"),
    "bias": _("Trying to move the line between real and AI-made"),
    "calibration": _("Trying to move the line, and how sure it is"),
    "word": _("Trying to learn more of what AI-made pictures look like"),
    "verdicts": _("Comparing with earlier verdicts"),
}
