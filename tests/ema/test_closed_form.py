"""The closed form of every mode against the recurrence that it stands for, written out."""

import math

import numpy as np
import pytest

from harness.ema import averaging
from harness.ema.closed_form import Setting, advance

IMAGES = np.array([4, 8, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 31, 32, 33, 34])
SETTINGS = [
    Setting("lerp", {"momentum": 0.1}, 1, 0),
    Setting("lerp", {}, 5, 3),
    Setting("warmup", {"momentum": 0.05, "inv_gamma": 2.0, "power": 0.8}, 1, 4),
    Setting("ramp", {"half_life_kimg": 0.01, "rampup": 0.5}, 2, 0),
    Setting("ramp", {"half_life_kimg": 0.002}, 3, 7),
    Setting("power", {"sigma_rel": 0.1}, 1, 0),
    Setting("power", {"sigma_rel": 0.25}, 4, 2),
    Setting("uniform", {}, 3, 1),
    Setting("lerp", {}, -1, 5),
]


def written_out(setting: Setting) -> list[float]:
    """Return w_t by walking through the iterations."""
    result, updates, last = [], 0, 0
    for iteration, images in enumerate(IMAGES.tolist()):
        if iteration < setting.start_iter:
            result.append(1.0)
            last = images
        elif setting.interval > 0 and (iteration + 1 - setting.start_iter) % setting.interval == 0:
            schedule = averaging.SCHEDULES[setting.interp_mode](**setting.interp_cfg)
            result.append(schedule(averaging.Progress(updates, images, images - last)))
            updates, last = updates + 1, images
        else:
            result.append(0.0)
    return result


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_weights_are_those_of_a_walk_through_the_iterations(setting):
    np.testing.assert_allclose(setting.weights(IMAGES), written_out(setting), rtol=1e-12)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_any_cut_of_the_trajectory_gives_the_recurrences_average(setting):
    theta = np.random.default_rng(0).normal(size=(len(IMAGES), 5))
    start, weights = np.arange(5.0), setting.weights(IMAGES)
    expected = start.copy()
    for row, w in zip(theta, weights, strict=True):
        expected = expected + w * (row - expected)
    np.testing.assert_allclose(advance(start, theta, weights), expected, rtol=1e-12)
    half = advance(start, theta[:6], weights[:6])
    np.testing.assert_allclose(advance(half, theta[6:], weights[6:]), expected, rtol=1e-12)


def test_buffers_and_integers_have_weights_of_their_own():
    setting = Setting("lerp", {"momentum": 0.1, "momentum_nontrainable": 0.5}, 2, 1)
    assert setting.nontrainable_weights(IMAGES)[:5].tolist() == [1, 0, 0.5, 0, 0.5]
    assert setting.copy_weights(IMAGES)[:5].tolist() == [1, 0, 1, 0, 1]
    assert Setting("lerp", {}, 1, 0).nontrainable_weights(IMAGES).tolist() == [1.0] * len(IMAGES)


def test_power_weights_give_the_width_that_was_asked_for():
    images = np.arange(1, 20001)
    weights = Setting("power", {"sigma_rel": 0.12}).weights(images)
    kept = np.cumprod((1 - weights)[::-1])[::-1]
    share = weights * np.append(kept[1:], 1.0)
    mean = (share * images).sum()
    width = math.sqrt((share * (images - mean) ** 2).sum()) / len(images)
    assert share.sum() == pytest.approx(1, abs=1e-12)
    assert width == pytest.approx(0.12, rel=1e-3)


def test_a_mode_without_a_closed_form_is_named():
    with pytest.raises(ValueError, match="'mine' has no closed form"):
        Setting("mine").weights(IMAGES)
