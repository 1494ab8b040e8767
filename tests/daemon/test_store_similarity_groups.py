"""Near-copies in a list are found together."""

from random import Random

from antifake.daemon.store.similarity import ALIKE, distance, groups

PLAIN = 0x0000_0000_0000_0003
A, B = 0x5A5A_1234_9ABC_0F0F, 0xA5A5_EDCB_6543_F0F0


def test_near_copies_are_together_in_the_order_of_the_first():
    assert groups([A, B, A ^ 1, None, B ^ 0b1111, A]) == [[0, 2, 5], [1, 4], [3]]


def test_smooth_pictures_and_unread_ones_are_never_near_copies():
    assert groups([PLAIN, PLAIN, None, None]) == [[0], [1], [2], [3]]


def test_each_position_is_in_one_group_and_all_are_near_the_first():
    rng = Random(5)  # noqa: S311
    hashes = [rng.choice([A, B]) ^ rng.getrandbits(3) for _ in range(200)]
    found = groups(hashes)
    assert sorted(one for group in found for one in group) == list(range(200))
    for first, *rest in found:
        assert all(distance(hashes[first], hashes[one]) <= ALIKE for one in rest)
