"""When an observer is opened, replaced or given up for polling. The times are given."""

import errno
from threading import Event

import pytest

from antifake.daemon.config import Folder
from antifake.daemon.watcher.event_buffer import EventBuffer
from antifake.daemon.watcher.observer import TreeObserver
from antifake.daemon.watcher.supervisor import ObserverSupervisor
from antifake.daemon.watcher.tree import trees_of

START = 1000.0


class Kernel:
    """Opens real observers, or refuses as the kernel does at its limit."""

    def __init__(self):
        self.refuses = None
        self.asked = 0

    def open(self, *args, **about):
        self.asked += 1
        if self.refuses:
            raise OSError(self.refuses, "refused")
        return TreeObserver(*args, **about)


@pytest.fixture
def kernel():
    return Kernel()


@pytest.fixture
def make(kernel, tmp_path):
    made = []

    def make(**about):
        (tree,) = trees_of([Folder(tmp_path, **about)])
        made.append(ObserverSupervisor(tree, EventBuffer(Event()), kernel.open))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def supervisor(make):
    return make()


@pytest.mark.parametrize("limit", [errno.EMFILE, errno.ENOSPC])
def test_at_the_limit_it_polls_and_says_so_and_tries_again_a_minute_later(
    supervisor, kernel, limit
):
    kernel.refuses = limit
    assert not supervisor.step(START, 0)
    assert supervisor.is_polling
    assert "max_user_watches" in supervisor.problem()
    for seconds in range(1, 60):
        supervisor.step(START + seconds, 0)
    assert kernel.asked == 1
    kernel.refuses = None
    assert supervisor.step(START + 60, 0)  # a walk must find earlier files
    assert not supervisor.is_polling
    assert supervisor.problem() is None


def test_after_any_other_error_it_tries_again_at_the_next_check(supervisor, kernel):
    kernel.refuses = errno.ENOENT
    supervisor.step(START, 0)
    supervisor.step(START + 0.5, 0)
    assert kernel.asked == 1
    kernel.refuses = None
    assert supervisor.step(START + 1, 0)


def test_another_folder_at_the_root_is_tried_at_once(supervisor, kernel):
    kernel.refuses = errno.EMFILE
    supervisor.step(START, 0)
    kernel.refuses = None
    supervisor.root_changed()
    assert supervisor.step(START + 1, 0)


def test_a_healthy_observer_is_kept(supervisor, kernel):
    assert supervisor.step(START, 0)
    for seconds in range(1, 200):
        assert not supervisor.check_overflow(START + seconds)
        assert not supervisor.step(START + seconds, 0)
    assert kernel.asked == 1


def test_a_loss_of_events_asks_for_a_walk_at_once_and_a_new_observer_when_all_is_calm(supervisor):
    supervisor.step(START, 0)
    first = supervisor.observer
    first.trouble.overflowed()
    assert supervisor.check_overflow(START + 1)
    assert not supervisor.step(START + 1, 0)
    first.trouble.overflowed()
    assert not supervisor.check_overflow(START + 2)  # one walk is enough
    assert not supervisor.step(START + 3.5, 0)
    assert supervisor.observer is first
    assert supervisor.step(START + 3.6, 0)
    assert supervisor.observer is not first
    assert not first.is_alive()


def test_if_losses_do_not_end_the_observer_is_replaced_all_the_same(supervisor):
    supervisor.step(START, 0)
    first = supervisor.observer
    for n in range(51):
        first.trouble.overflowed()
        supervisor.check_overflow(START + n / 10)
        supervisor.step(START + n / 10, 0)
    assert supervisor.observer is first
    assert supervisor.step(START + 5.1, 0)
    assert supervisor.observer is not first


def test_the_new_observer_is_trusted(supervisor):
    supervisor.step(START, 0)
    supervisor.observer.trouble.overflowed()
    supervisor.check_overflow(START + 1)
    supervisor.step(START + 3, 0)
    renewed = supervisor.observer
    for seconds in range(4, 100):
        assert not supervisor.check_overflow(START + seconds)
        supervisor.step(START + seconds, 0)
    assert supervisor.observer is renewed


def test_if_opening_is_slow_renames_do_not_replace_the_observer_all_the_time(supervisor):
    supervisor.step(START, walk_s=10.0)
    first = supervisor.observer
    for seconds in range(1, 40):
        supervisor.doubt(START + 1)
        supervisor.step(START + seconds, 10.0)
    assert supervisor.observer is first
    assert supervisor.step(START + 40, 10.0)


def test_folders_without_a_watch_are_polled_and_tried_again_after_a_minute(supervisor):
    supervisor.step(START, 0)
    first = supervisor.observer
    first.trouble.is_incomplete = True
    supervisor.step(START + 59, 0)
    assert supervisor.is_polling
    assert supervisor.observer is first
    assert "max_user_watches" in supervisor.problem()
    assert supervisor.step(START + 60, 0)
    assert not supervisor.is_polling


def test_a_folder_set_to_polling_has_no_observer_and_no_problem(make, kernel):
    supervisor = make(polling=True)
    assert not supervisor.step(START, 0)
    assert supervisor.is_polling
    assert supervisor.problem() is None
    assert kernel.asked == 0
