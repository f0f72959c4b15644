"""ProgressiveGrowingGAN's training step; P-numbers are faults it must not have."""

import copy

import numpy as np
import pytest
import torch
from tiny_gan import (
    NOISE_SIZE,
    Batches,
    adams,
    gan_settings,
    numbered,
    same_bits,
    tiny_gan,
)

from harness.data.growing import GrowingImages
from harness.data.order import indices
from harness.gans.growing import faded
from harness.hooks import ExponentialMovingAverageHook, PGGANFetchDataHook
from harness.networks.losses import drift_penalty
from harness.ranks.shares import Share
from harness.spec.growth import GrowthSchedule, Stage

ENDS = (16, 40)  # images shown when GROWTH's second and third scale begin
PIXELS = GrowingImages(numbered())


def batch_for(gan, size=None):
    """Return the batch that is due, as a function of the images shown."""
    PIXELS.update_annotations(gan.next_scale)
    return PIXELS.__getitems__(
        indices(gan.seed, len(PIXELS), gan.images_shown, size or gan.next_batch_size)
    )


def trained(gan, optimizers, steps):
    losses = [gan.train_step(batch_for(gan), optimizers) for _ in range(steps)]
    return [{name: float(value) for name, value in step.items()} for step in losses]


def test_a_step_trains_both_networks_and_counts_images():
    gan = tiny_gan()
    before = copy.deepcopy(gan)
    trained(gan, adams(gan), 1)
    assert gan.images_shown == 4
    assert not same_bits(gan.generator, before.generator)
    assert not same_bits(gan.discriminator, before.discriminator)
    assert all(p.requires_grad for p in gan.parameters())


def test_p5_the_critics_whole_loss_is_that_of_the_papers():
    """With drift alone to tell them apart: loss(weight) - loss(0) is the drift term."""

    def first(**settings):
        gan = tiny_gan(**settings)
        return gan, trained(gan, adams(gan), 1)[0]["loss_d"]

    _, without = first(drift_weight=0.0)
    gan = tiny_gan()
    with torch.no_grad():
        real = gan._criticise(batch_for(gan)["inputs"] / 127.5 - 1, gan.stage)
        fake = gan._criticise(
            gan._generate(gan._latents("critic latents", 4), gan.stage), gan.stage
        )
    for both in (False, True):
        _, loss = first(drift_weight=1e3, drift_both=both)
        expected = drift_penalty(real, fake if both else None, weight=1e3)
        assert loss - without == pytest.approx(float(expected), rel=1e-4)
    assert float(drift_penalty(real, fake)) != pytest.approx(float(drift_penalty(real)), rel=1e-3)


def test_p3_growth_is_exact_over_many_steps():
    """A float32 count cannot grow by 4 past 2^26 images; a stage must end all the same."""
    growth = GrowthSchedule((4, 8, 16), (2**28 + 4, 2**23, 4), 2**20, (4, 4, 4))
    gan = tiny_gan(growth=growth)
    gan.images_shown = 2**28 - 4 * 4
    trained(gan, adams(gan), 5)
    assert gan.images_shown == 2**28 + 4
    assert gan.stage == Stage(8, 0.0)
    gan.images_shown = begin = 2**28 + 5
    for step in range(1, 2**17 + 1):
        gan.images_shown += 1
        if step % 2**12 == 0:
            assert gan.stage == Stage(8, (step + 1) / 2**20)
    assert gan.images_shown == begin + 2**17


def test_two_trainings_give_the_same_bits_and_another_seed_does_not():
    def weights(seed):
        gan = tiny_gan()
        gan.seed = seed
        state = torch.get_rng_state()
        losses = trained(gan, adams(gan), 12)
        assert torch.equal(torch.get_rng_state(), state)  # the global stream is not drawn from
        torch.rand(1)
        return losses, gan

    (losses, gan), (again, twin), (other, stranger) = weights(0), weights(0), weights(1)
    assert gan.images_shown > ENDS[1]
    assert losses == again
    assert same_bits(gan, twin)
    assert losses != other
    assert not same_bits(gan, stranger)


