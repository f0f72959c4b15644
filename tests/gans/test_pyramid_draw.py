"""Drawing from a SinGAN: each image of its seed alone, from any scale, at any size."""

import copy

import pytest
import torch
from tiny_gan import adams
from tiny_pyramid import SIZES, tiny_singan, trained
from torch.nn import functional

from harness.errors import DataError, SpecError
from harness.gans.pyramid_draw import noise_maps

SEEDS = torch.tensor([5, 2**60 + 1, 5, 9])


@pytest.fixture(scope="module")
def gan():
    torch.set_num_threads(1)
    gan = tiny_singan(iterations=4)
    trained(gan, adams(gan, lr=0.02), 12)
    gan.noise_weights = [1.0, 0.5, 0.5]  # so that a scale's noise is seen
    return gan


def drawn(gan, seeds=SEEDS, **settings):
    return gan.draw(gan.generator, seeds, settings)


def same(a, b):
    return torch.allclose(a, b, atol=1e-5, rtol=0)


def test_latents_are_seeds_of_the_generator_that_draws_them(gan):
    first, again = (gan.latents(6, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.dtype == torch.int64
    assert first.shape == (6,)
    assert first.unique().numel() == 6
    assert torch.equal(first, again)


def test_an_image_is_a_function_of_its_seed_in_any_batch(gan):
    images = drawn(gan)
    assert tuple(images.shape) == (4, 3, *SIZES[-1])
    assert same(images[0], images[2])
    for index, seed in enumerate(SEEDS):
        assert same(drawn(gan, seed[None])[0], images[index])
    others = [images[0], images[1], images[3]]
    assert not any(same(a, b) for i, a in enumerate(others) for b in others[:i])


def test_noise_is_standard_normal_and_of_one_channel_at_the_coarsest_scale():
    maps = noise_maps(torch.arange(3), [(40, 50), (60, 70)], channels=3)
    assert [tuple(noise.shape) for noise in maps] == [(3, 1, 40, 50), (3, 3, 60, 70)]
    for noise in maps:
        assert noise.mean() == pytest.approx(0, abs=0.03)
        assert noise.std() == pytest.approx(1, abs=0.03)
    assert not torch.equal(maps[1][0, 0], maps[1][0, 1])
    assert not torch.equal(maps[1][0], maps[1][1])


def test_recon_is_the_image_that_training_reconstructs_whatever_the_seeds(gan):
    images = drawn(gan, mode="recon")
    generator = gan.generator.eval()
    with torch.no_grad():
        expected = generator(None, gan.fixed_noises, gan.noise_weights, "recon", 2)
    gan.train()
    assert same(images, expected.expand(4, -1, -1, -1))


def test_below_a_later_start_the_image_is_the_reconstruction(gan):
    """With no noise from there on, nothing is left that differs from the reconstruction."""
    late = drawn(gan, start_scale=2)
    assert not same(late[0], late[1])
    spread = [drawn(gan, start_scale=k).std(0).mean() for k in range(3)]
    assert spread[0] > spread[1] > spread[2] > 0
    weights, gan.noise_weights = gan.noise_weights, [1.0, 0.5, 0.0]
    try:
        assert same(drawn(gan, start_scale=2), drawn(gan, mode="recon"))
    finally:
        gan.noise_weights = weights


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"size": (22, 15)}, (22, 15)),
        ({"size": (7, 40)}, (7, 40)),
        ({"scale_factor": 2.0}, (22, 30)),
        ({"scale_factor": (1, 3)}, (11, 45)),
        ({"scale_factor": 0.5, "start_scale": 1}, (6, 8)),
        ({"size": (30, 31), "start_scale": 2}, (30, 31)),
    ],
)
def test_images_have_the_size_asked_for(gan, settings, size):
    images = drawn(gan, **settings)
    assert tuple(images.shape) == (4, 3, *size)
    assert images.isfinite().all()
    assert same(images[0], images[2])
    assert not same(images[0], images[1])


def test_the_real_images_size_is_no_other_drawing(gan):
    assert torch.equal(drawn(gan, size=SIZES[-1]), drawn(gan))
    assert torch.equal(drawn(gan, scale_factor=1.0), drawn(gan))


def test_an_image_takes_the_place_of_the_coarser_scales(gan):
    torch.manual_seed(0)
    image = torch.rand(1, 3, 33, 45) * 2 - 1
    images = drawn(gan, start_scale=1, image=image)
    generator = gan.generator.eval()
    small = functional.interpolate(image, SIZES[0], mode="bicubic", antialias=True)
    noises = noise_maps(SEEDS, SIZES, 3)
    with torch.no_grad():
        below = generator.enlarge(small, SIZES[1]).expand(4, -1, -1, -1)
        expected = generator(below, noises, gan.noise_weights, "recon", 2, start_scale=1)
    gan.train()
    assert same(images, expected)
    each = drawn(gan, SEEDS[:2], start_scale=2, image=torch.cat([image, -image]))
    assert same(each[1], drawn(gan, SEEDS[1:2], start_scale=2, image=-image)[0])


def test_a_shadow_draws_with_its_own_weights_and_statistics(gan):
    shadow = copy.deepcopy(gan.generator)
    assert torch.equal(gan.draw(shadow, SEEDS), drawn(gan))
    shadow.blocks[2].body.block1.bn.running_var.mul_(4)
    assert not same(gan.draw(shadow, SEEDS), drawn(gan))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mod": "rand"}, "mod is not one of mode, start_scale, size, scale_factor, image"),
        ({"mode": "fixed"}, "mode is 'fixed': give 'rand' or 'recon'"),
        ({"mode": "recon", "start_scale": 1}, "mode is 'recon', which takes nothing else"),
        ({"size": (9, 9), "scale_factor": 2}, "size and scale_factor are both given"),
        ({"start_scale": 3}, "start_scale is 3: give 0 to 2"),
        ({"start_scale": -1}, "start_scale is -1: give 0 to 2"),
        ({"size": (0, 9)}, "0 x 9 px is no size"),
        ({"image": torch.zeros(1, 3, 9, 9)}, "start_scale is 0: an image needs 1 or more"),
    ],
)
def test_a_drawing_that_is_not_possible_is_refused(gan, settings, message):
    with pytest.raises(SpecError, match=message):
        drawn(gan, **settings)


def test_there_is_nothing_to_draw_before_training():
    gan = tiny_singan()
    with pytest.raises(DataError, match="no scale has begun training"):
        gan.draw(gan.generator, SEEDS)


def test_configs_say_mode_beside_the_other_inputs(gan):
    latents = {"noise": SEEDS, "num_batches": 4}
    answer = gan({**latents, "mode": "recon"})["fake_img"]
    assert torch.equal(answer, drawn(gan, mode="recon"))
    assert torch.equal(gan({**latents, "mode": "rand"})["fake_img"], drawn(gan))
    late = gan({**latents, "sample_kwargs": {"start_scale": 2}})["fake_img"]
    assert torch.equal(late, drawn(gan, start_scale=2))
