"""Errors whose text is a sentence for the person who sees it.

Command line, API and page show `str(error)` as it is. Each class says once how programs are told:
`exit_code` is the command line's (1 some pictures failed, 2 wrong use, 3 no model), `status` is
the status of HTTP, and `code` is a word that programs can rely on.
"""

import errno

from .i18n import _


class AntifakeError(Exception):
    """The base of all errors that can be shown to the user as one sentence."""

    exit_code = 1
    status = 409
    code = "refused"
    retry_after_s: int | None = None
    """Seconds after which the same may work, where that is known."""


class UnreadableImageError(AntifakeError):
    """A picture that gets no verdict; `code` says which kind of trouble it is."""

    status = 422
    code = "unreadable"

    def __init__(self, sentence: str, code: str = code) -> None:
        super().__init__(sentence)
        self.code = code


class NoScoreError(UnreadableImageError):
    """The model computed a score that is not a number."""

    def __init__(self) -> None:
        super().__init__(_("The model came to no number for this picture."), "no_score")


class NoMemoryError(NoScoreError):
    """Judging even this one picture takes more memory than there is."""

    def __init__(self) -> None:
        UnreadableImageError.__init__(
            self, _("There is too little free memory to judge this picture."), "no_memory"
        )


class UsageError(AntifakeError):
    """The request is invalid."""

    exit_code = 2
    status = 400
    code = "bad_request"


class ModelError(AntifakeError):
    """A model or a prompt is missing, damaged or does not fit."""

    exit_code = 3
    status = 503
    code = "no_model"


class CudaBrokenError(AntifakeError):
    """CUDA no longer works in this process after a failed capture of a CUDA graph."""

    status = 503
    code = "cuda_broken"


class DamagedModelError(ModelError):
    """Files of a model have changed; fetching the model again repairs it."""


def is_disk_full(error: OSError) -> bool:
    """Returns whether there is no room: on the disk, or of what the user may use of it."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
