"""Processes that measure side by side begin together and end when the last has enough."""

import time

import pytest

from harness.engine.together import Together, seconds
from harness.launch.local import server

pytestmark = pytest.mark.timeout(60)


def _work(together, number, answer):
    times = together.repeat(lambda: time.sleep(0.01 * (number + 1)), lambda t: len(t) >= 4)
    again = together.repeat(lambda: None, lambda t: len(t) >= 2)
    answer.put((number, len(times), together.largest(float(number)), len(again), min(times)))


def test_one_alone_waits_for_nobody():
    alone = Together(server(), 1)
    counted = []
    times = alone.repeat(lambda: counted.append(1), lambda t: len(t) >= 5)
    assert len(times) == len(counted) == 5
    assert alone.largest(3.5) == 3.5
    assert alone.largest(0.0) == 0.0


def test_the_quick_go_on_until_the_slow_have_enough():
    context = server()
    together, answer = Together(context, 3), context.SimpleQueue()
    workers = [context.Process(target=_work, args=(together, n, answer)) for n in range(3)]
    for worker in workers:
        worker.start()
    found = sorted(answer.get() for _ in workers)
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert [one[2] for one in found] == [2.0] * 3
    counts = [one[1] for one in found]
    assert counts[2] == 4
    assert counts[0] > counts[2]
    assert all(one[3] >= 2 and one[4] >= 0.01 for one in found)


def test_seconds_are_those_of_the_call():
    assert seconds(lambda: time.sleep(0.02)) >= 0.02
    with pytest.raises(KeyError):
        seconds(lambda: {}["x"])
