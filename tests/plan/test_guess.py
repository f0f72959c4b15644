"""A first guess, from arithmetic that is counted on the real networks."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_spec import SCALES, larger, plan, spec
from torch.utils.flop_counter import FlopCounterMode

from harness.engine.families import gan
from harness.plan.guess import RATES, guess, images_drawn, pass_sec, step_sec, training_cost
from harness.plan.price import Place, price
from harness.plan.work import macs_per_image, training_macs


def test_multiply_adds_against_a_count_by_hand():
    """Z = 8; widths 8 at 4x4, 8 at 8x8. Table 2 of arXiv 1710.10196, fused upsampling."""
    model = spec().model
    first = 16 * 8 * 8 + 16 * 9 * 8 * 8
    generator_8 = first + 64 * (4 * 8 * 8 + 9 * 8 * 8) + 64 * 3 * 8
    assert macs_per_image(model, 4)[0] == first + 16 * 3 * 8
    assert macs_per_image(model, 8)[0] == generator_8
    head = 16 * 9 * 9 * 8 + 16 * 8 * 8 + 8
    critic_8 = 64 * 3 * 8 + 64 * 2 * (9 * 8 * 8) + head
    assert macs_per_image(model, 4)[1] == 16 * 3 * 8 + head
    assert macs_per_image(model, 8)[1] == critic_8


def multiply_adds(network, *inputs, scale):
    with FlopCounterMode(display=False) as counter:
        network(*inputs, curr_scale=scale)
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("paper_form", [True, False])
@pytest.mark.parametrize("scale", SCALES)
def test_multiply_adds_are_those_of_the_networks(fused, paper_form, scale):
    """Counted between 2 images and 6: what is done to the weights once a step cancels."""
    described = larger(model__fused=fused, model__paper_form=paper_form)
    model = gan(described, 0)
    latents, images = torch.zeros(6, 8), torch.zeros(6, 3, scale, scale)
    for network, inputs, expected in zip(
        (model.generator, model.discriminator),
        (latents, images),
        macs_per_image(described.model, scale),
        strict=True,
    ):
        counts = [multiply_adds(network, inputs[:count], scale=scale) for count in (2, 6)]
        assert (counts[1] - counts[0]) / 4 == expected


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3000), min_size=2, max_size=6))
def test_the_share_of_training_rises_from_nought_to_one(shown):
    described = larger(train__kimg=3)
    assert training_cost(described, 0) == 0
    assert training_cost(described, 3000) == 1
    shares = [training_cost(described, images) for images in sorted(shown)]
    assert all(0 <= a <= b <= 1 for a, b in pairwise(shares))


def test_images_of_a_larger_scale_cost_more():
    described = larger(train__kimg=3)
    assert training_cost(described, 1000) < 0.32
    assert training_cost(described, 2000) < 0.65


def test_path_lengths_are_two_images_a_step_and_alone_nothing_else():
    def drawn(*metrics, **fields):
        return images_drawn(spec(evaluate__metrics=list(metrics), **fields).evaluate)

    assert drawn("fid") == drawn("fid", "recall", "density") == 600
    assert drawn("fid", "ppl_z") == 600 + 2 * 1000
    assert drawn("ppl_z") == 2 * 1000
    assert drawn("ppl_z", evaluate__ppl_pairs=70) == 140


def test_a_step_is_its_arithmetic_and_what_every_step_costs():
    described, rates = spec(), RATES["cpu"]
    work = 20 * training_macs(described, 8) / 1e9
    assert step_sec(described, 8, rates) == pytest.approx(work / 24 + 0.024)
    found = guess(described, "cpu", shared=1.5).step_sec[8, False]
    assert found.value == pytest.approx(1.5 * step_sec(described, 8, rates))
    assert (found.low, found.high) == (
        pytest.approx(found.value / 3),
        pytest.approx(found.value * 3),
    )


def test_a_pass_is_images_through_generator_and_extractor():
    small, rates = spec(), RATES["cpu"]
    drawn = 600 * (macs_per_image(small.model, 8)[0] / 1e9 / 24 + 1 / 5000)
    assert pass_sec(small, 8, rates) == pytest.approx(drawn)
    inception = pass_sec(larger(), 16, rates)
    assert inception == pytest.approx(600 * 5.7 / 24, rel=0.02)


def test_a_shadow_more_costs_time_and_disk():
    one, three = (
        price(plan(observers__ema=shadows), Place("cpu", 1)) for shadows in ({}, {"a": {}, "b": {}})
    )
    assert three.minutes > one.minutes
    assert three.disk.value > one.disk.value


def test_larger_batches_take_more_of_a_gpu():
    few, many = (guess(larger(train__batch_size=n), "cuda", 1.0) for n in (16, 256))
    assert many.gpu_gib.value > few.gpu_gib.value
    assert guess(larger(), "cpu", 1.0).gpu_gib.value == 0
