"""Errors whose text is a sentence for the person who sees it.

A door (command line, HTTP, page) shows `str(error)` as it is. The exit codes
are the command line's: 1 some pictures failed, 2 wrong use, 3 no model.
"""


class AntifakeError(Exception):
    """Something a person can be told in one sentence."""

    exit_code = 1


class UnreadableImageError(AntifakeError):
    """A picture that gets no verdict. `code` is for programs, the text for people."""

    def __init__(self, sentence: str, code: str = "unreadable") -> None:
        super().__init__(sentence)
        self.code = code


class NoScoreError(UnreadableImageError):
    """The model computed something that is not a number. Never to be taken for a verdict."""

    def __init__(self) -> None:
        super().__init__("The model came to no number for this picture.", "no_score")


class UsageError(AntifakeError):
    """What was asked for cannot be done as it was asked."""

    exit_code = 2


class ModelError(AntifakeError):
    """A model or a prompt is missing, damaged or does not fit."""

    exit_code = 3


class DamagedModelError(ModelError):
    """A model's files are not what they were made as; making it anew helps."""