class Drawing:
    """Draws from every network, as an evaluation does."""

    def evaluate(self, model, iteration):
        latents = torch.randn(8, NOISE_SIZE)
        return {
            f"spread/{name}": float(model.draw(network, latents).std())
            for name, network in model.networks().items()
        }


def test_observers_leave_training_as_it_is(make_runner):
    def weights(*shadows, **settings):
        gan = tiny_gan()
        hooks = [
            ExponentialMovingAverageHook(
                f"{name}_ema", interp_cfg={"momentum": 0.1}, interval=1, source="generator"
            )
            for name in shadows
        ]
        make_runner([*hooks, PGGANFetchDataHook()], **gan_settings(gan, 46, **settings)).train()
        return gan

    plain = weights()
    watched = weights("slow", "fast", eval_images=8, evaluator=Drawing())
    assert set(watched.networks()) == {"orig", "slow_ema", "fast_ema"}
    assert same_bits(plain.generator, watched.generator)
    assert same_bits(plain.discriminator, watched.discriminator)


@pytest.mark.parametrize(("steps", "weight"), [(5, 1 / 3), (7, 1.0), (11, 1 / 6)])
def test_p1_a_resume_goes_on_with_the_same_bits(steps, weight, tmp_path):
    straight = tiny_gan()
    straight_optimizers = adams(straight)
    trained(straight, straight_optimizers, steps)
    assert straight.stage.transition_weight == weight
    state = {"model": straight.state_dict(), "optimizers": straight_optimizers.state_dict()}
    torch.save(state, tmp_path / "half.pth")
    losses = trained(straight, straight_optimizers, 6)

    resumed = tiny_gan(seed=1)
    resumed.seed = 0
    optimizers = adams(resumed)
    half = torch.load(tmp_path / "half.pth")
    resumed.load_state_dict(half["model"])
    optimizers.load_state_dict(half["optimizers"])
    assert trained(resumed, optimizers, 6) == losses
    assert same_bits(straight, resumed)


def test_p1_mmengines_own_checkpoint_resumes_in_a_fade(make_runner, tmp_path):
    """Half a run, its checkpoint, and the other half: weights, moments, scale and data."""

    def runner(total, **more):
        batches = Batches()
        settings = gan_settings(tiny_gan(), total) | more
        return make_runner([PGGANFetchDataHook(), batches], **settings), batches

    straight, expected = runner(56)
    straight.train()
    first, _ = runner(48)
    first.train()
    assert 0 < first.model.stage.transition_weight < 1
    first.save_checkpoint(str(tmp_path), "half.pth", by_epoch=False)
    second, batches = runner(56, resume=True, load_from=str(tmp_path / "half.pth"))
    second.train()
    rest = expected.seen[-len(batches.seen) :]
    assert [shown for shown, _ in batches.seen] == [shown for shown, _ in rest] != []
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(batches.seen, rest, strict=True))
    assert same_bits(straight.model, second.model)


def rates(optimizers):
    return [w.param_groups[0]["lr"] for _, w in optimizers.items()]


@pytest.mark.parametrize("initial", [True, False])
def test_rates_change_by_their_ratio_and_reductions_stay(initial):
    gan = tiny_gan(lr_per_scale={8: 0.004, 16: 0.001})
    optimizers = adams(gan, lr=0.002)
    if initial:
        for _, wrapper in optimizers.items():
            wrapper.param_groups[0]["initial_lr"] = 0.002
    trained(gan, optimizers, 4)
    assert rates(optimizers) == [0.002, 0.002]
    for _, wrapper in optimizers.items():
        wrapper.param_groups[0]["lr"] /= 4  # what a scheduler took off
    trained(gan, optimizers, 1)
    assert rates(optimizers) == pytest.approx([0.001 if initial else 0.004] * 2)
    trained(gan, optimizers, 6)
    assert rates(optimizers)[0] == pytest.approx(0.00025 if initial else 0.001)


