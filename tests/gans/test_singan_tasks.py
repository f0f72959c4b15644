"""SinGAN's tasks on a small trained model: what each has to hold whatever was learned."""

import math
from itertools import pairwise

import pytest
import torch
from tiny_singan import CPU, singan_run

from harness.engine.weights import trained
from harness.errors import DataError, SpecError
from harness.gans.singan_tasks import (
    MAX_PIXELS,
    animated,
    checked_size,
    injected,
    resized,
    scale_factor,
    super_resolved,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    _, records = singan_run(tmp_path_factory.mktemp("singan"))
    return trained(records.path, CPU)[1]


@pytest.fixture
def image(model):
    """A composite of the size that was trained on."""
    height, width = model.sizes[-1]
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


SEEDS = torch.tensor([5, 6])


def test_outside_the_mask_the_image_stays_to_the_last_bit(model, image):
    mask = torch.zeros(1, 1, *image.shape[2:])
    mask[..., 5:15, 10:30] = 1
    edited = injected(model, model.generator, image, SEEDS, 1, mask)
    free = injected(model, model.generator, image, SEEDS, 1)
    inside = mask.bool().expand_as(edited)
    assert torch.equal(edited[~inside], image.expand_as(edited)[~inside])
    assert torch.equal(edited[inside], free[inside])
    assert not torch.equal(edited[inside], image.expand_as(edited)[inside])


def test_a_grey_mask_blends(model, image):
    mask = torch.full((1, 1, *image.shape[2:]), 0.25)
    blended = injected(model, model.generator, image, SEEDS, 1, mask)
    free = injected(model, model.generator, image, SEEDS, 1)
    torch.testing.assert_close(blended, 0.75 * image + 0.25 * free)


def test_an_image_injected_at_a_finer_scale_changes_less(model):
    """Of the smooth image that coarse scales keep."""
    height, width = model.sizes[-1]
    ramp = torch.linspace(-1, 1, width).expand(1, 3, height, width)
    changes = [
        float((injected(model, model.generator, ramp, SEEDS, scale) - ramp).square().mean())
        for scale in range(1, len(model.sizes))
    ]
    assert len(changes) >= 2
    assert changes[-1] < changes[0]


@pytest.mark.parametrize("size", [(30, 90), (90, 30), (200, 200)])
def test_an_image_keeps_its_aspect_ratio(model, size):
    longer = max(model.sizes[-1])
    result = injected(model, model.generator, torch.zeros(1, 3, *size), SEEDS, 1)
    assert max(result.shape[2:]) == longer
    expected = [round(side * longer / max(size)) for side in size]
    assert list(result.shape) == [2, 3, *expected]


def test_seeds_differ_in_detail_and_repeat(model, image):
    one, other = injected(model, model.generator, image, SEEDS, 1)
    again = injected(model, model.generator, image, SEEDS[1:], 1)[0]
    assert not torch.equal(one, other)
    torch.testing.assert_close(again, other)


def test_a_mask_of_another_size_or_all_black_is_refused(model, image):
    with pytest.raises(DataError, match=r"the mask is 20 x 10 px and the image \d+ x \d+ px"):
        injected(model, model.generator, image, SEEDS, 1, torch.ones(1, 1, 10, 20))
    with pytest.raises(DataError, match="black everywhere"):
        injected(model, model.generator, image, SEEDS, 1, torch.zeros(1, 1, *image.shape[2:]))


@pytest.mark.parametrize("factor", [1.1, 2.0, 4.0])
def test_super_resolution_ends_at_the_factor_in_steps_of_the_pyramid(model, image, factor):
    calls = []
    hook = model.generator.blocks[-1].register_forward_hook(
        lambda module, given, made: calls.append(made.shape[-1])
    )
    large = super_resolved(model, model.generator, image, factor, seed=0)
    hook.remove()
    height, width = image.shape[2:]
    assert large.shape == (1, 3, round(height * factor), round(width * factor))
    assert large.abs().max() <= 1
    sizes = [width, *calls]
    assert len(calls) == max(1, round(-math.log(factor) / math.log(scale_factor(model))))
    if factor >= 2:
        assert all(0.85 < a / b / scale_factor(model) < 1.15 for a, b in pairwise(sizes))


def test_super_resolution_adds_detail_to_what_a_filter_enlarges(model, image):
    smooth = resized(resized(image, (8, 12)), tuple(image.shape[2:]))
    large = super_resolved(model, model.generator, smooth, 2.0, seed=0)
    plain = resized(smooth, tuple(large.shape[2:]))
    assert float((large - plain).square().mean()) > 1e-6
    again = super_resolved(model, model.generator, smooth, 2.0, seed=0)
    assert torch.equal(large, again)
    assert not torch.equal(large, super_resolved(model, model.generator, smooth, 2.0, seed=1))


@pytest.mark.parametrize("factor", [1.0, 0.5, float("nan"), float("inf"), -2.0])
def test_a_factor_that_enlarges_nothing_is_refused(model, image, factor):
    with pytest.raises(SpecError, match="give a number above 1, as 4"):
        super_resolved(model, model.generator, image, factor, seed=0)


def test_what_would_not_fit_in_memory_is_refused(model, image):
    with pytest.raises(SpecError, match=f"give 1 to {MAX_PIXELS} pixels"):
        super_resolved(model, model.generator, image, 1000.0, seed=0)
    for size in ((0, 10), (10_000, 10_000)):
        with pytest.raises(SpecError, match="cannot be drawn"):
            checked_size(*size)


def frames(model, count=6, **settings):
    return torch.cat([*animated(model, model.generator, count, **({"seed": 0} | settings))])


def reconstruction(model):
    return model.draw(model.generator, torch.tensor([0]), {"mode": "recon"}).clamp(-1, 1)


def test_an_animation_begins_at_the_reconstruction_and_moves_on(model):
    shown = frames(model)
    torch.testing.assert_close(shown[:1], reconstruction(model))
    assert all(not torch.equal(a, b) for a, b in pairwise(shown))


def test_the_walk_is_the_paper_s(model):
    """The second frame, from equation and noise, by hand."""
    from harness.seeding import generator

    random = generator(0, "animation", 0)
    noises = [
        0.2 * z + 0.8 * (z + 0.3 * torch.randn(z.shape, generator=random))
        for z in model.fixed_noises
    ]
    model.generator.eval()
    with torch.no_grad():
        top = len(noises) - 1
        expected = model.generator(None, noises, model.noise_weights, "recon", top)
    shown = frames(model, 2, alpha=0.2, beta=0.7)
    torch.testing.assert_close(shown[1:], expected.clamp(-1, 1))


def test_a_walk_bound_to_the_image_stays_and_a_smooth_one_is_calmer(model):
    assert torch.equal(frames(model, alpha=1.0), reconstruction(model).expand(6, -1, -1, -1))
    steps = [float(frames(model, beta=beta).diff(dim=0).square().mean()) for beta in (0.5, 0.95)]
    assert steps[1] < steps[0]


def test_from_a_finer_scale_only_detail_moves(model):
    coarse, fine = (
        float(frames(model, start_scale=scale).var(dim=0).mean())
        for scale in (0, len(model.sizes) - 1)
    )
    assert 0 < fine < coarse


def test_no_frames_and_no_scale_are_refused(model):
    with pytest.raises(SpecError, match="give at least 1"):
        frames(model, 0)
    with pytest.raises(SpecError, match="scale 99 does not exist: give 0 to"):
        frames(model, start_scale=99)


def test_tasks_leave_the_model_and_all_streams_as_they_were(model, image):
    modes = [module.training for module in model.modules()]
    before = torch.get_rng_state()
    injected(model, model.generator, image, SEEDS, 1)
    super_resolved(model, model.generator, image, 1.5, seed=0)
    frames(model, 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in model.modules()] == modes
