"""What people read on the command line for words of the API, such as states."""

from antifake.core.i18n import _

_WORDS = {
    # What a picture was called.
    "real": _("real"),
    "fake": _("AI-made"),
    "unsure": _("cannot tell"),
    # The daemon and its model.
    "working": _("working"),
    "paused": _("paused"),
    "attention": _("attention"),
    "asleep": _("asleep"),
    "loading": _("loading"),
    "ready": _("ready"),
    "broken": _("broken"),
    # Trainings, and how versions came about.
    "queued": _("queued"),
    "running": _("running"),
    "done": _("done"),
    "failed": _("failed"),
    "cancelled": _("cancelled"),
    "interrupted": _("interrupted"),
    "shipped": _("shipped"),
    "imported": _("imported"),
    "bias": _("bias"),
    "calibration": _("calibration"),
    "word": _("word"),
    # Verdicts that a version changes.
    "mended": _("mended"),
    "changed": _("changed"),
}


def shown(word: str | None) -> str:
    """Returns what people read for a word of the API; "?" for None."""
    return "?" if word is None else _WORDS.get(word, word)
