"""Removes from log messages what must not be in them: secrets and the names of files."""

import re
from collections.abc import Iterator

_SECRETS = re.compile(
    r"(?i)(\bbearer\s+|\bcode=|\b(?:token|secret|password|session|authorization|cookie)"
    r"[\"']?\s*[=:]\s*[\"']?(?:bearer\s+)?)[^\s\"'&,;)}\]]+"
)


_PASSWORD = re.compile(r":[^:@/].*@")
_PASSWORD_OPTION = re.compile(r"(?i)(password=)[^&]*")


def without_secrets(text: str) -> str:
    """Returns the text without secrets as they occur in headers and URLs."""
    return _SECRETS.sub(r"\1***", text)


def without_password(address: str) -> str:
    """Returns the address of a database without the password, wherever that is in it."""
    shown = _PASSWORD.sub(":***@", address)
    return _PASSWORD_OPTION.sub(r"\1***", shown)


def message_without_files(error: BaseException) -> str:
    """Returns the message of an exception without the names of files."""
    return without_paths(_without_names_in(error, str(error)))


def traceback_without_files(error: BaseException, text: str) -> str:
    """Returns the traceback `text` of an exception without the names of the user's files."""
    for cause in filter(str, _causes(error)):
        text = text.replace(str(cause), message_without_files(cause))
    return _without_names_in(error, text)


def _without_names_in(error: BaseException, text: str) -> str:
    for cause in _causes(error):
        if isinstance(cause, OSError):
            for name in filter(None, (cause.filename, cause.filename2)):
                text = text.replace(repr(name), "(a file)").replace(str(name), "(a file)")
    return text


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields the exception and its causes, as a traceback shows them."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def without_paths(text: str) -> str:
    """Returns the text with "..." in the place of everything that looks like a path."""
    quoted = r"\"[^\"]*[/\\][^\"]*\"|'[^']*[/\\][^']*'"
    return re.sub(rf"{quoted}|(?<!\S)\(?(?:[A-Za-z]:|~|\.+)?[/\\]\S+", "...", text)
