"""Work by threads: results in order, whatever takes longest, and failures where they belong."""

import threading
import time

import pytest

from harness.data.threads import _AHEAD, each


def test_results_are_in_order_though_the_first_ends_last():
    second = threading.Event()

    def work(name):
        if name == "0":
            assert second.wait(10)
        second.set()
        return int(name)

    names = [str(number) for number in range(3 * _AHEAD)]
    assert list(each(work, names)) == [(name, int(name)) for name in names]


def test_a_failure_comes_after_the_results_before_it():
    def work(name):
        if name == "c":
            raise ValueError(name)
        return name.upper()

    found = each(work, "abcd")
    assert [next(found), next(found)] == [("a", "A"), ("b", "B")]
    with pytest.raises(ValueError, match="c"):
        next(found)


def test_no_more_is_begun_than_may_wait():
    begun = []
    found = each(lambda name: begun.append(name), [str(n) for n in range(10 * _AHEAD)])
    next(found)
    time.sleep(0.3)  # for whatever else was asked for
    found.close()
    assert len(begun) <= _AHEAD
