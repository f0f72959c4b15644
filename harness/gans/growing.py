"""Progressive growing of GANs: one critic step and one generator step per batch (1710.10196).

``GrowingGAN`` is what PGGAN and StyleGAN share; what differs are the losses and what images are
made of.

Shape letters: N images, Z latent. Real images arrive as uint8 N3HW at the scale that the growth
schedule says; inside they are float32 in [-1, 1].
"""

from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from harness.gans.base import GAN
from harness.images import to_float
from harness.isolation import frozen
from harness.networks.critic_gradient import image_gradient
from harness.networks.losses import (
    drift_penalty,
    gradient_penalty,
    wgan_critic_loss,
    wgan_generator_loss,
)
from harness.networks.pggan import PGGANDiscriminator
from harness.ranks.shares import Share
from harness.records.protocols import Facts
from harness.registry import MODELS
from harness.spec.growth import GrowthSchedule, Stage


class GrowingGAN(GAN):
    """Growth, training rates and sampling of a GAN that grows scale by scale.

    Args:
        generator: network or its config, called as ``(noise, transition_weight, curr_scale)``.
        discriminator: network or its config, called as ``(images, transition_weight, curr_scale)``.
        growth: stages of growth and their batch sizes, in images.
        seed: every draw is a function of it, its purpose and the images shown.
        lr_per_scale: learning rate from a scale on.
        reset_optimizer: forget the optimizers' moments when a scale begins.
        data_preprocessor: as mmengine's BaseModel takes it.
    """

    law: ClassVar[Facts] = MappingProxyType({"latents": "standard normal"})

    def __init__(
        self,
        generator: nn.Module | dict[str, Any],
        discriminator: nn.Module | dict[str, Any],
        growth: GrowthSchedule,
        seed: int = 0,
        lr_per_scale: Mapping[int, float] | None = None,
        reset_optimizer: bool = False,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(generator, discriminator, growth, seed, data_preprocessor)
        network: Any = self.generator
        self.noise_size: int = network.noise_size
        self.lr_per_scale = dict(lr_per_scale or {})
        self.lr_schedule: dict[str, Mapping[int, float]] = {}
        """Rates by scale of single optimizers, which go before ``lr_per_scale``."""
        self.reset_optimizer = reset_optimizer
        self._scale = growth.scales[0]

    def get_extra_state(self) -> dict[str, Any]:
        """Return the counters that decide the stage."""
        return {**super().get_extra_state(), "scale": self._scale}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take over the counters of a checkpoint."""
        super().set_extra_state(state)
        self._scale = state["scale"]

    def train_step(
        self, data: Mapping[str, Any], optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        """Train the critic, then the generator, on one batch.

        Args:
            data: ``inputs``: uint8 N3HW at the current scale; ``total``, where they are this
                process's share of a batch.
            optim_wrapper: one wrapper each for ``generator`` and ``discriminator``.

        Returns:
            Scalars ``loss`` and ``loss_d`` (the critic's whole loss), ``loss_g``, ``loss_penalty``.

        Raises:
            ValueError: if the batch is not of the current scale.
        """
        stage = self.stage
        inputs = data["inputs"]
        if inputs.shape[-1] != stage.scale:
            raise ValueError(
                f"a batch of {inputs.shape[-1]} px at scale {stage.scale}: is the "
                "PGGANFetchDataHook in place?"
            )
        if stage.scale != self._scale:
            self._enter_scale(stage.scale, optim_wrapper)
        real = faded(to_float(inputs), stage.transition_weight if stage.scale > 4 else 1.0)
        share = Share.of(data)
        parts = self._train_both(real, share, stage, optim_wrapper)
        self.images_shown += share.total
        return share.totals(parts)

    def _train_both(
        self, real: Tensor, share: Share, stage: Stage, optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        losses = self._train_critic(real, share, stage, optim_wrapper["discriminator"])
        losses["loss_g"] = self._train_generator(share, stage, optim_wrapper["generator"])
        return losses

    @abstractmethod
    def _train_critic(
        self, real: Tensor, share: Share, stage: Stage, optimizer: OptimWrapper
    ) -> dict[str, Tensor]:
        """Train the critic on real images N3HW; return the share's parts of its losses by name."""

    @abstractmethod
    def _train_generator(self, share: Share, stage: Stage, optimizer: OptimWrapper) -> Tensor:
        """Train the generator through the critic's view of its images; return the loss's part."""

    def _enter_scale(self, scale: int, optim_wrapper: OptimWrapperDict) -> None:
        # Rates change by their ratio, so that what a scheduler took off stays off.
        for name, wrapper in optim_wrapper.items():
            rates = self.lr_schedule.get(name, self.lr_per_scale)
            for group in wrapper.param_groups:
                # The optimizer's own rate, of which a group may have a multiple.
                own = wrapper.optimizer.defaults["lr"] if "initial_lr" in group else group["lr"]
                old, new = (rates.get(s, own) for s in (self._scale, scale))
                group["lr"] *= new / old
            if self.reset_optimizer:
                wrapper.optimizer.state.clear()
        self._scale = scale

    def _criticise(self, images: Tensor, stage: Stage, share: Share | None = None) -> Tensor:
        return self.discriminator(
            images,
            transition_weight=stage.transition_weight,
            curr_scale=stage.scale,
            **self._told(share),
        )

    def latents(self, count: int, random: torch.Generator) -> Tensor:
        """Draw latents NZ, normally distributed."""
        return torch.randn(count, self.noise_size, generator=random, device=random.device)

    @torch.no_grad()
    def draw(
        self, network: nn.Module, latents: Tensor, sample_kwargs: Mapping[str, Any] | None = None
    ) -> Tensor:
        """Return images N3HW in [-1, 1] (not clamped) at the current stage.

        Args:
            network: the generator or a shadow of it.
            latents: NZ, normally distributed.
            sample_kwargs: further arguments of the network.
        """
        stage = self.stage
        return network(
            latents,
            transition_weight=stage.transition_weight,
            curr_scale=stage.scale,
            **(sample_kwargs or {}),
        )


@MODELS.register_module()
class ProgressiveGrowingGAN(GrowingGAN):
    """PGGAN's training step: WGAN-GP with a drift term.

    Args:
        generator: network or its config, called as ``(noise, transition_weight, curr_scale)``.
        discriminator: network or its config, called as ``(images, transition_weight, curr_scale)``.
        growth: stages of growth and their batch sizes, in images.
        seed: every draw is a function of it, its purpose and the images shown.
        penalty_weight: of the gradient penalty (arXiv 1704.00028, eq. 3).
        drift_weight: of the drift term (arXiv 1710.10196, appendix A.1).
        drift_both: drift on generated images too, as MMagic has it.
        shared_pass: train the generator on the images that the critic was trained on, made once:
            its weights are still those that made them.
        written_gradients: compute the gradient in the penalty as ``critic_gradient`` does.
        lr_per_scale: learning rate from a scale on.
        reset_optimizer: forget the optimizers' moments when a scale begins.
        data_preprocessor: as mmengine's BaseModel takes it.
    """

    def __init__(
        self,
        generator: nn.Module | dict[str, Any],
        discriminator: nn.Module | dict[str, Any],
        growth: GrowthSchedule,
        seed: int = 0,
        penalty_weight: float = 10.0,
        drift_weight: float = 0.001,
        drift_both: bool = False,
        shared_pass: bool = False,
        written_gradients: bool = False,
        lr_per_scale: Mapping[int, float] | None = None,
        reset_optimizer: bool = False,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            generator, discriminator, growth, seed, lr_per_scale, reset_optimizer, data_preprocessor
        )
        self.penalty_weight = penalty_weight
        self.drift_weight = drift_weight
        self.drift_both = drift_both
        self.shared_pass = shared_pass
        self.written_gradients = written_gradients

    def _train_both(
        self, real: Tensor, share: Share, stage: Stage, optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        if not self.shared_pass:
            return super()._train_both(real, share, stage, optim_wrapper)
        fake = self._generate(self._own_latents("critic latents", share), stage)
        critic = optim_wrapper["discriminator"]
        losses = self._critic_step(real, fake.detach(), share, stage, critic)
        losses["loss_g"] = self._generator_step(fake, share, stage, optim_wrapper["generator"])
        return losses

    def _train_critic(
        self, real: Tensor, share: Share, stage: Stage, optimizer: OptimWrapper
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self._generate(self._own_latents("critic latents", share), stage)
        return self._critic_step(real, fake, share, stage, optimizer)

    def _critic_step(
        self, real: Tensor, fake: Tensor, share: Share, stage: Stage, optimizer: OptimWrapper
    ) -> dict[str, Tensor]:
        random = self._stream("penalty mixing")
        mix = share.take(torch.rand(share.total, generator=random, device=random.device))

        def critic(images: Tensor) -> Tensor:
            return self._criticise(images, stage, share)

        scores, fake_scores = critic(real), critic(fake)
        drift = drift_penalty(
            scores, fake_scores if self.drift_both else None, weight=self.drift_weight
        )
        penalty = gradient_penalty(
            critic,
            *(real, fake, mix),
            weight=self.penalty_weight,
            gradient_of=partial(self._written, stage, share) if self.written_gradients else None,
        )
        loss = share.part(wgan_critic_loss(scores, fake_scores) + drift + penalty)
        optimizer.update_params(loss)
        loss = loss.detach()
        return {"loss": loss, "loss_d": loss, "loss_penalty": share.part(penalty.detach())}

    def _written(self, stage: Stage, share: Share, images: Tensor) -> Tensor:
        assert isinstance(self.discriminator, PGGANDiscriminator)
        return image_gradient(
            self.discriminator, images, stage.transition_weight, stage.scale, share
        )

    def _train_generator(self, share: Share, stage: Stage, optimizer: OptimWrapper) -> Tensor:
        fake = self._generate(self._own_latents("generator latents", share), stage)
        return self._generator_step(fake, share, stage, optimizer)

    def _own_latents(self, purpose: str, share: Share) -> Tensor:
        return share.take(self._latents(purpose, share.total))

    def _generator_step(
        self, fake: Tensor, share: Share, stage: Stage, optimizer: OptimWrapper
    ) -> Tensor:
        # The critic's weights take no gradient here: a third of the backward pass.
        with frozen(self.discriminator):
            loss = share.part(wgan_generator_loss(self._criticise(fake, stage, share)))
            optimizer.update_params(loss)
        return loss.detach()

    def _generate(self, latents: Tensor, stage: Stage) -> Tensor:
        return self.generator(
            latents, transition_weight=stage.transition_weight, curr_scale=stage.scale
        )


def faded(images: Tensor, weight: float) -> Tensor:
    """Blend images with themselves at half the resolution, as the networks do while they fade.

    Args:
        images: float NCHW, H and W even.
        weight: share of full resolution, in [0, 1].
    """
    if weight >= 1:
        return images
    coarse = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="nearest")
    return torch.lerp(coarse, images, weight)
