"""StyleGAN 1 and 2 and SinGAN, stopped at telling places and resumed: the bits are the same."""

import pytest
from resuming import attempt, differences, left, stopped_and_resumed
from small_spec import content
from tiny_singan import singan_spec

from harness.plan.expand import expand
from harness.spec.load import validated

MODES = {
    "lerp": {"interp_cfg": {"momentum": 0.1}, "interval": 2, "start_iter": 3},
    "ramp": {"interp_mode": "ramp", "interp_cfg": {"half_life_kimg": 0.1, "rampup": 0.05}},
}
SHORT = {
    "train__kimg": 0.2,
    "train__log_every_kimg": 0.04,
    "data__max_images": 70,
    "evaluate__every_kimg": 0.1,
    "evaluate__fake_images": 10,
    "observers": {"ema": MODES},
    "seeds": [0],
}
STYLED = {"noise_size": 8, "out_scale": 8, "num_mlps": 2, "base_channels": 32, "max_channels": 8}
STYLEGAN1 = {
    "model": {
        "type": "StyleGAN1",
        **STYLED,
        "nkimgs_per_scale": {4: 0.08, 8: 0.12},
        "transition_kimgs": 0.06,
        "mixing_prob": 0.9,
    },
    "train__lr_per_scale": {4: 0.004, 8: 0.002},
    "train__loss": {"type": "logistic", "r1_gamma": 2, "r1_interval": 3},
}
STYLEGAN2 = {
    "model": {"type": "StyleGAN2", **STYLED},
    "train__loss": {
        "type": "logistic",
        "r1_gamma": 2,
        "r1_interval": 4,
        "path_weight": 2,
        "path_interval": 3,
    },
    "train__augment": {"type": "ada", "initial_p": 0.5, "adjust_kimg": 0.3},
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def run_of(spec):
    return expand("test", "quick", spec).runs[0]


def whole(run, folder, cache):
    keeper, steps, _ = attempt(run, folder / "run", cache)
    return run, left(keeper), steps


@pytest.fixture(scope="module")
def stylegan1(tmp_path_factory, cache):
    run = run_of(validated(content(**(SHORT | STYLEGAN1))))
    return whole(run, tmp_path_factory.mktemp("stylegan1"), cache)


@pytest.fixture(scope="module")
def stylegan2(tmp_path_factory, cache):
    run = run_of(validated(content(**(SHORT | STYLEGAN2))))
    return whole(run, tmp_path_factory.mktemp("stylegan2"), cache)


@pytest.fixture(scope="module")
def singan(tmp_path_factory, cache):
    spec = singan_spec(
        model__iters_per_scale=4,
        train__log_every_kimg=0.004,
        evaluate__every_kimg=0.004,
        evaluate__fake_images=3,
        observers__ema=MODES,
    )
    return whole(run_of(spec), tmp_path_factory.mktemp("singan"), cache)


def check(unbroken, path, cache, stop, iteration):
    run, found, _ = unbroken
    keeper, ended = stopped_and_resumed(run, path, cache, [stop])
    assert ended == [iteration]
    assert differences(found, left(keeper)) == []


# Ten iterations; an evaluation of three batches after the fifth, and one at the end.
@pytest.mark.parametrize(
    ("stop", "iteration"),
    [
        pytest.param(1, 0, id="before the first iteration"),
        pytest.param(5, 4, id="on the change of scale"),
        pytest.param(7, 5, id="in an evaluation"),
        pytest.param(10, 6, id="in a fade-in"),
    ],
)
def test_stylegan1(stop, iteration, stylegan1, tmp_path, cache):
    check(stylegan1, tmp_path / "run", cache, stop, iteration)


@pytest.mark.parametrize(
    ("stop", "iteration"),
    [
        pytest.param(2, 1, id="between lazy penalties"),
        pytest.param(4, 3, id="before a path term"),
        pytest.param(5, 4, id="after p moved, before a penalty"),
        pytest.param(6, 5, id="in an evaluation"),
        pytest.param(9, 5, id="in mid-interval of ADA"),
    ],
)
def test_stylegan2(stop, iteration, stylegan2, tmp_path, cache):
    _, found, _ = stylegan2
    strength = [value for quantity, _, value, *_ in found["rows"] if quantity == "train/ada_p"]
    assert len(set(strength)) > 1  # ADA adapts
    check(stylegan2, tmp_path / "run", cache, stop, iteration)


def test_singan_has_several_scales_here(singan):
    run, found, _ = singan
    assert len(run.spec.growth.scales) >= 3
    assert "trajectory/generator/renewed.jsonl" in found


# Four iterations a scale, then an evaluation of three arms.
@pytest.mark.parametrize(
    ("stop", "iteration"),
    [
        pytest.param(1, 0, id="before the first scale"),
        pytest.param(3, 2, id="in the first scale"),
        pytest.param(6, 4, id="in the evaluation between two scales"),
        pytest.param(8, 4, id="between two scales"),
        pytest.param(10, 6, id="in the second scale"),
        pytest.param(18, 11, id="after the last scale's rate fell"),
    ],
)
def test_singan(stop, iteration, singan, tmp_path, cache):
    check(singan, tmp_path / "run", cache, stop, iteration)
