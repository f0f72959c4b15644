"""StyleGAN2Model's training step; C-numbers are faults it must not have."""

import copy

import pytest
import torch
from tiny_gan import same_bits
from tiny_stylegan2 import BATCH, adams, batch_for, tiny_stylegan2, trained

from harness.gans.stylegan2 import lazy_adam
from harness.images import to_float
from harness.networks.losses import (
    logistic_discriminator_loss,
    logistic_generator_loss,
    path_lengths,
    r1_penalty,
)
from harness.ranks.shares import Share

ADA = {"initial_p": 0.4, "adjust_kimg": 0.05}


class Steps:
    """Counts an optimizer's updates and keeps their losses."""

    def __init__(self, wrapper):
        self.losses: list[float] = []
        self._update = wrapper.update_params
        wrapper.update_params = self

    def __call__(self, loss):
        self.losses.append(float(loss.detach()))
        self._update(loss)


def test_a_step_trains_both_networks_and_counts_images():
    gan = tiny_stylegan2(ada=ADA)
    before = copy.deepcopy(gan)
    (losses,) = trained(gan, adams(gan), 1)
    assert gan.images_shown == BATCH
    names = {"loss", "loss_d", "loss_g", "loss_penalty", "loss_path", "ada_p"}
    assert set(losses) == names
    assert losses["ada_p"] == pytest.approx(0.4)
    assert not same_bits(gan.generator, before.generator)
    assert not same_bits(gan.discriminator, before.discriminator)
    assert all(p.requires_grad for p in gan.parameters())
    plain = trained(other := tiny_stylegan2(path_weight=0.0), adams(other), 1)
    assert set(plain[0]) == names - {"loss_path", "ada_p"}


def test_losses_are_the_papers_on_what_the_generator_drew():
    gan = tiny_stylegan2(path_weight=0.0)
    twin = copy.deepcopy(gan)
    (losses,) = trained(gan, adams(gan), 1)
    real = to_float(batch_for(twin)["inputs"])
    twin.requires_grad_(False)
    fake, _ = twin._generate(Share.whole(BATCH), "critic latents")
    expected = logistic_discriminator_loss(twin.discriminator(real), twin.discriminator(fake))
    assert losses["loss_d"] == pytest.approx(float(expected), rel=1e-5)
    # The generator met the discriminator that this very step had trained, R1 included.
    fake, _ = twin._generate(Share.whole(BATCH), "generator latents")
    loss = logistic_generator_loss(gan.discriminator(fake)).detach()
    assert losses["loss_g"] == pytest.approx(float(loss), rel=1e-5)
    assert losses["loss_penalty"] > 0


def test_lazy_r1_is_as_much_stronger_as_it_is_rare():
    lazy, plain = tiny_stylegan2(r1_interval=16), tiny_stylegan2(r1_interval=1)
    steps, every = Steps((o := adams(lazy))["discriminator"]), adams(plain)
    once = Steps(every["discriminator"])
    lazy_losses, plain_losses = trained(lazy, o, 17), trained(plain, every, 17)
    assert len(steps.losses) == 17 + 2  # at iterations 0 and 16
    assert len(once.losses) == 17
    assert steps.losses[1] == pytest.approx(16 * lazy_losses[0]["loss_penalty"], rel=1e-6)
    assert steps.losses[18] == pytest.approx(16 * lazy_losses[16]["loss_penalty"], rel=1e-6)
    penalties = [step["loss_penalty"] for step in lazy_losses]
    assert len(set(penalties[:16])) == 1 != len(set(penalties))
    first = plain_losses[0]
    assert first["loss_d"] == pytest.approx(lazy_losses[0]["loss_d"] + first["loss_penalty"])


def test_r1_is_taken_at_the_real_images_through_the_augmentation():
    gan = tiny_stylegan2(ada={"initial_p": 1.0, "fixed": True}, r1_interval=1, r1_gamma=3.0)
    twin = copy.deepcopy(gan).double()
    (losses,) = trained(gan, adams(gan), 1)
    real = to_float(batch_for(twin)["inputs"]).double()
    random = twin._stream("penalty augmentation")

    def critic(images):
        return twin.discriminator(twin.augment(images, random))

    assert losses["loss_penalty"] == pytest.approx(
        float(r1_penalty(critic, real, gamma=3.0).detach()), rel=1e-4
    )


