"""Four GANs trained by hand: plain loops of PyTorch with nothing around them.

Each goes on from where a harness's run stands, with copies of its networks and of its optimizers'
moments, so that both can be compared bit by bit. What a loop needs is made once; a draw reseeds
one generator. Growing networks are at a scale that has faded in.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.optim import Adam, Optimizer

from harness.data.order import indices
from harness.images import to_float
from harness.networks.losses import (
    drift_penalty,
    gradient_penalty,
    logistic_discriminator_loss,
    logistic_generator_loss,
    path_lengths,
    r1_penalty,
    wgan_critic_loss,
    wgan_generator_loss,
)
from harness.networks.style_layers import mixing_layers
from harness.seeding import derive_seed

_STEPS = 4096


class Loop(ABC):
    """Networks, their Adams, one average of the generator, and images in memory.

    Args:
        runner: of the harness, between two iterations; left as it is.
        images: uint8 N3HW of the current scale, where training computes.
        momentum: of the average; every shadow of the runner has it.
    """

    def __init__(self, runner: Runner, images: Tensor, momentum: float) -> None:
        model = runner.model
        self.seed, self.shown = model.seed, model.images_shown
        self.generator: Any = copy.deepcopy(model.generator)
        self.critic: Any = copy.deepcopy(model.discriminator)
        self.shadow = copy.deepcopy(model.network("ema"))
        self.adam_g = _adam(runner.optim_wrapper["generator"].optimizer, self.generator)
        self.adam_d = _adam(runner.optim_wrapper["discriminator"].optimizer, self.critic)
        self.images, self.momentum = images, momentum
        self.count = model.next_batch_size
        order = indices(self.seed, len(images), self.shown, _STEPS * self.count)
        self._order = iter(torch.from_numpy(order).to(images.device).split(self.count))
        self._random = torch.Generator(images.device)
        self._average = [value.detach() for value in self.shadow.parameters()]
        self._weights = [value.detach() for value in self.generator.parameters()]
        self._copies = [*self.shadow.buffers()]
        self._buffers = [*self.generator.buffers()]

    def step(self) -> None:
        """Train one iteration, and average."""
        self.train(to_float(self.images[next(self._order)]))
        torch._foreach_lerp_(self._average, self._weights, self.momentum)
        if self._copies:
            torch._foreach_copy_(self._copies, self._buffers)
        self.shown += self.count

    @abstractmethod
    def train(self, real: Tensor) -> None:
        """Train both networks on real images N3HW in [-1, 1]."""

    def random(self, purpose: str) -> torch.Generator:
        """Return the one generator, seeded as the harness seeds that of a purpose."""
        return self._random.manual_seed(derive_seed(self.seed, purpose, self.shown))

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """Draw normally distributed numbers for a purpose."""
        return _normal(self.random(purpose), *shape)


class PGGAN(Loop):
    """WGAN-GP with a drift term."""

    def __init__(self, runner: Runner, images: Tensor, momentum: float) -> None:
        super().__init__(runner, images, momentum)
        self.settings = runner.model
        self.scale = images.shape[-1]

    def train(self, real: Tensor) -> None:
        """Take one step of the critic, one of the generator."""
        latent = self.normal("critic latents", self.count, self.settings.noise_size)
        with torch.no_grad():
            fake = self.generator(latent, curr_scale=self.scale)
        random = self.random("penalty mixing")
        mix = torch.rand(self.count, generator=random, device=random.device)
        scores, fake_scores = self.judge(real), self.judge(fake)
        both = fake_scores if self.settings.drift_both else None
        drift = drift_penalty(scores, both, weight=self.settings.drift_weight)
        penalty = gradient_penalty(self.judge, real, fake, mix, weight=self.settings.penalty_weight)
        _minimise(self.adam_d, wgan_critic_loss(scores, fake_scores) + drift + penalty)
        self.critic.requires_grad_(False)
        latent = self.normal("generator latents", self.count, self.settings.noise_size)
        fake = self.generator(latent, curr_scale=self.scale)
        _minimise(self.adam_g, wgan_generator_loss(self.judge(fake)))
        self.critic.requires_grad_(True)

    def judge(self, images: Tensor) -> Tensor:
        """Return the critic's scores."""
        scores: Tensor = self.critic(images, curr_scale=self.scale)
        return scores


