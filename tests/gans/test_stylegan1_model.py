"""StyleGAN1Model's training step; G-numbers are faults of MMagic's that it must not have."""

import copy
import itertools

import pytest
import torch
from small_spec import plan
from tiny_gan import adams, gan_settings, growing_loader, same_bits
from torch.nn.functional import softplus

from harness.gans.stylegan1 import StyleGAN1Model
from harness.hooks import ExponentialMovingAverageHook, PGGANFetchDataHook
from harness.launch.local import execute
from harness.launch.worker import Machine
from harness.networks.losses import r1_penalty
from harness.networks.style_layers import mixing_layers
from harness.networks.stylegan1 import StyleGAN1Discriminator, StyleGAN1Generator
from harness.ranks.shares import Share
from harness.records.store import RunFolder
from harness.records.types import Status
from harness.spec.growth import GrowthSchedule, Stage

SMALL = {"base_channels": 32, "max_channels": 8, "paper_form": True}
FROM_4 = GrowthSchedule((4, 8, 16), (16, 24, 40), 12, (4, 4, 2))
FROM_8 = GrowthSchedule((8, 16), (16, 24), 12, (4, 4))


def tiny(seed=0, growth=FROM_4, **settings):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = StyleGAN1Generator(16, 6, 2, **SMALL)
        discriminator = StyleGAN1Discriminator(16, **SMALL)
        for name, parameter in generator.named_parameters():
            if "noise_injector" in name:
                torch.nn.init.normal_(parameter)
    return StyleGAN1Model(generator, discriminator, growth, seed, **settings)


def batch_for(gan):
    torch.manual_seed(gan.images_shown)
    shape = (gan.next_batch_size, 3, gan.next_scale, gan.next_scale)
    return {"inputs": torch.randint(0, 256, shape, dtype=torch.uint8)}


def trained(gan, optimizers, steps):
    losses = [gan.train_step(batch_for(gan), optimizers) for _ in range(steps)]
    return [{name: float(value) for name, value in step.items()} for step in losses]


def _generated(gan, purpose):
    with torch.no_grad():
        return gan._generate(purpose, Share.whole(gan.next_batch_size), gan.stage)[0]


@pytest.mark.parametrize("growth", [FROM_4, FROM_8])
def test_g1_both_networks_have_the_logistic_loss_and_the_critic_has_r1(growth):
    gan = tiny(growth=growth)
    real = batch_for(gan)["inputs"] / 127.5 - 1

    def critic(images):
        return gan._criticise(images, gan.stage)

    penalty = float(r1_penalty(critic, real, gamma=10.0).detach())
    fake = critic(_generated(gan, "critic latents"))
    logistic = softplus(fake).mean() + softplus(-critic(real)).mean()
    expected_d = float(logistic.detach()) + penalty
    (losses,) = trained(gan, adams(gan, lr=0.0), 1)
    gan.images_shown = 0
    scores = critic(_generated(gan, "generator latents")).detach()
    expected_g = float(softplus(-scores).mean())
    assert losses["loss_d"] == losses["loss"] == pytest.approx(expected_d, rel=1e-5)
    assert losses["loss_g"] == pytest.approx(expected_g, rel=1e-5)
    assert losses["loss_penalty"] == pytest.approx(penalty, rel=1e-5)
    assert penalty > 0


def test_g1_the_generators_gradient_is_that_of_the_softplus_form():
    gan, twin = tiny(), tiny()
    fake, _ = twin._generate("generator latents", Share.whole(4), twin.stage)
    softplus(-twin._criticise(fake, twin.stage)).mean().backward()
    optimizers = adams(gan, lr=0.0)
    optimizers["generator"].zero_grad = lambda **_: None
    gan._train_generator(Share.whole(4), gan.stage, optimizers["generator"])
    for ours, expected in zip(gan.generator.parameters(), twin.generator.parameters(), strict=True):
        if expected.grad is not None:
            torch.testing.assert_close(ours.grad, expected.grad)


