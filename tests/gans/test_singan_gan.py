"""SinGAN's training step, scale by scale; S-numbers are faults it must not have."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from tiny_gan import adams, same_bits
from tiny_pyramid import (
    SIZES,
    SMALL,
    STEPS,
    reals,
    tiny_singan,
    trained,
)
from torch.nn import functional

from harness.engine.optim_constructors import SinGANOptimWrapperConstructor
from harness.images import to_float
from harness.networks.singan import SinGANMultiScaleGenerator

LAST = len(SIZES) - 1


def blocks(gan):
    """Return a copy of each scale's generator."""
    return [copy.deepcopy(block) for block in gan.generator.blocks]


def test_a_step_trains_the_current_scale_alone():
    gan = tiny_singan()
    before = blocks(gan)
    critics = copy.deepcopy(gan.discriminator.blocks)
    (losses,) = trained(gan, adams(gan), 1)
    assert set(losses) == {"loss", "loss_d", "loss_g", "loss_penalty", "loss_recon"}
    assert losses["loss"] == losses["loss_d"]
    assert gan.images_shown == STEPS
    changed = [not same_bits(a, b) for a, b in zip(before, gan.generator.blocks, strict=True)]
    assert changed == [True, False, False]
    pairs = zip(critics, gan.discriminator.blocks, strict=True)
    assert [not same_bits(a, b) for a, b in pairs] == [True, False, False]
    assert all(p.requires_grad for p in gan.parameters())


def test_a_finished_scale_stays_as_it_is_to_its_statistics():
    gan = tiny_singan(iterations=3)
    optimizers = adams(gan)
    trained(gan, optimizers, 3)
    finished = copy.deepcopy(gan.generator.blocks[0].state_dict())
    critic = copy.deepcopy(gan.discriminator.blocks[0].state_dict())
    trained(gan, optimizers, 3)
    for kept, network in ((finished, gan.generator), (critic, gan.discriminator)):
        now = network.blocks[0].state_dict()
        assert all(torch.equal(kept[name], now[name]) for name in kept)
    assert int(finished["head.bn.num_batches_tracked"]) > 0


@pytest.mark.parametrize("switch", ["train", "eval"])
def test_modes_that_somebody_switched_make_no_difference(switch):
    gan, switched = tiny_singan(iterations=2), tiny_singan(iterations=2)
    of_gan, of_switched = adams(gan), adams(switched)
    for _ in range(5):
        trained(gan, of_gan, 1)
        getattr(switched, switch)()
        trained(switched, of_switched, 1)
        scale = switched.curr_stage
        for network in (switched.generator, switched.discriminator):
            modes = [any(m.training for m in block.modules()) for block in network.blocks]
            assert modes == [index == scale for index in range(len(modes))]
    assert scale == LAST
    assert same_bits(gan, switched)


def test_a_scale_begins_with_the_weights_of_the_one_below():
    gan = tiny_singan(iterations=2)
    optimizers = adams(gan, lr=0.0)
    other = blocks(gan)[1]
    trained(gan, optimizers, 3)
    assert same_bits(gan.generator.blocks[1], gan.generator.blocks[0])
    assert same_bits(gan.discriminator.blocks[1], gan.discriminator.blocks[0])
    assert not same_bits(gan.generator.blocks[1], other)
    assert gan.renewed == {"generator": ("blocks.1.",), "discriminator": ("blocks.1.",)}
    trained(gan, optimizers, 1)
    assert gan.renewed == {}


def test_a_wider_scale_begins_with_weights_of_its_own():
    gan = tiny_singan(iterations=2)
    wide = SinGANMultiScaleGenerator(3, 3, 4, **SMALL).blocks[4]
    assert wide.head.conv.out_channels == 8
    gan.generator.blocks[1] = wide
    other = blocks(gan)[1]
    optimizers = adams(gan, lr=0.0)
    trained(gan, optimizers, 3)
    assert same_bits(gan.generator.blocks[1], other)
    assert same_bits(gan.discriminator.blocks[1], gan.discriminator.blocks[0])


def test_s1_every_scale_trains_and_every_size_of_the_pyramid_is_used():
    gan = tiny_singan(iterations=2)
    optimizers = adams(gan)
    before = blocks(gan)
    trained(gan, optimizers, 2 * len(SIZES))
    assert gan.curr_stage == LAST == gan.generator.num_scales
    assert gan.sizes == SIZES
    assert not any(same_bits(a, b) for a, b in zip(before, gan.generator.blocks, strict=True))
    images = gan.draw(gan.generator, gan.latents(2, torch.Generator().manual_seed(0)))
    assert tuple(images.shape) == (2, 3, *SIZES[LAST])


def test_s5_the_critics_steps_build_no_graph_of_the_generator():
    gan = tiny_singan()
    seen = []
    gan.generator.blocks[0].register_forward_hook(
        lambda _, given, answer: seen.append((len(answer), answer.requires_grad))
    )
    trained(gan, adams(gan), 1)
    # One pass for all steps of the critic; each of the generator has an image and its
    # reconstruction.
    assert seen == [(STEPS, False)] + [(2, True)] * STEPS


