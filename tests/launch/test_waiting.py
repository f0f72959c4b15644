"""Which run is begun next, by what lies in the folder: no run is trained here."""

import pytest
from branched import run

from harness.launch.waiting import Waiting
from harness.records.branches import write_riders
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status

OFF, EARLY, LATE, NEVER = (run("base", of) for of in ("off", "early", "late", "never"))
RUNS = (OFF, EARLY, LATE, NEVER)


def begin(folder, one, riders=(), status=None):
    """Leave the folder of a run that has begun, and perhaps ended."""
    run_folder = RunFolder(folder / one.name)
    run_folder.begin({}, {})
    write_riders(run_folder.path, [rider.name for rider in riders])
    if status is not None:
        run_folder.end(Outcome(status))


def names(runs):
    return {one.name for one in runs}


def test_without_sharing_each_is_handed_out_alone_in_the_plan_s_order(tmp_path):
    waiting = Waiting(RUNS, tmp_path, share=False)
    assert [waiting.take() for _ in RUNS] == [(one, ()) for one in RUNS]
    assert not waiting
    assert waiting.take() is None


def test_riders_wait_for_their_folders_and_go_on_in_the_plan_s_order(tmp_path):
    waiting = Waiting(RUNS, tmp_path, share=True)
    trunk, riders = waiting.take()
    assert (trunk, riders) == (OFF, (EARLY, LATE, NEVER))
    begin(tmp_path, OFF, riders)
    assert waiting.take(names(riders)) is None
    begin(tmp_path, LATE, [NEVER])
    assert waiting.take(names(riders)) == (LATE, (NEVER,))
    assert waiting.take(names(riders)) is None
    begin(tmp_path, EARLY)
    assert waiting.take(names(riders)) == (EARLY, ())
    assert waiting.take({NEVER.name}) is None
    begin(tmp_path, NEVER, status=Status.FINISHED)
    assert waiting.take({NEVER.name}) is None
    assert not waiting


def test_seeds_have_trunks_of_their_own(tmp_path):
    others = tuple(type(one)(one.level, 1, one.spec, one.reduce_lr) for one in RUNS)
    waiting = Waiting([*RUNS, *others], tmp_path, share=True)
    assert waiting.take() == (OFF, (EARLY, LATE, NEVER))
    assert waiting.take(names(RUNS[1:])) == (others[0], others[1:])


@pytest.mark.parametrize("status", [Status.FAILED, Status.INTERRUPTED, Status.FINISHED])
def test_those_whose_trunk_ended_without_them_have_the_next_as_trunk(status, tmp_path):
    waiting = Waiting(RUNS, tmp_path, share=True)
    _, riders = waiting.take()
    begin(tmp_path, OFF, riders)
    begin(tmp_path, EARLY)
    assert waiting.take(names(riders)) == (EARLY, ())
    RunFolder(tmp_path / OFF.name).end(Outcome(status))
    assert waiting.take() == (LATE, (NEVER,))


def test_the_next_command_goes_on_with_trunk_and_riders(tmp_path):
    begin(tmp_path, OFF, [EARLY, LATE], Status.INTERRUPTED)
    begin(tmp_path, EARLY)
    waiting = Waiting(RUNS, tmp_path, share=True)
    assert waiting.take() == (OFF, (LATE,))
    assert waiting.take({LATE.name}) == (EARLY, ())
    # It was no part of the first command: the trunk does not know its rule.
    assert waiting.take({LATE.name}) == (NEVER, ())
    assert waiting.take({LATE.name}) is None


def test_a_branch_that_waits_for_a_place_keeps_its_riders(tmp_path):
    begin(tmp_path, OFF, [EARLY, LATE, NEVER], Status.FINISHED)
    begin(tmp_path, LATE, [NEVER])
    waiting = Waiting(RUNS, tmp_path, share=True)
    assert waiting.take() == (EARLY, ())
    assert waiting.take() == (LATE, (NEVER,))


def test_what_was_begun_apart_rides_with_none(tmp_path):
    begin(tmp_path, EARLY, status=Status.FAILED)
    waiting = Waiting(RUNS, tmp_path, share=True)
    assert waiting.take() == (OFF, (LATE, NEVER))
    assert waiting.take({LATE.name, NEVER.name}) == (EARLY, ())


def test_what_cannot_ride_is_a_trunk_of_its_own(tmp_path):
    other = run("base", "off", train__optimizer={"lr": 0.01})
    first_batch = run("base", "off", train__batch_size={4: 10, 8: 20})
    waiting = Waiting([OFF, other, first_batch], tmp_path, share=True)
    assert [waiting.take() for _ in range(3)] == [(OFF, ()), (other, ()), (first_batch, ())]