def test_r1_may_come_every_few_iterations_and_is_as_much_stronger():
    gan = tiny(r1_interval=3, growth=FROM_8)
    losses = trained(gan, adams(gan, lr=0.0), 4)
    assert [("loss_penalty" in step) for step in losses] == [True, False, False, True]
    plain = trained(tiny(growth=FROM_8), adams(tiny(), lr=0.0), 1)[0]
    extra = losses[0]["loss_d"] - plain["loss_d"]
    assert extra == pytest.approx(2 * plain["loss_penalty"], rel=1e-4)


class Codes:
    """Notes the styles that a generator's synthesis gets."""

    def __init__(self, generator):
        self.seen = []
        generator.convs[0].register_forward_pre_hook(lambda _, given: self.seen.append(given[0]))

    def mixed(self):
        """Return for each image whether its layers have more than one style."""
        return torch.cat([(codes != codes[:, :1]).any(2).any(1) for codes in self.seen])


@pytest.mark.parametrize("prob", [0.0, 0.6, 1.0])
def test_g2_the_share_of_mixed_images_in_training_is_mix_prob(prob):
    growth = GrowthSchedule((16,), (10**6,), 0, (40,))
    gan = tiny(growth=growth, mixing_prob=prob)
    codes = Codes(gan.generator)
    trained(gan, adams(gan), 5)
    assert len(codes.seen) == 10  # the discriminator's batches and the generator's
    assert float(codes.mixed().float().mean()) == pytest.approx(prob, abs=0.08)


def test_g2_crossovers_are_uniform_over_the_layers():
    random = torch.Generator().manual_seed(0)
    start = mixing_layers(10_000, 6, 0.5, random)
    counts = torch.bincount(start, minlength=7).tolist()
    assert counts[0] == 0
    assert counts[1:] == [pytest.approx(1000, abs=150)] * 5 + [pytest.approx(5000, abs=200)]


def test_g4_the_mean_style_follows_the_first_styles_of_training():
    gan = tiny()
    optimizers = adams(gan, lr=0.0)
    codes = Codes(gan.generator)
    trained(gan, optimizers, 3)
    expected = torch.zeros(6)
    for styles in codes.seen[1::2]:  # the generator's batches
        expected = 0.995 * expected + 0.005 * styles[:, 0].mean(0)
    torch.testing.assert_close(gan.generator.mean_latent[0], expected)
    latents = torch.randn(4, 6)
    psi0 = gan.draw(gan.generator, latents, {"truncation": 0.0, "randomize_noise": False})
    torch.testing.assert_close(psi0, psi0[:1].expand_as(psi0))
    whole = gan.draw(gan.generator, latents, {"randomize_noise": False})
    assert (whole - psi0).abs().max() > 1e-3


def test_c2_an_images_noise_is_a_function_of_its_latent_alone():
    gan = tiny(growth=FROM_8)
    gan.shadow_ema = copy.deepcopy(gan.generator)
    latents = torch.randn(6, 6)
    both = gan({"noise": latents, "sample_model": "ema/orig"})
    assert torch.equal(both["ema"], both["orig"])
    torch.randn(7)
    parts = [gan.draw(gan.generator, part) for part in latents.flip(0).split(2)]
    torch.testing.assert_close(torch.cat(parts).flip(0), both["orig"])
    registered = gan.draw(gan.generator, latents, {"randomize_noise": False})
    assert (registered - both["orig"]).abs().max() > 1e-2
    twice = gan.draw(gan.generator, latents[:1].repeat(2, 1))
    torch.testing.assert_close(twice[0], twice[1])


