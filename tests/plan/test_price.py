"""What a plan is predicted to cost: runs on places, hours, memory, and by which seconds."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from priced import FIGURES, measured
from small_spec import RULE, plan

from harness.plan import calibration
from harness.plan.estimate import Estimate
from harness.plan.price import Place, best_jobs, longest_first, makespan, price

ALONE = Place("cpu", 1)
SECONDS = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def exactly(seconds):
    return [Estimate.exactly(float(sec)) for sec in seconds]


def taken_in_turn(seconds, places):
    """Watch a clock: whoever is free takes the next run; return when the last has ended."""
    waiting, running, now = list(seconds), [], 0
    while waiting or running:
        while waiting and len(running) < places:
            running.append(now + waiting.pop(0))
        now = min(running)
        running = [end for end in running if end > now]
    return now


def best_possible(seconds, places):
    """Try every assignment of runs to places."""
    return min(
        max(sum(s for s, at in zip(seconds, chosen, strict=True) if at == p) for p in range(places))
        for chosen in product(range(places), repeat=len(seconds))
    )


@given(SECONDS, st.integers(1, 4))
def test_wall_time_is_that_of_runs_taken_in_turn(seconds, places):
    found = makespan(exactly(seconds), places).value
    assert found == taken_in_turn(seconds, places)
    best = best_possible(seconds, places)
    assert best <= found <= best * (2 - 1 / places)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=7))
def test_the_ends_of_wall_time_are_those_of_any_runs_between(runs):
    wide = [Estimate(low + more, low, low + 2 * more) for low, more in runs]
    found = makespan(wide, 2)
    for corner in ([r.low for r in wide], [r.value for r in wide], [r.high for r in wide]):
        assert found.low <= taken_in_turn(corner, 2) <= found.high
    mixed = [r.low if number % 2 else r.high for number, r in enumerate(wide)]
    assert found.low <= taken_in_turn(mixed, 2) <= found.high


def test_an_order_can_be_worse_than_another_and_is_priced_as_it_is():
    walls = {makespan(exactly(order), 2).value for order in permutations([1, 1, 1, 3])}
    assert walls == {3, 4}


def test_a_run_more_costs_more_and_a_place_more_less_time_alone():
    one, two = price(plan(seeds=[0]), ALONE), price(plan(), ALONE)
    assert two.minutes == pytest.approx(2 * one.minutes)
    assert two.disk.value == pytest.approx(2 * one.disk.value)
    both = price(plan(), Place("cpu", 2))
    assert both.minutes == pytest.approx(one.minutes)
    assert both.device_sec.value == pytest.approx(two.device_sec.value)
    assert both.rss_gib.value == pytest.approx(2 * two.rss_gib.value)
    assert both.gpu_gib.value == 0


def test_runs_that_share_cores_take_longer_and_no_more_core_hours():
    alone, shared = (price(plan(), Place("cpu", 2, shared=s)) for s in (1.0, 2.0))
    assert shared.minutes == pytest.approx(2 * alone.minutes)
    assert shared.device_sec.value == pytest.approx(alone.device_sec.value)


def test_gpus_are_places_for_whole_runs():
    planned = plan(seeds=list(range(6)))
    walls = {n: price(planned, Place("cuda", 1, devices=n)).minutes for n in (1, 2, 4, 6, 8)}
    one = walls[1] / 6
    assert walls == {
        n: pytest.approx(one * of) for n, of in ((1, 6), (2, 3), (4, 2), (6, 1), (8, 1))
    }
    hours = {price(planned, Place("cuda", 1, devices=n)).device_sec.value for n in walls}
    assert len({f"{sec:.9g}" for sec in hours}) == 1
    found = price(planned, Place("cuda", 1))
    assert found.gpu_gib.value > 0
    assert found.gpu_gib.low < found.gpu_gib.value < found.gpu_gib.high


def test_every_run_has_its_seconds_in_the_plan_s_order():
    planned = plan(factors={"train.kimg": {"short": 0.6, "long": 60}}, seeds=[0])
    short, long = price(planned, ALONE).run_sec
    assert long > 2 * short


def test_the_longest_begin_first_and_equal_ones_in_the_plan_s_order():
    kimg = {"short": 0.6, "long": 60, "middle": 6}
    planned = plan(factors={"train.kimg": kimg}, seeds=[0, 1, 2])
    found = price(planned, Place("cpu", 4))
    order = [(run.level, run.seed) for run in longest_first(planned, found)]
    names = ("long", "middle", "short")
    assert order == [(f"train.kimg={name}", seed) for name in names for seed in (0, 1, 2)]
    # Four places: three of the long, and all others one after another beside them.
    assert found.wall_sec.value == pytest.approx(max(found.run_sec))


def test_a_level_is_priced_by_its_own_calibration_and_the_other_by_a_guess(tmp_path, monkeypatch):
    """Levels that a calibration tells apart: one has none."""
    planned = plan(factors={"model.max_channels": {"few": 4, "many": 8}}, seeds=[0])
    monkeypatch.setattr(calibration, "figures", lambda measured, spec, times: FIGURES)
    specs = {level: planned.first_run(level).spec for level in planned.levels}
    few = specs["model.max_channels=few"]
    calibration.write(calibration.path_of(tmp_path, few, "cpu", 1, 1), measured())
    found = price(planned, Place("cpu", 1, cache=tmp_path))
    assert found.of_level["model.max_channels=few"].source == "a table"
    assert "rates of" in found.of_level["model.max_channels=many"].source
    assert found.source == f"a table; {found.of_level['model.max_channels=many'].source}"
    assert found.notes == ()


def test_a_guess_says_whose_rates_it_takes_and_how_wide_it_is():
    cpu, cuda = (price(plan(), Place(device, 1)) for device in ("cpu", "cuda"))
    assert cpu.source == "rates of two 2.5 GHz cores, within a factor of 3"
    assert cuda.source == "rates of a published GPU, not measured, within a factor of 10"
    for found, factor in ((cpu, 3), (cuda, 10)):
        cost = found.of_level["-"].total_sec
        assert cost.low <= cost.value / factor * 1.0001
        assert cost.high >= cost.value * factor * 0.9999


def test_levels_of_one_question_are_priced_once_each():
    planned = plan(factors={"reduce_lr": {"off": None, "on": RULE}})
    assert list(price(planned, ALONE).of_level) == ["reduce_lr=off", "reduce_lr=on"]


@pytest.mark.parametrize(("runs", "jobs"), [(1, 1), (2, 2), (3, 3), (4, 2), (9, 3)])
def test_two_cores_do_not_idle(runs, jobs):
    assert best_jobs(runs, 2) == jobs