@pytest.mark.parametrize("paper_form", [True, False])
def test_s5_amplitudes_come_from_the_generators_own_resampling(paper_form):
    gan = tiny_singan(iterations=12, noise_weight_init=0.3)
    gan.generator.paper_form = paper_form
    trained(gan, adams(gan, lr=0.02), 13)
    generator = gan.generator.eval()
    with torch.no_grad():
        coarse = generator(None, gan.fixed_noises, gan.noise_weights, "recon", 0)
    below = functional.interpolate(coarse, SIZES[1], mode="bicubic", align_corners=not paper_form)
    real = to_float(torch.from_numpy(reals()[SIZES[1][1]]))
    error = float((below - real).square().mean().sqrt())
    assert gan.noise_weights == [1.0, pytest.approx(0.3 * error, rel=1e-5)]
    nearest = functional.interpolate(coarse, SIZES[1])
    assert float((nearest - real).square().mean().sqrt()) != pytest.approx(error, rel=1e-2)


def test_fixed_noise_is_drawn_at_the_coarsest_scale_alone():
    gan, other = tiny_singan(iterations=2), tiny_singan(iterations=2, seed=1)
    for model in (gan, other):
        trained(model, adams(model), 5)
    assert [tuple(z.shape) for z in gan.fixed_noises] == [
        (1, 3 if scale else 1, *SIZES[scale]) for scale in range(3)
    ]
    assert gan.fixed_noises[0].std() == pytest.approx(1, abs=0.4)
    assert not any(noise.any() for noise in gan.fixed_noises[1:])
    assert not torch.equal(gan.fixed_noises[0], other.fixed_noises[0])


def test_the_losses_are_the_papers():
    """With a rate of nought, the last steps' losses can be worked out again."""
    gan = tiny_singan(iterations=3, recon_weight=7.0, penalty_weight=0.0)
    optimizers = adams(gan, lr=0.0)
    trained(gan, optimizers, 4)
    random = gan._stream("training noise")
    noises = [torch.randn(STEPS, *fixed.shape[1:], generator=random) for fixed in gan.fixed_noises]
    twin = copy.deepcopy(gan)
    (losses,) = trained(gan, optimizers, 1)
    generator, critic = twin.generator, twin.discriminator
    real = to_float(torch.from_numpy(reals()[SIZES[1][1]]))
    generator.blocks[0].eval()  # the other one trains
    with torch.no_grad():
        last = [noise[-1:] for noise in noises]
        coarse = generator(None, last, gan.noise_weights, "recon", 0)
        fake = generator.step(1, generator.enlarge(coarse, SIZES[1]), last[1], gan.noise_weights[1])
        coarse = generator(None, gan.fixed_noises, gan.noise_weights, "recon", 0)
        recon = generator.step(1, generator.enlarge(coarse, SIZES[1]), 0 * last[1], 1.0)
        scores, real_scores = critic(fake, 1), critic(real, 1)
    error = float((recon - real).square().mean())
    assert losses["loss_recon"] == pytest.approx(error, rel=1e-5)
    assert losses["loss_g"] == pytest.approx(float(-scores.mean()) + 7 * error, rel=1e-4)
    assert losses["loss_d"] == pytest.approx(float(scores.mean() - real_scores.mean()), abs=1e-5)


def rates(optimizers):
    return [w.param_groups[0]["lr"] for _, w in optimizers.items()]


def test_rates_fall_to_a_tenth_and_rise_again_with_the_next_scale():
    gan = tiny_singan(iterations=5)
    optimizers = adams(gan, lr=0.002)
    seen = []
    for step in range(12):
        trained(gan, optimizers, 1)
        if step == 6:  # what a scheduler took off stays off
            for _, wrapper in optimizers.items():
                wrapper.param_groups[0]["lr"] /= 2
        seen.append(rates(optimizers)[0])
    expected = [0.002] * 4 + [0.0002] + [0.002, 0.001, 0.001, 0.001] + [0.0001] + [0.001] * 2
    assert seen == pytest.approx(expected)


def test_each_scale_may_have_an_optimizer_of_its_own():
    one, many = tiny_singan(iterations=2), tiny_singan(iterations=2)
    cfg = {
        name: {"optimizer": {"type": "Adam", "lr": 0.002, "betas": (0.0, 0.99)}}
        for name in ("generator", "discriminator")
    }
    wrappers = SinGANOptimWrapperConstructor(cfg)(many)
    assert isinstance(wrappers["generator_2"], OptimWrapper)
    trained(one, adams(one), 6)
    trained(many, wrappers, 6)
    assert same_bits(one, many)


def test_two_trainings_give_the_same_bits_and_another_seed_does_not():
    def weights(seed):
        gan = tiny_singan(iterations=2)
        gan.seed = seed
        state = torch.get_rng_state()
        losses = trained(gan, adams(gan), 4)
        assert torch.equal(torch.get_rng_state(), state)  # the global stream is not drawn from
        torch.rand(1)
        return losses, gan

    (losses, gan), (again, twin), (other, _) = weights(0), weights(0), weights(1)
    assert losses == again
    assert same_bits(gan, twin)
    assert losses != other


def test_a_batch_of_another_scale_is_refused():
    gan = tiny_singan()
    with pytest.raises(ValueError, match=r"a batch \(2, 3, 11, 15\) at scale 9 px"):
        gan.train_step({"inputs": torch.zeros(2, 3, 11, 15, dtype=torch.uint8)}, adams(gan))
