"""Takes root's privilege over files away, so that permissions apply as for a plain user. Linux."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


@contextmanager
def plain_user() -> Iterator[None]:
    """Permissions apply to this thread inside the block, even if root runs the tests."""
    if not hasattr(os, "geteuid"):
        pytest.skip("Windows has other permissions")
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("root cannot give up its privilege for a while here")
    before = _capabilities()
    dropped = ~(1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH)
    effective, *others = before
    _set_capabilities([effective & dropped, *others])
    try:
        yield
    finally:
        _set_capabilities(before)


def _capabilities() -> list[int]:
    """Returns effective, permitted and inheritable, twice: the low bits of each and the high."""
    data = (ctypes.c_uint32 * 6)()
    _call("capget", data)
    return list(data)


def _set_capabilities(values: list[int]) -> None:
    _call("capset", (ctypes.c_uint32 * 6)(*values))


def _call(name: str, data: ctypes.Array[ctypes.c_uint32]) -> None:
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(header, data):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