def test_path_lengths_of_a_linear_generator_are_in_closed_form():
    torch.manual_seed(0)
    layers, size, side = 3, 5, 4
    weights = torch.randn(layers, size, 2 * side * side, dtype=torch.float64, requires_grad=True)
    styles = torch.randn(6, layers, size, dtype=torch.float64, requires_grad=True)
    images = torch.einsum("nld,ldk->nk", styles, weights).view(6, 2, side, side)
    direction = torch.randn_like(images)
    lengths = path_lengths(images, styles, direction)
    moved = torch.einsum("ldk,nk->nld", weights, direction.flatten(1)) / side
    expected = moved.square().sum((1, 2)).div(layers).sqrt()
    torch.testing.assert_close(lengths, expected)
    wanted = torch.autograd.grad(expected.sum(), weights)[0]
    torch.testing.assert_close(torch.autograd.grad(lengths.sum(), weights)[0], wanted)


def test_paths_are_held_to_their_running_mean_every_fourth_iteration():
    gan = tiny_stylegan2(path_weight=2.0, path_decay=0.25)
    optimizers = adams(gan)
    steps, mean = Steps(optimizers["generator"]), 0.0
    for iteration in range(9):
        twin = copy.deepcopy(gan)
        twin_steps = Steps((others := adams(twin))["generator"])
        (losses,) = trained(gan, optimizers, 1)
        assert len(steps.losses) == iteration + 1 + iteration // 4 + 1
        if iteration % 4:
            continue
        trained(twin, others, 1)
        twin.images_shown -= BATCH
        # Measured again on weights before this step, were they not moved by the main one.
        assert twin_steps.losses[1] == pytest.approx(4 * float(twin.last_path), rel=1e-6)
        mean = float(gan.path_mean)
        assert losses["loss_path"] == pytest.approx(steps.losses[-1] / 4, rel=1e-6)
    assert mean > 0


