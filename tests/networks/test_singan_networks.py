"""SinGAN's networks against MMagic's answers, and what those do not cover."""

import inspect
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from harness.errors import DataError, SpecError
from harness.networks.singan import SinGANMultiScaleDiscriminator, SinGANMultiScaleGenerator
from harness.registry import MODELS

VECTORS = Path(__file__).parents[1] / "vectors"
SIZES = [(12, 15), (16, 20), (21, 27)]
SMALL = {"base_channels": 8, "min_feat_channels": 8}


def _reference(name):
    """Build a network, fill it by the vectors' rule, and return it with its cases and arrays."""
    recorded = json.loads((VECTORS / f"{name}.json").read_text())
    network = MODELS.build(dict(recorded["config"])).eval()
    state = network.state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == recorded["state_dict"]
    for key, value in state.items():
        if value.is_floating_point():
            random = np.random.default_rng(zlib.crc32(key.encode()))
            filled = random.standard_normal(value.shape) * 0.2
            value.copy_(torch.from_numpy(abs(filled) + 0.5 if "running_var" in key else filled))
    return network, recorded["cases"], np.load(VECTORS / f"{name}.npz")


def _given(value, arrays):
    if isinstance(value, list):
        return [_given(each, arrays) for each in value]
    known = isinstance(value, str) and value in arrays
    return torch.from_numpy(arrays[value]) if known else value


@pytest.mark.parametrize("name", ["singan_generator", "singan_discriminator"])
def test_every_recorded_answer_is_reproduced(name):
    network, cases, arrays = _reference(name)
    assert len(cases) == 3
    for case in cases:
        inputs = {key: _given(value, arrays) for key, value in case["inputs"].items()}
        with torch.no_grad():
            answer = network(**inputs).numpy()
        np.testing.assert_allclose(answer, arrays[case["output"]], rtol=0, atol=2e-6)


def test_the_papers_form_enlarges_by_pixel_centres_as_pyramids_are_made():
    recorded, cases, arrays = _reference("singan_generator")
    paper = SinGANMultiScaleGenerator(3, 3, 2, **SMALL, paper_form=True).eval()
    paper.load_state_dict(recorded.state_dict())
    inputs = {key: _given(value, arrays) for key, value in cases[2]["inputs"].items()}
    with torch.no_grad():
        assert not torch.allclose(paper(**inputs), recorded(**inputs), atol=1e-3)
    ramp = torch.arange(8.0).expand(1, 3, 8, 8)
    inner = paper.enlarge(ramp, (16, 16))[0, 0, 0, 4:12]
    centres = (torch.arange(4, 12) + 0.5) / 2 - 0.5
    torch.testing.assert_close(inner, centres, rtol=0, atol=0.06)
    torch.testing.assert_close(
        recorded.enlarge(ramp, (15, 15))[0, 0, 0, 4:12:2], ramp[0, 0, 0, 2:6]
    )


def _generator(**arguments):
    torch.manual_seed(0)
    generator = SinGANMultiScaleGenerator(3, 3, 2, **SMALL, **arguments).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(10)  # as drawn, weights are too small for a scale to tell
    return generator


def _noises(count=1):
    torch.manual_seed(1)
    return [torch.randn(count, 3 if scale else 1, *SIZES[scale]) for scale in range(3)]


WEIGHTS = [1.0, 0.3, 0.2]


@torch.no_grad()
def test_a_later_start_goes_on_from_an_image_of_that_scale():
    generator, noises = _generator(), _noises(2)
    whole = generator(None, noises, WEIGHTS, "recon", 2, get_prev_res=True)
    assert [tuple(image.shape) for image in whole["prev_res_list"]] == [
        (2, 3, *size) for size in SIZES[1:]
    ]
    rest = generator(whole["prev_res_list"][1], noises, WEIGHTS, "recon", 2, start_scale=2)
    torch.testing.assert_close(rest, whole["fake_img"])
    alone = generator(None, [noise[:1] for noise in noises], WEIGHTS, "recon", 2)
    torch.testing.assert_close(alone, rest[:1], atol=1e-4, rtol=0)


@torch.no_grad()
def test_random_noise_is_drawn_and_returned():
    generator, noises = _generator(), _noises()
    torch.manual_seed(2)
    drawn = generator(None, noises, WEIGHTS, "rand", 2, num_batches=4, return_noise=True)
    assert [tuple(z.shape) for z in drawn["noise_batch"]] == [
        (4, 3 if scale else 1, *SIZES[scale]) for scale in range(3)
    ]
    again = generator(None, drawn["noise_batch"], WEIGHTS, "recon", 2)
    assert torch.equal(again, drawn["fake_img"])
    assert not torch.allclose(again, generator(None, noises, WEIGHTS, "recon", 2), atol=1e-3)


