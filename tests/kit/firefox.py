"""A stock Firefox without a window, driven by Marionette, the protocol that it brings along."""

import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from kit.daemon import free_port
from kit.pace import within
from kit.waiting import eventually

T = TypeVar("T")


@contextmanager
def firefox(preferences: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """Runs Firefox with a new profile. Yields a Marionette; skips the test on Python 3.13.

    It listens on a port of its own: one that a killed run has left must not be taken for it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of libraries that it imports
        marionette = pytest.importorskip("marionette_driver.marionette")
    logs = TemporaryDirectory()
    driver = marionette.Marionette(
        bin=shutil.which("firefox-esr"),
        headless=True,
        host="127.0.0.1",
        port=free_port(),
        prefs=dict(preferences or {}),
        startup_timeout=within(60),
        gecko_log=logs.name,  # never a file that is there, such as os.devnull: it would be deleted
    )
    try:
        driver.start_session()
        yield driver
    finally:
        driver.cleanup()
        if driver.instance is not None and driver.instance.profile is not None:
            driver.instance.profile.cleanup()
        logs.cleanup()


def until(look: Callable[[], T | None], within_s: float = 20) -> T:
    """Returns what `look` gives as soon as that is truthy. It only reads.

    A page that is just being replaced, which cannot be read, counts as not yet.
    """
    trouble = import_module("marionette_driver.errors").MarionetteException

    def once() -> T | None:
        try:
            return look()
        except trouble as error:
            raise AssertionError(str(error)) from error

    return eventually(once, within_s)


def text_of(driver: Any, selector: str) -> str:
    """Returns the text of the first element that a CSS selector finds; "" if there is none."""
    script = "return document.querySelector(arguments[0])?.textContent ?? ''"
    return str(driver.execute_script(script, script_args=[selector]))