def test_the_path_term_is_its_formula_on_half_a_batch():
    gan = tiny_stylegan2(path_weight=3.0, path_decay=0.25)
    gan.path_mean.fill_(0.5)
    images, styles = gan._generate(Share.whole(2), "path latents")
    direction = torch.randn(images.shape, generator=gan._stream("path directions"))
    lengths = path_lengths(images, styles, direction).detach()
    asked = []
    gan._path_term, kept = lambda share: asked.append(share.total) or kept(share), gan._path_term
    term = kept(Share.whole(2))
    mean = 0.5 + 0.25 * (float(lengths.mean()) - 0.5)
    assert float(gan.path_mean) == pytest.approx(mean, rel=1e-6)
    expected = 3 * (lengths - mean).square().mean()
    assert float(term.detach()) == pytest.approx(float(expected), rel=1e-5)
    trained(gan, adams(gan), 5)
    assert asked == [BATCH // 2] * 2


def test_lazy_adam_takes_part_of_a_step():
    assert lazy_adam(0.002, (0.0, 0.99), 0) == {"lr": 0.002, "betas": (0.0, 0.99)}
    share = 16 / 17
    lazy = lazy_adam(0.002, (0.5, 0.99), 16)
    assert lazy["lr"] == pytest.approx(0.002 * share, rel=1e-15)
    assert lazy["betas"] == pytest.approx((0.5**share, 0.99**share), rel=1e-15)


@pytest.mark.parametrize(("prob", "mixed"), [(0.0, 0), (0.5, 0.5), (1.0, 1)])
def test_g2_styles_are_mixed_in_training(prob, mixed):
    gan = tiny_stylegan2(mixing_prob=prob)
    _, styles = gan._generate(Share.whole(2000), "generator latents")
    found = (styles != styles[:, :1]).any(2).any(1).float().mean()
    assert found == pytest.approx(mixed, abs=0.06)


def test_c2_networks_are_drawn_on_the_same_noise_which_a_latent_decides():
    gan = tiny_stylegan2()
    for layer in (gan.generator.conv1, *gan.generator.convs):
        layer.noise_injector.weight.data.fill_(0.5)
    gan.slow_ema = copy.deepcopy(gan.generator)
    latents = gan.latents(5, torch.Generator().manual_seed(3))
    torch.manual_seed(1)
    images = gan({"noise": latents, "sample_model": "orig/slow_ema"})
    assert torch.equal(images["orig"], images["slow_ema"])
    gan.images_shown = 40
    parts = torch.cat([gan.draw(gan.generator, part) for part in latents.split(2)])
    torch.testing.assert_close(parts, images["orig"])
    fixed = gan.draw(gan.generator, latents, {"randomize_noise": False})
    assert not torch.allclose(fixed, parts)
    means = gan.draw(gan.generator, latents[:1].repeat(2, 1), {"truncation": 0.0})
    torch.testing.assert_close(means[0], means[1])


@pytest.mark.parametrize("steps", [3, 5])
def test_c3_a_resume_goes_on_with_the_same_bits_and_phases(steps):
    """Lazy terms and ADA are due by the images shown, wherever the training was cut."""
    settings = {"r1_interval": 4, "path_interval": 3, "ada": ADA}
    gan = tiny_stylegan2(**settings)
    optimizers = adams(gan)
    trained(gan, optimizers, steps)
    kept, moments = copy.deepcopy(gan.state_dict()), copy.deepcopy(optimizers.state_dict())
    resumed = tiny_stylegan2(1, **settings)
    resumed.seed = 0
    resumed.load_state_dict(kept)
    others = adams(resumed)
    others.load_state_dict(moments)
    assert resumed.iteration == steps
    assert resumed.augment.p == gan.augment.p
    pairs = [
        (Steps(optimizers[name]), Steps(others[name])) for name in ("generator", "discriminator")
    ]
    assert trained(gan, optimizers, 6) == trained(resumed, others, 6)
    assert all(a.losses == b.losses for a, b in pairs)
    assert same_bits(gan, resumed)
    assert float(gan.path_mean) == float(resumed.path_mean) > 0


def test_ada_rises_while_the_critic_overfits_and_falls_while_it_is_lost():
    gan = tiny_stylegan2(ada={"initial_p": 0.5, "adjust_kimg": 0.2}, path_weight=0.0)
    optimizers = adams(gan, lr=0.0)
    head = gan.discriminator.final_linear[1].bias
    head.data.fill_(1e3)  # every real image is known
    trained(gan, optimizers, 4)
    assert gan.augment.p == pytest.approx(0.5 + 16 / 200)
    head.data.fill_(-1e3)
    trained(gan, optimizers, 8)
    assert gan.augment.p == pytest.approx(0.5 - 16 / 200)


def test_the_discriminator_sees_nothing_but_augmented_images():
    gan = tiny_stylegan2(ada={"initial_p": 1.0, "fixed": True})
    given, seen = [], []
    gan.augment.register_forward_hook(lambda module, args, out: given.append(out))
    gan.discriminator.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    trained(gan, adams(gan), 2)
    assert len(seen) == 4 + 3  # real, fake, R1 at first, the generator's
    assert all(a is b for a, b in zip(given, seen, strict=True))


def test_two_trainings_give_the_same_bits_and_the_global_stream_is_not_drawn_from():
    def weights(seed):
        gan = tiny_stylegan2(ada=ADA)
        gan.seed = seed
        state = torch.get_rng_state()
        losses = trained(gan, adams(gan), 5)
        assert torch.equal(torch.get_rng_state(), state)
        torch.rand(1)
        return losses, gan

    (losses, gan), (again, twin), (other, stranger) = weights(0), weights(0), weights(1)
    assert losses == again
    assert same_bits(gan, twin)
    assert losses != other
    assert not same_bits(gan, stranger)


def test_a_batch_of_another_size_is_refused():
    gan = tiny_stylegan2()
    with pytest.raises(ValueError, match="a batch of 4 px: give 8 px"):
        gan.train_step({"inputs": torch.zeros(4, 3, 4, 4, dtype=torch.uint8)}, adams(gan))
