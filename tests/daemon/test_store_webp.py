"""The size of a thumbnail, from its first bytes."""

import pytest
from kit.pages import scene, webp

from antifake.daemon.store.webp import HEAD_BYTES, size_of


@pytest.mark.parametrize("size", [(1, 1), (480, 320), (213, 320), (4_000, 90)])
def test_the_size_is_read_from_the_head(size):
    assert size_of(webp(scene(1, *size))[:HEAD_BYTES]) == size


@pytest.mark.parametrize("head", [b"", b"RIFF", bytes(30), b"RIFF0000WEBPVP8L" + bytes(14)])
def test_what_is_no_lossy_webp_has_none(head):
    assert size_of(head) is None
