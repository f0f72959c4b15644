"""The arms of a run, with all three words for an average's memory."""

import math

import pytest
from small_spec import spec

from harness.plan.arms import arms


def shadow(**ema):
    return arms(spec(observers__ema={"a": ema}, train__kimg=100, evaluate__every_kimg=1))[1]


def test_raw_comes_first_and_then_the_spec_s_order():
    found = arms(spec(observers__ema={"z": {}, "a": {}}))
    assert [arm.name for arm in found] == ["raw", "z", "a"]
    assert (found[0].interp_mode, found[0].momentum, found[0].decay) == ("", None, None)


def test_momentum_decay_and_half_life_say_the_same():
    half_life = math.log(0.5) / math.log(0.9) * 20 / 1000
    for cfg in ({"momentum": 0.1}, {"decay": 0.9}, {"half_life_kimg": half_life}):
        arm = shadow(interp_cfg=cfg)
        assert arm.momentum == pytest.approx(0.1)
        assert arm.decay == pytest.approx(0.9)
        assert arm.half_life_kimg == pytest.approx(half_life)
        assert arm.span == pytest.approx(20 / 0.1 / 100_000)


def test_a_longer_interval_is_a_longer_memory():
    arm = shadow(interp_cfg={"momentum": 0.1}, interval=4, start_iter=9)
    assert arm.half_life_kimg == pytest.approx(
        4 * shadow(interp_cfg={"momentum": 0.1}).half_life_kimg
    )
    assert arm.span == pytest.approx(4 * 20 / 0.1 / 100_000)
    assert (arm.interval, arm.start_iter) == (4, 9)


def test_the_hook_s_own_momentum_is_named_where_none_is_given():
    assert shadow().momentum == 0.001
    assert shadow(interp_mode="warmup").momentum == 0.001


def test_averages_without_a_constant_memory_claim_none():
    ramp = shadow(interp_mode="ramp", interp_cfg={"half_life_kimg": 5})
    assert (ramp.momentum, ramp.half_life_kimg, ramp.span) == (None, 5, None)
    uniform = shadow(interp_mode="uniform")
    assert (uniform.momentum, uniform.half_life_kimg, uniform.span) == (None, None, None)


def test_memory_is_stated_at_the_final_scale_s_batch():
    found = arms(spec(train__batch_size={4: 50, 8: 10}))[1]
    assert found.half_life_kimg == pytest.approx(math.log(0.5) / math.log(0.9) * 10 / 1000)