@torch.no_grad()
def test_an_image_of_any_size_gets_one_scales_detail():
    generator = _generator()
    image, noise = torch.randn(2, 3, 9, 31), torch.randn(1, 3, 9, 31)
    answer = generator.step(1, image, noise, 0.5)
    padded = functional.pad(image + 0.5 * noise, (5,) * 4)
    torch.testing.assert_close(answer, image + torch.tanh(generator.blocks[1](padded)))


@pytest.mark.parametrize(("scale", "width"), [(0, 32), (3, 32), (4, 64), (8, 128), (16, 128)])
def test_features_double_every_four_scales_up_to_128(scale, width):
    critic = SinGANMultiScaleDiscriminator(3, num_scales=16)
    layers = [m for m in critic.blocks[scale].modules() if isinstance(m, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [width] * 4 + [1]


def test_later_layers_have_half_the_features_where_fewer_are_allowed():
    network = SinGANMultiScaleGenerator(3, 3, 4, base_channels=32, min_feat_channels=10)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    widths = [layer.out_channels for layer in convolutions]
    assert widths[:5] == [32, 16, 10, 10, 3]
    assert widths[20:] == [64, 32, 20, 20, 3]


def test_weights_begin_as_the_authors_have_them():
    state = SinGANMultiScaleGenerator(3, 3, 0, base_channels=64).state_dict()
    assert state["blocks.0.body.block1.conv.weight"].std() == pytest.approx(0.02, rel=0.05)
    assert state["blocks.0.body.block1.bn.weight"].mean() == pytest.approx(1, abs=0.02)
    assert not state["blocks.0.tail.conv.bias"].any()


def test_each_layer_may_pad_for_itself():
    critic = SinGANMultiScaleDiscriminator(3, padding=1, num_scales=0, **SMALL)
    assert critic(torch.zeros(2, 3, 9, 12), 0).shape == (2, 1, 9, 12)
    generator = _generator(padding=1)
    assert generator(None, _noises(), WEIGHTS, "recon", 2).shape == (1, 3, *SIZES[2])


def test_arguments_are_in_mmagics_order():
    generator = inspect.getfullargspec(SinGANMultiScaleGenerator)
    assert (
        generator.args[1:]
        == ["in_channels", "out_channels", "num_scales", "kernel_size", "padding", "num_layers", "base_channels", "min_feat_channels", "out_act_cfg"]
    )
    critic = inspect.getfullargspec(SinGANMultiScaleDiscriminator)
    assert (
        critic.args[1:]
        == ["in_channels", "kernel_size", "padding", "num_layers", "num_scales", "base_channels", "min_feat_channels"]
    )
    forward = inspect.getfullargspec(SinGANMultiScaleGenerator.forward)
    assert (
        forward.args[1:]
        == ["input_sample", "fixed_noises", "noise_weights", "rand_mode", "curr_scale", "num_batches", "get_prev_res", "return_noise"]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 4}, "kernel_size is 4: give an odd number"),
        ({"padding": 2}, "padding is 2: give 0 or 1"),
        ({"num_layers": 1}, "num_layers is 1: give 2 or more"),
        ({"num_scales": -1}, "num_scales is -1: give the finest scale's number"),
        ({"base_channels": 0}, r"are \(0, 8\): give 1 or more"),
        ({"out_act_cfg": {"type": "ReLU"}}, "out_act_cfg is .*: give .*Tanh.* or None"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(SpecError, match=message):
        SinGANMultiScaleGenerator(
            **{"in_channels": 3, "out_channels": 3, "num_scales": 2} | SMALL | arguments
        )


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"curr_scale": 3}, SpecError, "curr_scale is 3: give 0 to 2"),
        ({"start_scale": 3}, SpecError, "start_scale is 3: give 0 to 2"),
        ({"rand_mode": "both"}, SpecError, "rand_mode is 'both': give 'rand' or 'recon'"),
        ({"noise_weights": [1.0]}, DataError, "3 noises and 1 weights: scale 2 needs 3"),
        ({"input_sample": torch.zeros(1, 3, 5, 5)}, DataError, r"give N C H W, .* = \(3, 12, 15\)"),
    ],
)
def test_wrong_inputs_are_refused(changed, error, message):
    inputs = {
        "input_sample": None,
        "fixed_noises": _noises(),
        "noise_weights": WEIGHTS,
        "rand_mode": "recon",
        "curr_scale": 2,
    }
    with pytest.raises(error, match=message):
        _generator()(**inputs | changed)


def test_the_critic_refuses_images_below_a_patch():
    critic = SinGANMultiScaleDiscriminator(3, num_scales=0, **SMALL)
    with pytest.raises(DataError, match=r"are \(1, 3, 10, 20\): give N 3 H W, 11 px or more"):
        critic(torch.zeros(1, 3, 10, 20), 0)
    with pytest.raises(SpecError, match="curr_scale is 1: give 0 to 0"):
        critic(torch.zeros(1, 3, 12, 20), 1)
