"""Words of one meaning convert into each other."""

import inspect
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import hooks
from harness.ema import averaging
from harness.metrics.density_coverage import K as DENSITY_K
from harness.metrics.precision_recall import K as PRECISION_K
from harness.records.quantities import QUANTITIES
from harness.spec.schema import Ema, MetricName
from harness.spec.vocabulary import (
    EXTRACTED_METRICS,
    HOOKS,
    HOOKS_ELSEWHERE,
    INTERP_MODES,
    METRICS,
    PATH_METRICS,
    closest,
    half_life_kimg,
    momentum_from_half_life,
)


@given(st.floats(0.01, 1e6), st.integers(1, 4096))
def test_half_life_and_momentum_are_each_other_s_inverse(half_life, images):
    momentum = momentum_from_half_life(half_life, images)
    if 0 < momentum < 0.999:
        assert half_life_kimg(momentum, images) == pytest.approx(half_life)
        updates = half_life * 1000 / images
        assert (1 - momentum) ** updates == pytest.approx(0.5)


def test_a_tiny_momentum_is_not_lost_in_rounding():
    assert half_life_kimg(1e-20, 1000) == pytest.approx(math.log(2) * 1e20)
    assert momentum_from_half_life(1e20, 1000) == pytest.approx(math.log(2) * 1e-20, abs=0)


def test_near_misses():
    assert closest("momentun", ["momentum", "decay"]) == "; did you mean 'momentum'?"
    assert closest("zzz", ["momentum", "decay"]) == ""


def test_the_words_are_those_of_the_code_that_is_meant():
    assert set(METRICS) == set(MetricName.__args__)
    assert set(METRICS) <= set(QUANTITIES)
    assert set(METRICS) > EXTRACTED_METRICS > PATH_METRICS
    for name, k in (("precision", PRECISION_K), ("recall", PRECISION_K)):
        assert f" {k} neighbours" in METRICS[name]
    for name, k in (("density", DENSITY_K), ("coverage", DENSITY_K)):
        assert f" {k} neighbours" in METRICS[name]
    assert set(INTERP_MODES) == set(Ema.model_fields["interp_mode"].annotation.__args__)
    assert set(HOOKS) | set(HOOKS_ELSEWHERE) | {"RecordHook"} == set(hooks.__all__)
    for name, arguments in HOOKS.items():
        parameters = set(inspect.signature(getattr(hooks, name)).parameters)
        assert arguments == parameters
    assert averaging.__doc__