class StyleGAN1(Loop):
    """Logistic loss with R1 in every iteration."""

    def __init__(self, runner: Runner, images: Tensor, momentum: float) -> None:
        super().__init__(runner, images, momentum)
        self.settings = runner.model
        self.scale = images.shape[-1]
        self.layers = self.generator.layers(self.scale)

    def train(self, real: Tensor) -> None:
        """Take one step of the discriminator, one of the generator."""
        with torch.no_grad():
            fake, _ = self.generate("critic latents")
        loss = logistic_discriminator_loss(self.judge(real), self.judge(fake))
        loss = loss + r1_penalty(self.judge, real, gamma=self.settings.r1_gamma)
        _minimise(self.adam_d, loss)
        self.critic.requires_grad_(False)
        fake, styles = self.generate("generator latents")
        loss = logistic_generator_loss(self.judge(fake))
        self.generator.follow_mean(styles[:, 0])
        _minimise(self.adam_g, loss)
        self.critic.requires_grad_(True)

    def generate(self, purpose: str) -> tuple[Tensor, Tensor]:
        """Return new images and their styles."""
        latents, start, noise = _style_draws(self, purpose, self.count, self.layers)
        styles = self.generator.latents(latents, start, self.layers)
        return self.generator.synthesize(styles, noise), styles

    def judge(self, images: Tensor) -> Tensor:
        """Return the discriminator's scores."""
        scores: Tensor = self.critic(images, curr_scale=self.scale)
        return scores


