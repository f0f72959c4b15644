"""StyleGAN's training step (arXiv 1812.04948), on progressive growth.

Shape letters: N images, Z latent, D style, L layers that take a style, H W pixels.
"""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from harness.gans.growing import GrowingGAN
from harness.isolation import frozen
from harness.networks.losses import (
    logistic_discriminator_loss,
    logistic_generator_loss,
    r1_penalty,
)
from harness.networks.style_inputs import LAW, latent_noise
from harness.networks.style_layers import mixing_layers
from harness.networks.stylegan1 import StyleGAN1Generator
from harness.ranks.shares import Share
from harness.registry import MODELS
from harness.spec.growth import GrowthSchedule, Stage


@MODELS.register_module()
class StyleGAN1Model(GrowingGAN):
    """Logistic loss for both networks, R1, style mixing, and the mean style that follows.

    Args:
        generator: a StyleGAN1Generator or its config.
        discriminator: network or its config, called as ``(images, transition_weight, curr_scale)``.
        growth: stages of growth and their batch sizes, in images.
        seed: every draw is a function of it, its purpose and the images shown.
        mixing_prob: share of generated images that two latents make (section 3.1).
        r1_gamma: of R1 (arXiv 1801.04406); 0 for none.
        r1_interval: iterations between two penalties, each as much stronger.
        lr_per_scale: learning rate from a scale on.
        reset_optimizer: forget the optimizers' moments when a scale begins.
        data_preprocessor: as mmengine's BaseModel takes it.
    """

    law = LAW

    def __init__(
        self,
        generator: nn.Module | dict[str, Any],
        discriminator: nn.Module | dict[str, Any],
        growth: GrowthSchedule,
        seed: int = 0,
        *,
        mixing_prob: float = 0.9,
        r1_gamma: float = 10.0,
        r1_interval: int = 1,
        lr_per_scale: Mapping[int, float] | None = None,
        reset_optimizer: bool = False,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            generator, discriminator, growth, seed, lr_per_scale, reset_optimizer, data_preprocessor
        )
        self.mixing_prob = mixing_prob
        self.r1_gamma = r1_gamma
        self.r1_interval = r1_interval

    def _train_critic(
        self, real: Tensor, share: Share, stage: Stage, optimizer: OptimWrapper
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            fake, _ = self._generate("critic latents", share, stage)

        def critic(images: Tensor) -> Tensor:
            return self._criticise(images, stage, share)

        loss = share.part(logistic_discriminator_loss(critic(real), critic(fake)))
        losses = {}
        if self.r1_gamma and self.growth.iterations(self.images_shown) % self.r1_interval == 0:
            penalty = share.part(r1_penalty(critic, real, gamma=self.r1_gamma))
            loss = loss + penalty * self.r1_interval
            losses["loss_penalty"] = penalty.detach()
        optimizer.update_params(loss)
        return {"loss": loss.detach(), "loss_d": loss.detach(), **losses}

    def _train_generator(self, share: Share, stage: Stage, optimizer: OptimWrapper) -> Tensor:
        # The discriminator's weights take no gradient here: a third of the backward pass.
        with frozen(self.discriminator):
            fake, styles = self._generate("generator latents", share, stage)
            loss = share.part(logistic_generator_loss(self._criticise(fake, stage, share)))
            self._network.follow_mean(styles[:, 0], share)
            optimizer.update_params(loss)
        return loss.detach()

    def _generate(self, purpose: str, share: Share, stage: Stage) -> tuple[Tensor, Tensor]:
        """Return the share's new images N3HW and the styles NLD that made them."""
        network, random = self._network, self._stream(purpose)
        layers, count = network.layers(stage.scale), share.total
        latents = [share.take(self.latents(count, random)) for _ in range(2)]
        start = share.take(mixing_layers(count, layers, self.mixing_prob, random))
        noise = [
            share.take(torch.randn(count, 1, side, side, generator=random, device=random.device))
            for side in network.noise_sides[:layers]
        ]
        styles = network.latents(latents, start, layers)
        return network.synthesize(styles, noise, stage.transition_weight), styles

    @property
    def _network(self) -> StyleGAN1Generator:
        network: Any = self.generator
        return network

    @torch.no_grad()
    def draw(
        self, network: nn.Module, latents: Tensor, sample_kwargs: Mapping[str, Any] | None = None
    ) -> Tensor:
        """Return images N3HW in [-1, 1] (not clamped) at the current stage.

        Args:
            network: the generator or a shadow of it.
            latents: NZ, normally distributed.
            sample_kwargs: further arguments of the network, such as ``truncation``. By default
                an image's noise is drawn from a stream that its latent decides, so that networks
                are compared on the same noise; with ``randomize_noise: False`` it is the
                registered one.
        """
        settings = dict(sample_kwargs or {})
        if settings.get("randomize_noise", True) and settings.get("injected_noise") is None:
            sides = self._network.noise_sides[: self._network.layers(self.stage.scale)]
            settings["injected_noise"] = latent_noise(latents, sides)
        return super().draw(network, latents, settings)
