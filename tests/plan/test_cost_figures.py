"""A run's cost is the sum of its parts: stated figures, sums by hand."""

import pytest
from priced import FIGURES
from small_spec import spec

from harness.plan.estimate import Estimate
from harness.plan.figures import evaluation_sec, keeping_sec, run_cost, training_sec
from harness.plan.keeping import Keeping
from harness.plan.schedule import BESTS

GRID = {"type": "VisualizationHook", "vis_kwargs_list": {"type": "GAN", "name": "x"}, "interval": 8}
POSTHOC = {"every_kimg": 0.05, "rebuild": [0.03, 0.08, 0.25]}


def test_training_is_steps_times_their_seconds_in_every_phase():
    """10 steps at 4 px, 5 faded in at 8 px and 15 after: a grid each 8."""
    found = training_sec(spec(hooks=[GRID]), FIGURES)
    by_hand = 10 * 1 + 5 * 3 + 15 * 2 + 3 * 0.5
    assert (found.value, found.low, found.high) == (by_hand, by_hand / 2, by_hand * 2)


def test_evaluation_is_passes_frames_neighbours_and_rebuilding():
    """Every 0.1 kimg: at 4 px one evaluation, five at 8 px; twelve snapshots of each average."""
    described = spec(evaluate__every_kimg=0.1, evaluate__fresh=2, observers__posthoc=POSTHOC)
    found = evaluation_sec(described, FIGURES)
    at_end = 2 * (2 + 3) + 3
    drawn = 6 * 0.25 + 4.0
    read = 3 * 2 * 12 * 0.125
    expected = 2 * 10 + (2 * 5 + at_end + 2 * 3 * BESTS) * 20 + drawn + read
    fewest = (2 * 10 + (2 * 5 + at_end + 2 * 1) * 20 + drawn + read) / 2
    most = (2 * 10 + (2 * 5 + at_end + 2 * 3) * 20 + drawn + read) * 2
    assert found.value == pytest.approx(expected)
    assert (found.low, found.high) == (pytest.approx(fewest), pytest.approx(most))


def test_checkpoints_fall_due_by_the_run_s_own_seconds():
    described = spec()
    busy = Estimate(1000.0, 400.0, 2500.0)
    seldom, often = (
        keeping_sec(described, FIGURES, Keeping(every), busy) for every in (1e9, 300.0)
    )
    assert often.value - seldom.value == pytest.approx(3 * 1.5)
    assert often.low - seldom.low == pytest.approx(1 * 0.75)
    assert often.high - seldom.high == pytest.approx(8 * 3.0)
    # Weights, and of a checkpoint thrice the trained ones.
    assert 0 < seldom.value < 1.5


def test_a_run_is_its_parts_and_starts_before_them():
    described, keeping = spec(), Keeping(1e9)
    cost = run_cost(described, FIGURES, keeping)
    busy = training_sec(described, FIGURES) + evaluation_sec(described, FIGURES)
    assert cost.run_sec == busy + keeping_sec(described, FIGURES, keeping, busy)
    assert cost.total_sec == cost.start_sec + cost.run_sec
    assert (cost.start_sec, cost.rss_gib) == (FIGURES.start_sec, FIGURES.rss_gib)
    assert cost.source == "a table"