class StyleGAN2(Loop):
    """Logistic loss, lazy R1 and lazy path lengths."""

    def __init__(self, runner: Runner, images: Tensor, momentum: float) -> None:
        super().__init__(runner, images, momentum)
        self.settings = runner.model
        self.iteration = runner.model.iteration
        self.path_mean = runner.model.path_mean.clone()
        self.layers = self.generator.num_latents

    def train(self, real: Tensor) -> None:
        """Take one step of each network, and the lazy ones that are due."""
        settings = self.settings
        with torch.no_grad():
            fake, _ = self.generate("critic latents", self.count)
        loss = logistic_discriminator_loss(self.critic(real), self.critic(fake))
        _minimise(self.adam_d, loss)
        if self.iteration % settings.r1_interval == 0:
            penalty = r1_penalty(self.critic, real, gamma=settings.r1_gamma)
            _minimise(self.adam_d, penalty * settings.r1_interval)
        self.critic.requires_grad_(False)
        fake, _ = self.generate("generator latents", self.count)
        _minimise(self.adam_g, logistic_generator_loss(self.critic(fake)))
        self.critic.requires_grad_(True)
        if settings.path_weight and self.iteration % settings.path_interval == 0:
            _minimise(self.adam_g, self.path_term() * settings.path_interval)
        self.iteration += 1

    def path_term(self) -> Tensor:
        """Return the penalty of path lengths that differ from their mean."""
        settings = self.settings
        count = max(1, self.count // settings.path_batch_shrink)
        images, styles = self.generate("path latents", count)
        lengths = path_lengths(images, styles, self.normal("path directions", *images.shape))
        self.path_mean.lerp_(lengths.detach().mean(), settings.path_decay)
        penalty: Tensor = settings.path_weight * (lengths - self.path_mean).square().mean()
        return penalty

    def generate(self, purpose: str, count: int) -> tuple[Tensor, Tensor]:
        """Return new images and their styles."""
        latents, start, noise = _style_draws(self, purpose, count, self.layers)
        styles = self.generator.latents(latents, start)
        return self.generator.synthesize(styles, noise), styles


class SinGAN(Loop):
    """WGAN-GP and the reconstruction at one scale; the ones below are frozen."""

    def __init__(self, runner: Runner, images: Tensor, momentum: float) -> None:
        super().__init__(runner, images, momentum)
        model = self.settings = runner.model
        self.scale = model.curr_stage
        self.noises = [noise.clone() for noise in model.fixed_noises]
        self.generator.eval()
        self.generator.blocks[self.scale].train()
        with torch.no_grad():
            self.recon_below = self.below(self.noises)

    def train(self, real: Tensor) -> None:
        """Take the critic's steps, then the generator's."""
        real = real[:1]
        sigma = self.settings.noise_weights[self.scale]
        random = self.random("training noise")
        noises = [_normal(random, self.count, *fixed.shape[1:]) for fixed in self.noises]
        noise = noises[self.scale]
        random = self.random("penalty mixing")
        mixes = torch.rand(self.count, generator=random, device=random.device)
        with torch.no_grad():
            below = self.below(noises)
            fakes = self.generator.step(self.scale, below, noise, sigma)
        for fake, mix in zip(fakes.split(1), mixes.split(1), strict=True):
            penalty = gradient_penalty(
                self.judge, real, fake, mix, weight=self.settings.penalty_weight, per_pixel=True
            )
            scores = self.judge(torch.cat([real, fake])).split(1)
            _minimise(self.adam_d, wgan_critic_loss(*scores) + penalty)
        self.critic.requires_grad_(False)
        for step in range(self.settings.generator_steps):
            one = slice(step % self.count, step % self.count + 1)
            images = torch.cat([below[one], self.recon_below])
            added = torch.cat([noise[one], self.noises[self.scale]])
            fake, recon = self.generator.step(self.scale, images, added, sigma).split(1)
            error = self.settings.recon_weight * mse_loss(recon, real)
            _minimise(self.adam_g, wgan_generator_loss(self.judge(fake)) + error)
        self.critic.requires_grad_(True)

    def below(self, noises: list[Tensor]) -> Tensor:
        """Return what the scales below make of noise, enlarged."""
        weights = self.settings.noise_weights
        images = self.generator(None, noises, weights, "recon", self.scale - 1)
        enlarged: Tensor = self.generator.enlarge(images, noises[self.scale].shape[2:])
        return enlarged

    def judge(self, images: Tensor) -> Tensor:
        """Return the critic's scores."""
        scores: Tensor = self.critic(images, self.scale)
        return scores


LOOPS: Mapping[str, Callable[[Runner, Tensor, float], Loop]] = {
    "PGGAN": PGGAN,
    "StyleGAN1": StyleGAN1,
    "StyleGAN2": StyleGAN2,
    "SinGAN": SinGAN,
}
"""By the type of a spec's model."""


def _style_draws(
    loop: StyleGAN1 | StyleGAN2, purpose: str, count: int, layers: int
) -> tuple[list[Tensor], Tensor, list[Tensor]]:
    """Draw two latents, where the second takes over, and noise of every layer."""
    random, network = loop.random(purpose), loop.generator
    latents = [_normal(random, count, network.noise_size) for _ in range(2)]
    start = mixing_layers(count, layers, loop.settings.mixing_prob, random)
    sides = network.noise_sides[:layers]
    return latents, start, [_normal(random, count, 1, side, side) for side in sides]


def _normal(random: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=random, device=random.device)


def _minimise(adam: Optimizer, loss: Tensor) -> None:
    loss.backward()
    adam.step()
    adam.zero_grad()


def _adam(original: Optimizer, network: nn.Module) -> Adam:
    adam = Adam(network.parameters(), fused=True)
    adam.load_state_dict(copy.deepcopy(original.state_dict()))
    return adam
