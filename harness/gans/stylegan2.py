"""StyleGAN2's training step (arXiv 1912.04958), with ADA (arXiv 2006.06676) where it is asked for.

Shape letters: N images, Z latent, D style, L layers that take a style, H pixels of a side.
"""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from harness.gans.augment import AdaptiveAugment
from harness.gans.base import GAN
from harness.images import to_float
from harness.isolation import frozen
from harness.networks.losses import (
    logistic_discriminator_loss,
    logistic_generator_loss,
    path_lengths,
    r1_penalty,
)
from harness.networks.style_inputs import LAW, latent_noise
from harness.networks.style_layers import mixing_layers
from harness.networks.stylegan2 import StyleGAN2Generator
from harness.ranks.shares import Share
from harness.registry import MODELS
from harness.spec.growth import GrowthSchedule


@MODELS.register_module()
class StyleGAN2Model(GAN):
    """Logistic loss with lazy R1 and lazy path-length regularisation, style mixing, and ADA.

    A lazy term is minimised in a step of its own every k iterations, k times as strong (section
    3.1); ``lazy_adam`` says what Adam has to know of that. Which iterations have one follows from
    the images shown, so that a resumed training has them where they were. Without laziness, R1
    is part of the discriminator's loss.

    Args:
        generator: a StyleGAN2Generator or its config.
        discriminator: network or its config, called as ``(images)``.
        growth: one stage; its batch size.
        seed: every draw is a function of it, its purpose and the images shown.
        mixing_prob: share of generated images that two latents make.
        r1_gamma: of R1 (arXiv 1801.04406); 0 for none.
        r1_interval: k of R1.
        path_weight: of path-length regularisation (section 3.2); 0 for none.
        path_interval: its k.
        path_decay: weight of the new value in the mean path length.
        path_batch_shrink: path lengths are taken of N / path_batch_shrink images.
        augment: what stands between images and the discriminator; nothing where None.
        data_preprocessor: as mmengine's BaseModel takes it.
    """

    law = LAW

    path_mean: Tensor
    last_penalty: Tensor
    last_path: Tensor

    def __init__(
        self,
        generator: nn.Module | dict[str, Any],
        discriminator: nn.Module | dict[str, Any],
        growth: GrowthSchedule,
        seed: int = 0,
        *,
        mixing_prob: float = 0.9,
        r1_gamma: float = 10.0,
        r1_interval: int = 16,
        path_weight: float = 2.0,
        path_interval: int = 4,
        path_decay: float = 0.01,
        path_batch_shrink: int = 2,
        augment: AdaptiveAugment | None = None,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(generator, discriminator, growth, seed, data_preprocessor)
        self.mixing_prob = mixing_prob
        self.r1_gamma = r1_gamma
        self.r1_interval = r1_interval
        self.path_weight = path_weight
        self.path_interval = path_interval
        self.path_decay = path_decay
        self.path_batch_shrink = path_batch_shrink
        self.augment = augment
        # The mean path length, and the latest values of terms that not every iteration has.
        for name in ("path_mean", "last_penalty", "last_path"):
            self.register_buffer(name, torch.zeros(()))

    @property
    def iteration(self) -> int:
        """Iterations done, as the images shown say."""
        return self.growth.iterations(self.images_shown)

    def train_step(
        self, data: Mapping[str, Any], optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        """Train the discriminator, then the generator, on one batch.

        Args:
            data: ``inputs``: uint8 N3HH of the generator's size; ``total``, where they are this
                process's share of a batch.
            optim_wrapper: one wrapper each for ``generator`` and ``discriminator``.

        Returns:
            Scalars ``loss`` and ``loss_d`` (the discriminator's, with R1 unless that is lazy),
            ``loss_g``; ``loss_penalty`` (R1) and ``loss_path``, the latest ones, with their
            weights but without their intervals; ``ada_p``, with ADA.

        Raises:
            ValueError: if the images are of another size.
        """
        inputs, iteration = data["inputs"], self.iteration
        if inputs.shape[-1] != self.next_scale:
            raise ValueError(f"a batch of {inputs.shape[-1]} px: give {self.next_scale} px")
        real, share = to_float(inputs), Share.of(data)
        loss_d = self._train_discriminator(real, share, iteration, optim_wrapper["discriminator"])
        loss_g = self._train_generator(share, iteration, optim_wrapper["generator"])
        losses = share.totals({"loss": loss_d, "loss_d": loss_d, "loss_g": loss_g})
        losses["loss_penalty"] = self.last_penalty.clone()
        if self.path_weight:
            losses["loss_path"] = self.last_path.clone()
        if self.augment is not None:
            losses["ada_p"] = self.last_path.new_tensor(self.augment.p)
            self.augment.end_of_iteration(iteration)
        self.images_shown += share.total
        return losses

    def _train_discriminator(
        self, real: Tensor, share: Share, iteration: int, optimizer: OptimWrapper
    ) -> Tensor:
        with torch.no_grad():
            fake, _ = self._generate(share, "critic latents")
        scores = self._criticise(real, share, "real augmentation")
        fake_scores = self._criticise(fake, share, "fake augmentation")
        if self.augment is not None:
            self.augment.observe(scores, share)
        loss = share.part(logistic_discriminator_loss(scores, fake_scores))
        due = self.r1_gamma > 0 and iteration % self.r1_interval == 0
        if due and self.r1_interval == 1:
            loss = loss + self._penalty(real, share)
        optimizer.update_params(loss)
        if due and self.r1_interval > 1:
            optimizer.update_params(self._penalty(real, share) * self.r1_interval)
        return loss.detach()

    def _penalty(self, real: Tensor, share: Share) -> Tensor:
        def critic(images: Tensor) -> Tensor:
            return self._criticise(images, share, "penalty augmentation")

        penalty = share.part(r1_penalty(critic, real, gamma=self.r1_gamma))
        self.last_penalty.copy_(share.summed(penalty.detach()))
        return penalty

    def _train_generator(self, share: Share, iteration: int, optimizer: OptimWrapper) -> Tensor:
        # The discriminator's weights take no gradient here: a third of the backward pass.
        with frozen(self.discriminator):
            fake, _ = self._generate(share, "generator latents")
            scores = self._criticise(fake, share, "generator augmentation")
            loss = share.part(logistic_generator_loss(scores))
            optimizer.update_params(loss)
        if self.path_weight and iteration % self.path_interval == 0:
            count = max(1, share.total // self.path_batch_shrink)
            paths = self._path_term(share.resized(count))
            optimizer.update_params(paths * self.path_interval)
        return loss.detach()

    def _path_term(self, share: Share) -> Tensor:
        images, styles = self._generate(share, "path latents")
        random = self._stream("path directions")
        shape = (share.total, *images.shape[1:])
        direction = torch.randn(shape, generator=random, device=random.device)
        lengths = path_lengths(images, styles, share.take(direction))
        self.path_mean.lerp_(share.gather(lengths.detach()).mean(), self.path_decay)
        term = share.part(self.path_weight * (lengths - self.path_mean).square().mean())
        self.last_path.copy_(share.summed(term.detach()))
        return term

    def _generate(self, share: Share, purpose: str) -> tuple[Tensor, Tensor]:
        """Return the share's new images N3HH and the styles NLD that made them."""
        network: StyleGAN2Generator = self._network
        random, count = self._stream(purpose), share.total
        layers = network.num_latents
        latents = [share.take(self.latents(count, random)) for _ in range(2)]
        start = share.take(mixing_layers(count, layers, self.mixing_prob, random))
        noise = [
            share.take(torch.randn(count, 1, side, side, generator=random, device=random.device))
            for side in network.noise_sides
        ]
        styles = network.latents(latents, start)
        return network.synthesize(styles, noise), styles

    @property
    def _network(self) -> StyleGAN2Generator:
        network: Any = self.generator
        return network

    def _criticise(self, images: Tensor, share: Share, purpose: str) -> Tensor:
        if self.augment is not None:
            images = self.augment(images, self._stream(purpose), share)
        scores: Tensor = self.discriminator(images, **self._told(share))
        return scores

    def latents(self, count: int, random: torch.Generator) -> Tensor:
        """Draw NZ, normally distributed."""
        size = self._network.noise_size
        return torch.randn(count, size, generator=random, device=random.device)

    @torch.no_grad()
    def draw(
        self, network: nn.Module, latents: Tensor, sample_kwargs: Mapping[str, Any] | None = None
    ) -> Tensor:
        """Return images N3HH in [-1, 1] (not clamped), each a function of its latent.

        Args:
            network: the generator or a shadow of it.
            latents: NZ.
            sample_kwargs: further arguments of the network, such as ``truncation``. By default
                an image's noise is drawn from a stream that its latent decides, so that networks
                are compared on the same noise; with ``randomize_noise: False`` it is the
                registered one.
        """
        settings = dict(sample_kwargs or {})
        if settings.get("randomize_noise", True) and settings.get("injected_noise") is None:
            settings["injected_noise"] = latent_noise(latents, self._network.noise_sides)
        images: Tensor = network(latents, **settings)
        return images


def lazy_adam(lr: float, betas: tuple[float, float], interval: int) -> dict[str, Any]:
    """Return Adam's settings for a network that has a lazy term.

    With a step more every k iterations, rate and betas are those of c = k / (k + 1) of a step:
    c * lr, and betas to the power of c (1912.04958, appendix B).

    Args:
        interval: k; 0 for no lazy term, which changes nothing.
    """
    share = interval / (interval + 1) if interval else 1.0
    return {"lr": lr * share, "betas": (betas[0] ** share, betas[1] ** share)}
