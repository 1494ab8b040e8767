"""What the commands of every package share: messages, progress, options, exit codes.

Data goes to standard output, everything else to standard error.
"""

import inspect
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .errors import AntifakeError, is_disk_full
from .i18n import _, ngettext
from .stopping import Stopped, stoppable

if TYPE_CHECKING:
    from .results import Result

EXIT_SOME_FAILED = 1
EXIT_FLAGGED = 10
EXIT_INTERRUPTED = 130

_COLOURS = {"fake": "red", "real": "green", "unsure": "yellow"}


class Commands(click.Group):
    """A group whose commands end in a sentence and the documented exit code.

    Their docstrings are their help, in the person's language.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.help = _message_of(self.help)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        cmd.help = _message_of(cmd.help)
        super().add_command(cmd, name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AntifakeError as error:
            show_traceback(ctx)
            fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            fail(_("Stopped."), EXIT_INTERRUPTED)
        except Stopped as stopped:
            fail(_("Stopped."), stopped.exit_code)
        except BrokenPipeError:
            _drop_output()  # the reader has seen enough
            sys.exit(0)
        except OSError as error:
            show_traceback(ctx)
            if is_disk_full(error):
                _drop_output()
                fail(_("The disk is full. Free some room, then try again."), EXIT_SOME_FAILED)
            where = f"{error.filename}: " if error.filename else ""
            fail(f"{where}{error.strerror or error}.", EXIT_SOME_FAILED)


def _drop_output() -> None:
    """Keeps Python from trying to write the rest of the output at its end."""
    with suppress(OSError, ValueError):  # a test has no file there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _message_of(docstring: str | None) -> str | None:
    """Returns the message that a docstring is: catalogues have it without its indentation."""
    return _(inspect.cleandoc(docstring)) if docstring else None


def show_traceback(ctx: click.Context) -> None:
    """Prints the traceback of the error being handled, under `antifake --debug` only."""
    if ctx.find_root().params.get("debug"):
        click.echo(traceback.format_exc(), err=True)


def log_to_stderr() -> None:
    """Shows every log record of antifake, and the warnings of libraries."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger("antifake").setLevel(logging.DEBUG)


def fail(sentence: str, code: int) -> NoReturn:
    """Prints a sentence to standard error and ends the process."""
    say(sentence, err="red")
    sys.exit(code)


def say(sentence: str, err: str | None = None) -> None:
    """Prints a message to standard error, without control characters that a name may contain."""
    from .results import printable

    text = "\n".join(map(printable, sentence.split("\n")))
    click.echo(click.style(text, fg=err) if err else text, err=True)


@contextmanager
def progress_bar(what: str, *, in_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Yields `progress(done, total)`, which draws a bar if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


@contextmanager
def passing_notice(sentence: str) -> Iterator[None]:
    """Shows a sentence while the block runs, and takes it away again, on a terminal only."""
    if not sys.stderr.isatty():
        yield
        return
    click.echo(f"{sentence} …", err=True, nl=False)
    try:
        yield
    finally:
        click.echo(f"\r{' ' * (len(sentence) + 2)}\r", err=True, nl=False)


model_option = click.option("--model", metavar="NAME", help=_("A model other than the active one."))
prompt_option = click.option(
    "--prompt", metavar="NAME", help=_("A prompt other than the active one.")
)
json_option = click.option("--json", "as_json", is_flag=True, help=_("Print JSON."))


def echo_results(
    found: Iterable["Result"],
    given: Sequence[str],
    *,
    as_json: bool,
    verbose: bool,
    before: Callable[[int], None] | None = None,
) -> None:
    """Prints results as they come, or as one JSON array. Exits with 1 if any has an error.

    `verbose` adds how sure a verdict is, and all that is known of a picture.
    `given` are the arguments that the results belong to: each is named as the user named it.
    `before` is called with the place of each result in the list before its line is printed.
    On Ctrl-C and SIGTERM, what is done is printed, and how many that are.
    """
    results: list[Result] = []
    with stoppable() as stopper:
        try:
            for result in stopper.until_asked(found):
                with stopper.held():
                    results.append(replace(result, path=given[len(results)]))
                    if before is not None:
                        before(len(results) - 1)
                    if not as_json:
                        _echo_line(results, verbose=verbose)
        except Stopped as stopped:
            _echo_array(results, as_json=as_json)
            said = ngettext(
                "Stopped: {done:,} of {n:,} picture was judged.",
                "Stopped: {done:,} of {n:,} pictures were judged.",
                len(given),
                done=len(results),
            )
            fail(said, stopped.exit_code)
        except AntifakeError:
            if results:
                _echo_array(results, as_json=as_json)
            raise
        _echo_array(results, as_json=as_json)
    if any(result.error for result in results):
        sys.exit(EXIT_SOME_FAILED)


def _echo_array(results: list["Result"], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([result.to_dict() for result in results], indent=1))


def _echo_line(results: list["Result"], *, verbose: bool) -> None:
    if len(results) == 1:
        from .results import TEXT_HEADER

        click.echo(TEXT_HEADER)
    echo_result(results[-1], percent=verbose, whole_card=verbose)


def echo_result(result: "Result", *, percent: bool, whole_card: bool = False) -> None:
    """Prints one result, with the words in colour. See Result.to_text."""
    colour = _COLOURS.get("fake" if result.is_declared_or_marked else result.label or "", "magenta")
    text = result.to_text(percent=percent, whole_card=whole_card)
    click.echo(click.style(text[:22], fg=colour) + text[22:])
