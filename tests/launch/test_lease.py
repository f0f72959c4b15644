"""A run is one machine's at a time, whoever wants it and however its holder ends."""

import contextlib
import os
import shutil
import threading
import time

import pytest
from small_spec import plan

from harness.launch.lease import Lease, Pace, beating, held_elsewhere, look, this_kernel
from harness.launch.local import execute
from harness.launch.worker import Machine
from harness.records.store import RunFolder
from harness.records.types import Status

PACE = Pace(beat_sec=0.1, give_up_sec=0.4, silent_sec=1.5)


class TooLong(Exception):
    pass


def of(folder, kernel, pace=PACE):
    return Lease(folder, f"node of {kernel}", kernel, pace)


def nothing():
    pass


def taken(lease, within_sec=20.0):
    """Take a lease; return after how many seconds."""
    begin = time.monotonic()

    def wait():
        if time.monotonic() - begin > within_sec:
            raise TooLong

    lease.take(wait)
    return time.monotonic() - begin


def test_a_run_that_nobody_had_is_taken_at_once_and_given_back(tmp_path):
    lease = of(tmp_path, "a")
    assert taken(lease) < 0.4
    with lease.held(nothing):
        assert (look(tmp_path).number, look(tmp_path).kernel, look(tmp_path).free) == (
            1,
            "a",
            False,
        )
    assert look(tmp_path).free
    assert taken(of(tmp_path, "b")) < 0.4
    assert look(tmp_path).number == 2
    assert os.listdir(tmp_path) == [".lease-000002"]


def test_a_lease_that_beats_is_not_taken_and_one_that_fell_silent_is(tmp_path):
    first = of(tmp_path, "a")
    first.take(nothing)
    with first.held(nothing), pytest.raises(TooLong):
        taken(of(tmp_path, "b"), 2 * PACE.silent_sec)
    third, fourth = of(tmp_path, "c"), of(tmp_path, "d")
    third.take(nothing)  # and dies
    assert PACE.silent_sec <= taken(fourth) < 4 * PACE.silent_sec


def test_of_this_machine_a_lock_has_told_already_that_its_holder_is_dead(tmp_path):
    of(tmp_path, "a").take(nothing)
    assert taken(of(tmp_path, "a")) < 0.4


def test_one_of_many_who_found_it_silent_takes_it(tmp_path):
    of(tmp_path, "dead").take(nothing)
    took, tried = [], threading.Barrier(8)

    def want(kernel):
        lease = of(tmp_path, kernel)
        tried.wait()
        if lease._make(2):
            took.append(kernel)

    threads = [threading.Thread(target=want, args=(f"k{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert took == [look(tmp_path).kernel]


def test_who_comes_late_to_a_number_that_is_past_has_taken_nothing(tmp_path):
    for kernel in ("a", "b", "c"):
        of(tmp_path, kernel, Pace(silent_sec=0.0)).take(nothing)
    assert os.listdir(tmp_path) == [".lease-000003"]
    assert of(tmp_path, "late")._make(2) is False
    assert os.listdir(tmp_path) == [".lease-000003"]


@pytest.mark.parametrize("how", ["another machine takes it", "the folder is moved away"])
def test_a_holder_that_lost_its_run_hears_of_it(how, tmp_path):
    folder, lost = tmp_path / "run", threading.Event()
    folder.mkdir()
    lease = of(folder, "a")
    lease.take(nothing)
    with lease.held(lost.set):
        assert not lost.wait(1.5)
        if how == "another machine takes it":
            (folder / ".lease-000002").touch()
        else:
            shutil.move(folder, tmp_path / "aside")
        assert lost.wait(5)


def test_a_holder_that_cannot_beat_gives_up_before_another_may_take(tmp_path, monkeypatch):
    assert PACE.give_up_sec < PACE.silent_sec
    assert Pace().beat_sec < Pace().give_up_sec < Pace().silent_sec
    lease, lost = of(tmp_path, "a"), threading.Event()
    lease.take(nothing)

    def hang(*_):
        raise OSError(5, "no answer")

    with lease.held(lost.set):
        monkeypatch.setattr(os, "utime", hang)
        begin = time.monotonic()
        assert lost.wait(5)
        assert time.monotonic() - begin < PACE.silent_sec
        monkeypatch.undo()


def test_a_run_of_another_machine_is_told_from_one_of_this(tmp_path):
    mine, theirs, freed, none = (tmp_path / name for name in ("mine", "theirs", "freed", "none"))
    for folder in (mine, theirs, freed):
        folder.mkdir()
    of(mine, this_kernel()).take(nothing)
    of(theirs, "other").take(nothing)
    with held(freed, "other"):
        pass
    assert [*map(held_elsewhere, (mine, theirs, freed, none))] == [False, True, False, False]
    assert beating([mine, theirs, freed, none], PACE) == []  # dead
    with held(freed, "other"):
        assert beating([mine, theirs, freed, none], PACE) == [freed]


@contextlib.contextmanager
def held(folder, kernel):
    lease = of(folder, kernel)
    lease.take(nothing)
    with lease.held(nothing):
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_a_run_waits_for_another_machine_and_is_trained_when_that_gives_it_back(cache, tmp_path):
    planned = plan(seeds=[0])
    folder = tmp_path / planned.runs[0].name
    folder.mkdir()
    theirs, waited = of(folder, "other", Pace(0.5)), []

    def watch(active):
        waited.append(active[0].waiting)
        if waited[-8:] == [True] * 8:
            back.set()

    back = threading.Event()
    theirs.take(nothing)

    def hold():
        with theirs.held(nothing):
            back.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    machine = Machine("cpu", 1, 1, cache, node="here")
    outcomes = execute(planned.runs, tmp_path, machine, watch)
    holder.join()
    assert back.is_set()
    assert outcomes[planned.runs[0].name].status is Status.FINISHED
    assert look(folder).free


def test_who_stops_waiting_says_nothing_of_how_the_run_ended(cache, tmp_path):
    planned = plan(seeds=[0])
    folder = RunFolder(tmp_path / planned.runs[0].name)
    folder.path.mkdir()
    of(folder.path, "other").take(nothing)

    def watch(active):
        if active[0].waiting and (folder.path / "log.txt").read_text():
            raise KeyboardInterrupt

    machine = Machine("cpu", 1, 1, cache, node="here")
    with pytest.raises(KeyboardInterrupt):
        execute(planned.runs, tmp_path, machine, watch)
    assert folder.outcome() is None
    assert look(folder.path).kernel == "other"


def test_a_run_that_another_machine_took_is_left_to_it(cache, tmp_path):
    planned = plan(train__kimg=100_000, seeds=[0])
    folder, ends = RunFolder(tmp_path / planned.runs[0].name), []

    def watch(active):
        if not ends and folder.rows_file.exists() and len(folder.rows()) > 2:
            (folder.path / ".lease-000002").write_text('{"kernel": "other", "free": false}')
            ends.append(True)

    machine = Machine("cpu", 1, 1, cache, node="here")
    (outcome,) = execute(planned.runs, tmp_path, machine, watch).values()
    assert (outcome.status, outcome.reason) == (
        Status.INTERRUPTED,
        "another machine went on with it",
    )
    assert folder.outcome() is None
