"""PathLengths: the same paths for every arm, and injected noise that stays where it is."""

import copy
import math

import pytest
import torch
from drawn import Styled, grown_gan, styled_gan
from tiny_gan import NOISE_SIZE
from tiny_stylegan2 import tiny_stylegan2

from harness.engine.path_lengths import PathLengths
from harness.errors import WeightsError
from harness.metrics.features import load_extractor
from harness.metrics.path_length import mean_path_length, path_ends, places
from harness.metrics.perceptual import FeatureDistance
from harness.seeding import generator
from harness.spec.schema import Evaluate

CPU = torch.device("cpu")
PAIRS = 60


def lengths(*metrics, seed=0, **settings):
    usual = {"every_kimg": 1, "extractor": "digits-cnn", "fake_images": 9, "ppl_pairs": PAIRS}
    evaluate = Evaluate(metrics=metrics, **(usual | settings))
    return PathLengths(evaluate, load_extractor("digits-cnn"), seed, 8, CPU)


@torch.no_grad()
def measured(gan, network=None, *, distance=None, seed=0, metrics=("ppl_z",), **settings):
    paths = lengths(*metrics, seed=seed, **settings)
    paths.distance = distance or paths.distance
    return paths.measure(gan, network or gan.generator)


def squared(first, second):
    return (first - second).square().sum(dim=(1, 2, 3))


class Noisy(Styled):
    """Linear in its codes, with noise as StyleGANs inject it; knows how far it was truncated."""

    def __init__(self):
        super().__init__()
        self.truncations = []

    def forward(
        self,
        noise,
        transition_weight=1.0,
        curr_scale=-1,
        input_is_latent=False,
        truncation=1.0,
        randomize_noise=True,
    ):
        self.truncations.append(truncation)
        codes = noise if input_is_latent else self.style_mapping(noise)
        images = self.synthesis(codes * truncation).view(-1, 3, 8, 8)
        return images + torch.randn_like(images) if randomize_noise else images


def noisy_gan():
    gan = styled_gan()
    gan.generator = Noisy()
    return gan


def test_m13_a_linear_generators_length_in_w_is_that_of_its_mapped_ends():
    """G(w) = A w + c, so that the length is |A (f(b) - f(a))|^2: f once, and no noise."""
    gan = noisy_gan()
    gan.images_shown = 4
    found = measured(gan, distance=squared, metrics=["ppl_w"])["ppl_w"]
    with torch.no_grad():
        z = gan.latents(2 * PAIRS, generator(0, "path latents", 4))
        a, b = gan.generator.style_mapping(z).unflatten(0, (-1, 2)).double().unbind(1)
        ways = ((b - a) @ gan.generator.synthesis.weight.double().T).square().sum(1)
    assert found == pytest.approx(mean_path_length(ways, 1.0), rel=2e-3)


def test_a_length_in_z_is_the_mean_over_the_whole_of_each_arc():
    gan = grown_gan()
    distance = FeatureDistance(load_extractor("digits-cnn"))
    ends = gan.latents(2 * PAIRS, generator(0, "path latents", 16)).unflatten(0, (-1, 2))
    points = path_ends(ends, places(PAIRS, 0, 16), 1e-4, "Z")
    first, second = gan.draw(gan.generator, points).unflatten(0, (-1, 2)).unbind(1)
    expected = mean_path_length(distance(first, second), 1e-4)
    assert measured(gan)["ppl_z"] == pytest.approx(expected, rel=0.02)
    assert expected > 0


def test_both_ends_of_a_step_have_the_same_injected_noise():
    gan, paths = noisy_gan(), lengths("ppl_z", "ppl_w")
    state = torch.get_rng_state()
    with torch.no_grad():
        found = paths.measure(gan, gan.generator)
    assert torch.equal(torch.get_rng_state(), state)
    assert list(found) == ["ppl_z", "ppl_w"]
    assert all(value < 1e4 for value in found.values())  # noise of its own makes 1 / 1e-4^2


def loud_stylegan2():
    """Return a StyleGAN2 whose images its injected noise decides as much as its codes do."""
    gan = tiny_stylegan2()
    with torch.no_grad():
        for name, parameter in gan.generator.named_parameters():
            if "injector" in name:
                parameter.fill_(1.0)
    return gan


def test_m13_a_stylegan2s_steps_are_of_codes_and_registered_noise():
    gan = loud_stylegan2()
    found = measured(gan, metrics=["ppl_z", "ppl_w"])
    generator_, distance = gan.generator, FeatureDistance(load_extractor("digits-cnn"))
    share = places(PAIRS, 0)
    with torch.no_grad():
        z = gan.latents(2 * PAIRS, generator(0, "path latents")).unflatten(0, (-1, 2))
        codes = generator_.style_mapping(z.flatten(0, 1)).unflatten(0, (-1, 2))
        walked = {
            "ppl_z": generator_(path_ends(z, share, 1e-4, "Z"), randomize_noise=False),
            "ppl_w": generator_(
                path_ends(codes, share, 1e-4, "W"), input_is_latent=True, randomize_noise=False
            ),
        }
        noisy = gan.draw(generator_, path_ends(z, share, 1e-4, "Z"))
    for name, images in walked.items():
        steps = distance(images[0::2], images[1::2])
        assert found[name] == pytest.approx(mean_path_length(steps, 1e-4), rel=0.02)
    assert found["ppl_z"] != pytest.approx(found["ppl_w"], rel=0.05)
    # With noise of each image's own, a length is the noise's difference.
    own = mean_path_length(distance(noisy[0::2], noisy[1::2]), 1e-4)
    assert own > 100 * found["ppl_z"] > 0


def test_paths_are_never_truncated():
    gan = noisy_gan()
    plain = measured(gan, metrics=["ppl_w"])
    assert measured(gan, metrics=["ppl_w"], truncation=0.5) == plain
    assert set(gan.generator.truncations) == {1.0}


def test_paths_are_a_function_of_seed_and_images_shown_the_same_for_every_arm():
    gan = grown_gan()
    gan.other = copy.deepcopy(gan.generator)
    first = measured(gan)
    assert measured(gan, gan.other) == first
    assert measured(gan, seed=1) != first
    with torch.no_grad():
        next(gan.other.parameters()).add_(0.3)
    assert measured(gan, gan.other) != first
    gan.images_shown = 20
    assert measured(gan) != first


def test_the_batch_size_moves_a_length_by_rounding_alone():
    gan = grown_gan()
    whole = measured(gan)["ppl_z"]
    for size in (1, 7, 32):
        assert measured(gan, batch_size=size)["ppl_z"] == pytest.approx(whole, rel=0.02)


def test_images_of_a_smaller_scale_are_enlarged():
    gan = grown_gan(images_shown=0)
    assert gan.draw(gan.generator, torch.ones(1, NOISE_SIZE)).shape[-1] == 4
    assert measured(gan)["ppl_z"] > 0


def test_images_that_are_not_finite_give_no_length():
    gan = grown_gan()
    with torch.no_grad():
        next(gan.generator.parameters()).fill_(math.nan)
    with pytest.raises(FloatingPointError, match="a step of a path"):
        measured(gan)


def test_without_path_metrics_nothing_is_loaded_or_measured():
    paths = lengths("fid", lpips={"weights": "no.pth", "vgg16_weights": "no.pth"})
    assert paths.distance is None
    assert paths.measure(grown_gan(), grown_gan().generator) == {}


def test_lpips_needs_the_users_files():
    with pytest.raises(WeightsError, match="nothing is downloaded"):
        lengths("ppl_z", lpips={"weights": "no.pth", "vgg16_weights": "no.pth"})