def test_a_scale_left_out_has_the_optimizers_own_rate():
    gan = tiny_gan(lr_per_scale={8: 0.004})
    optimizers = adams(gan, lr=0.002)
    for _, wrapper in optimizers.items():
        wrapper.param_groups[0]["initial_lr"] = 0.002
    for steps, rate in ((5, 0.004), (6, 0.002)):
        trained(gan, optimizers, steps)
        assert rates(optimizers) == pytest.approx([rate] * 2)


def test_reset_optimizer_forgets_the_moments_at_a_switch_only():
    def moments(reset):
        """Adam's own count of steps for the generator's first weight, after each step."""
        gan = tiny_gan(reset_optimizer=reset)
        optimizers = adams(gan)
        first = gan.generator.noise2feat.bias
        counts = []
        for _ in range(12):
            trained(gan, optimizers, 1)
            counts.append(int(optimizers["generator"].optimizer.state[first]["step"]))
        return counts

    assert moments(False) == list(range(1, 13))
    assert moments(True) == [1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 1, 2]


def test_a_batch_of_another_scale_is_refused():
    gan = tiny_gan()
    optimizers = adams(gan)
    stale = batch_for(gan)
    trained(gan, optimizers, 4)
    with pytest.raises(ValueError, match=r"4 px at scale 8.*PGGANFetchDataHook"):
        gan.train_step(stale, optimizers)
    assert gan.images_shown == ENDS[0]


def test_p2_a_batch_that_crosses_two_stages_lands_in_the_right_one():
    gan = tiny_gan(lr_per_scale={8: 0.5, 16: 0.004})
    optimizers = adams(gan)
    gan.train_step(batch_for(gan, size=44), optimizers)
    assert gan.stage == Stage(16, 4 / 12)
    losses = trained(gan, optimizers, 1)
    assert np.isfinite(losses[0]["loss_d"])
    assert rates(optimizers) == pytest.approx([0.004] * 2)


def test_p8_a_trained_model_can_be_copied():
    gan = tiny_gan()
    trained(gan, adams(gan), 1)
    assert same_bits(copy.deepcopy(gan), gan)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_faded_is_the_blend_with_half_the_resolution(weight):
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    pixels = images.double().numpy()
    coarse = pixels.reshape(2, 3, 4, 2, 4, 2).mean((3, 5)).repeat(2, 2).repeat(2, 3)
    expected = weight * pixels + (1 - weight) * coarse
    np.testing.assert_allclose(faded(images, weight).numpy(), expected, atol=1e-6)


def test_the_critic_sees_real_images_blended_while_a_scale_fades_in():
    pixels = torch.randint(0, 256, (4, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    real = pixels / 127.5 - 1
    coarse = torch.nn.functional.avg_pool2d(real, 2)
    coarse = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)

    def halfway():
        gan = tiny_gan()
        gan.images_shown = 22
        assert gan.stage == Stage(8, 0.5)
        return gan, adams(gan)

    def loss(images):
        gan, optimizers = halfway()
        share = Share.whole(len(images))
        step = gan._train_critic(images, share, gan.stage, optimizers["discriminator"])
        return float(step["loss_d"])

    gan, optimizers = halfway()
    step = float(gan.train_step({"inputs": pixels}, optimizers)["loss_d"])
    assert step == pytest.approx(loss((real + coarse) / 2), rel=1e-6)
    assert step != pytest.approx(loss(real), rel=1e-5)


def test_forward_names_networks_as_configs_do():
    gan = tiny_gan()
    gan.shadow_ema = copy.deepcopy(gan.generator)
    with torch.no_grad():
        for parameter in gan.shadow_ema.parameters():
            parameter.mul_(2)
    noise = torch.ones(2, NOISE_SIZE)
    both = gan.val_step({"inputs": {"noise": noise, "sample_model": "ema/orig"}})
    assert list(both) == ["ema", "orig"]
    assert both["orig"].shape == (2, 3, 4, 4)
    assert torch.equal(both["ema"], gan.draw(gan.shadow_ema, noise))
    assert torch.equal(both["orig"], gan.draw(gan.generator, noise))
    assert not torch.equal(both["ema"], both["orig"])
    one = gan({"noise": noise, "sample_model": "shadow_ema"})
    assert torch.equal(one["fake_img"], both["ema"])
