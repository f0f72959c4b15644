"""Formulas against integrals, limits and each other."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import fixed_quad
from scipy.optimize import minimize_scalar

from harness.scale.agreement import FAILING, LONG
from harness.scale.closed_forms import (
    best_interval_sec,
    daly_sec,
    expected_sec,
    list_bound_sec,
    lower_bound_sec,
    young_sec,
)
from harness.scale.cluster import Cluster
from harness.scale.workloads import Task


def test_without_failures_a_run_takes_its_work_start_and_checkpoints():
    cluster = replace(FAILING, mtbf_sec=1e15, checkpoint_every_sec=3600.0)
    assert expected_sec(cluster, LONG) == pytest.approx(20 + 36_000 + 9 * 60)


def test_one_stretch_is_the_renewal_of_its_first_failure():
    """T = integral over the first failure of (t + D + T), and x without one."""
    mean, repair, start, work = 500.0, 70.0, 20.0, 800.0
    cluster = Cluster(1, mtbf_sec=mean, repair_sec=repair, start_sec=start)
    expected = expected_sec(cluster, Task(work, work))
    x = start + work

    def density(t):
        return np.exp(-t / mean) / mean

    failing, _ = fixed_quad(lambda t: density(t) * (t + repair + expected), 0, x, n=40)
    assert failing + math.exp(-x / mean) * x == pytest.approx(expected)


def test_a_later_stretch_resumes_only_after_a_failure():
    mean, repair, resume, every = 900.0, 40.0, 90.0, 300.0
    cluster = Cluster(
        1, mtbf_sec=mean, repair_sec=repair, checkpoint_every_sec=every, resume_sec=resume
    )
    once, twice = (expected_sec(cluster, Task(n * every, n * every)) for n in (1, 2))
    more = twice - once

    def again(t):
        return np.exp(-t / mean) / mean

    # After a failure, resume and stretch are tried until they pass.
    tried = (mean + repair) * math.expm1((resume + every) / mean)
    failing, _ = fixed_quad(lambda t: again(t) * (t + repair + tried), 0, every, n=40)
    assert failing + math.exp(-every / mean) * every == pytest.approx(more)


@pytest.mark.parametrize(("write", "mean"), [(60.0, 3600.0), (1.0, 3600.0), (5.0, 2.6e6)])
def test_the_best_interval_is_where_the_curve_has_its_least(write, mean):
    found = minimize_scalar(
        lambda t: math.expm1((math.exp(t) + write) / mean) / math.exp(t),
        bounds=(math.log(write / 10), math.log(10 * mean)),
        method="bounded",
        options={"xatol": 1e-10},
    )
    best = best_interval_sec(write, mean)
    assert best == pytest.approx(math.exp(found.x), rel=1e-3)
    assert daly_sec(write, mean) == pytest.approx(best, rel=0.01)
    assert young_sec(write, mean) == pytest.approx(best, rel=0.15)


def test_bounds_of_a_makespan():
    tasks = [Task(1.0, sec) for sec in (1.0, 2.0, 9.0)]
    assert lower_bound_sec(tasks, 1) == 12
    assert lower_bound_sec(tasks, 8) == 9
    assert list_bound_sec(tasks, 1) == 12
    assert list_bound_sec(tasks, 4) == pytest.approx(3 + 0.75 * 9)
    draws = np.random.default_rng(0)
    for gpus in range(1, 9):
        some = [Task(1.0, sec) for sec in draws.exponential(size=20)]
        bounds = lower_bound_sec(some, gpus), list_bound_sec(some, gpus)
        assert bounds[0] <= bounds[1] * (1 + 1e-12) <= (2 - 1 / gpus) * bounds[0] * (1 + 1e-9)