def test_two_trainings_give_the_same_bits_and_leave_the_global_stream():
    def run(seed):
        gan = tiny()
        gan.seed = seed
        optimizers = adams(gan)
        batches = [batch_for(gan)]
        state = torch.get_rng_state()
        losses = gan.train_step(batches[0], optimizers)
        assert torch.equal(torch.get_rng_state(), state)
        return gan, losses

    (gan, losses), (twin, again), (stranger, other) = run(0), run(0), run(1)
    assert same_bits(gan, twin)
    assert losses == again
    assert losses != other
    assert not same_bits(gan, stranger)


@pytest.mark.parametrize(("steps", "weight"), [(5, 1 / 3), (7, 1.0), (11, 1 / 6)])
def test_p1_g3_a_resume_goes_on_with_the_same_bits_in_every_fade(steps, weight, tmp_path):
    straight = tiny()
    optimizers = adams(straight)
    trained(straight, optimizers, steps)
    assert straight.stage.transition_weight == weight
    torch.save([straight.state_dict(), optimizers.state_dict()], tmp_path / "half.pth")
    expected = trained(straight, optimizers, 5)

    resumed = tiny(seed=1)
    resumed.seed = 0
    optimizers = adams(resumed)
    model, moments = torch.load(tmp_path / "half.pth")
    resumed.load_state_dict(model)
    optimizers.load_state_dict(moments)
    assert resumed.stage == Stage(resumed.next_scale, weight)
    assert trained(resumed, optimizers, 5) == expected
    assert same_bits(straight, resumed)
    assert torch.equal(straight.generator.mean_latent, resumed.generator.mean_latent)


def test_shadows_ride_along_a_real_runner_from_8x8(make_runner):
    gan = tiny(growth=FROM_8)
    shadow = ExponentialMovingAverageHook(
        "slow_ema", interp_cfg={"momentum": 0.1}, interval=1, source="generator"
    )
    settings = gan_settings(gan, 40) | {"train_dataloader": growing_loader(FROM_8)}
    make_runner([shadow, PGGANFetchDataHook()], **settings).train()
    assert gan.images_shown == 40
    assert set(gan.networks()) == {"orig", "slow_ema"}
    assert not same_bits(gan.generator, gan.networks()["slow_ema"])
    assert torch.equal(gan.generator.mean_latent, gan.networks()["slow_ema"].mean_latent)
    copied = copy.deepcopy(gan)
    assert all(
        same_bits(a, b)
        for a, b in zip(copied.networks().values(), gan.networks().values(), strict=True)
    )


def test_the_mapping_network_learns_a_hundredth_as_fast():
    gan = tiny(growth=FROM_8)
    linear = gan.generator.style_mapping[1].linear
    before = linear.weight_orig.detach() * linear.scale
    trained(gan, adams(gan, lr=0.01), 1)
    moved = linear.weight_orig.detach() * linear.scale - before
    # Adam's first step is lr for each weight_orig: lr * lr_mul / sqrt(fan-in) of what is applied.
    assert float(moved.abs().max()) == pytest.approx(0.01 * 0.01 / 6**0.5, rel=1e-3)


def test_a_whole_small_run_is_trained_measured_and_recorded(tmp_path):
    model = {
        "type": "StyleGAN1",
        "noise_size": 8,
        "out_scale": 8,
        "num_mlps": 2,
        "base_channels": 32,
        "max_channels": 8,
        "nkimgs_per_scale": {4: 0.2, 8: 0.4},
        "transition_kimgs": 0.1,
    }
    (run,) = plan(model=model, train__loss={"type": "logistic"}, seeds=[0]).runs
    machine = Machine("cpu", 1, 1, tmp_path / "cache")
    outcome = execute((run,), tmp_path, machine, lambda active: None)[run.name]
    assert outcome.status is Status.FINISHED, outcome.reason
    rows = RunFolder(tmp_path / run.name).rows()
    found = {(row.quantity, row.arm) for row in rows}
    arms = ("raw", "m0.1")
    assert found >= set(itertools.product(["fid[digits-cnn]"], arms))
    assert found >= {("loss/penalty", "run"), ("loss/g", "run")}
