"""The simulated cluster against what can be derived by hand."""

import itertools
import math
import random
from dataclasses import fields, replace

import pytest

from harness.scale.cluster import Cluster, Spent
from harness.scale.simulator import ORDERS, simulate
from harness.scale.workloads import Task

FAILING = Cluster(
    20,
    gpus_per_node=8,
    mtbf_sec=2000.0,
    repair_sec=300.0,
    checkpoint_every_sec=100.0,
    write_sec_per_gib=3.0,
    read_sec_per_gib=1.0,
    start_sec=5.0,
    resume_sec=2.0,
    dispatch_sec=0.5,
)


def some(count, seed=0, mean=1000.0, gib=1.0):
    draws = random.Random(seed)
    return [Task(sec, sec, gib) for sec in (draws.expovariate(1 / mean) for _ in range(count))]


def best_sec(sizes, gpus):
    """The least makespan there is, by trying all ways to deal runs out."""
    ways = itertools.product(range(gpus), repeat=len(sizes) - 1)
    return min(
        max(sum(s for s, g in zip(sizes, (0, *way), strict=True) if g == at) for at in range(gpus))
        for way in ways
    )


@pytest.mark.parametrize(("runs", "gpus"), [(1, 1), (8, 3), (9, 3), (10, 3), (5, 64)])
@pytest.mark.parametrize("order", ORDERS)
def test_equal_runs_take_whole_rounds(runs, gpus, order):
    found = simulate(Cluster(gpus), [Task(7.0, 7.0)] * runs, order)
    assert found.makespan_sec == math.ceil(runs / gpus) * 7.0
    assert found.spent.useful == runs * 7.0
    assert found.failures == 0


def test_a_run_costs_its_start_and_all_its_checkpoints_but_one_at_the_end():
    cluster = replace(FAILING, gpus=1, mtbf_sec=math.inf)
    found = simulate(cluster, [Task(300.0, 300.0, 2.0)])
    assert found.makespan_sec == pytest.approx(0.5 + 5 + 300 + 2 * 6)
    assert found.spent.checkpoint == pytest.approx(12)
    assert found.spent.start == 5
    assert found.spent.dispatch == 0.5


@pytest.mark.parametrize("storage", [math.inf, 1e9])
def test_a_last_stretch_that_is_not_whole_has_a_checkpoint_before_it(storage):
    cluster = Cluster(
        1, checkpoint_every_sec=100.0, write_sec_per_gib=3.0, storage_gib_per_sec=storage
    )
    found = simulate(cluster, [Task(250.0, 250.0, 1.0)])
    assert found.spent.checkpoint == pytest.approx(6)
    assert found.makespan_sec == pytest.approx(256)


@pytest.mark.parametrize("gpus", [2, 3])
def test_lists_keep_to_graham_s_bounds_of_the_best_there_is(gpus):
    for seed in range(30):
        tasks = some(7, seed)
        best = best_sec([task.work_sec for task in tasks], gpus)
        first = simulate(Cluster(gpus), tasks).makespan_sec
        longest = simulate(Cluster(gpus), tasks, "longest").makespan_sec
        assert best - 1e-9 <= first <= (2 - 1 / gpus) * best + 1e-9
        assert best - 1e-9 <= longest <= (4 / 3 - 1 / (3 * gpus)) * best + 1e-9


def test_the_order_is_by_what_is_predicted_not_by_what_comes():
    tasks = [Task(1.0, 9.0), Task(3.0, 1.0), Task(2.0, 1.0)]
    # Begun as 3, 2, 1: the run that takes 9 begins after 1 + 1.
    assert simulate(Cluster(1), tasks, "longest").makespan_sec == 11
    assert simulate(Cluster(2), tasks, "longest").makespan_sec == 10
    assert simulate(Cluster(2), tasks, "plan").makespan_sec == 9


def test_a_saturated_dispatcher_begins_one_run_each_service_time():
    found = simulate(Cluster(1000, dispatch_sec=3.0), [Task(50.0, 50.0)] * 400)
    assert found.makespan_sec == pytest.approx(400 * 3 + 50)
    busiest = 50 / 3  # GPUs that such a dispatcher keeps at work
    assert found.spent.useful / found.makespan_sec == pytest.approx(busiest, rel=0.05)


@pytest.mark.parametrize("storage", [math.inf, 1.0, 0.1])
@pytest.mark.parametrize("mtbf", [500.0, 5000.0, math.inf])
def test_every_second_of_every_gpu_is_booked_once(storage, mtbf):
    tasks = some(60)
    cluster = replace(FAILING, mtbf_sec=mtbf, storage_gib_per_sec=storage)
    found = simulate(cluster, tasks, seed=3)
    total = sum(getattr(found.spent, field.name) for field in fields(Spent))
    assert total == pytest.approx(20 * found.makespan_sec, rel=1e-12)
    assert found.spent.useful == pytest.approx(sum(task.work_sec for task in tasks), rel=1e-9)
    assert (found.failures > 0) == (mtbf < math.inf)
    assert (found.spent.lost > 0) == (mtbf < math.inf)
    assert all(getattr(found.spent, field.name) >= -1e-9 for field in fields(Spent))


def test_a_storage_that_is_never_full_is_as_one_without_limits():
    """Two ways through the simulator: a run's whole phase, and every checkpoint an event."""
    tasks = some(60)
    for seed in range(3):
        unlimited = simulate(FAILING, tasks, seed=seed)
        ample = simulate(replace(FAILING, storage_gib_per_sec=1e9), tasks, seed=seed)
        assert ample.makespan_sec == pytest.approx(unlimited.makespan_sec, rel=1e-9)
        assert ample.failures == unlimited.failures
        for field in fields(Spent):
            ours, theirs = (getattr(one.spent, field.name) for one in (ample, unlimited))
            assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-3), field.name


def test_a_full_storage_writes_as_fast_as_it_can_and_no_faster():
    cluster = Cluster(50, checkpoint_every_sec=10.0, storage_gib_per_sec=0.5)
    found = simulate(cluster, [Task(100.0, 100.0, 1.0)] * 50)
    written = 50 * 9  # GiB
    assert found.makespan_sec == pytest.approx(10 + written / 0.5 + 10)
    assert found.spent.storage > found.spent.useful


def test_a_failure_takes_eight_runs_back_to_their_checkpoints_and_no_others():
    cluster = Cluster(16, mtbf_sec=1e4, repair_sec=0.0, checkpoint_every_sec=100.0)
    tasks = [Task(1000.0, 1000.0)] * 16
    seeds = [seed for seed in range(60) if simulate(cluster, tasks, seed=seed).failures == 1]
    assert seeds
    for seed in seeds:
        found = simulate(cluster, tasks, seed=seed)
        each = found.spent.lost / 8
        assert 0 < each <= 100
        # The eight go on at once where they stood, as nothing else costs anything.
        assert found.makespan_sec == pytest.approx(1000 + each)


def test_the_same_seed_gives_the_same_and_another_gives_another():
    tasks = some(60)
    first, again, other = (simulate(FAILING, tasks, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.makespan_sec != other.makespan_sec


def test_failures_do_not_depend_on_the_order_of_runs():
    cluster = replace(FAILING, mtbf_sec=1e5)
    tasks = [Task(sec, 1000.0) for sec in range(100)]
    by_order = [simulate(cluster, tasks, order, seed=5) for order in ORDERS]
    assert by_order[0].failures == by_order[1].failures
