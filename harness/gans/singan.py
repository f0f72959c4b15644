"""SinGAN: generators of one image's scales, trained one after another (arXiv 1905.01164).

Shape letters: N images, H W pixels, S scales. Scales are counted from 0, the coarsest.
"""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn
from torch.nn import functional

from harness.gans.base import GAN
from harness.gans.pyramid_draw import LAW, Drawing, drawn
from harness.images import to_float
from harness.isolation import evaluating, frozen
from harness.networks.losses import gradient_penalty, wgan_critic_loss, wgan_generator_loss
from harness.networks.singan import SinGANMultiScaleDiscriminator, SinGANMultiScaleGenerator
from harness.registry import MODELS
from harness.spec.growth import GrowthSchedule


@MODELS.register_module()
class SinGAN(GAN):
    """SinGAN's training step, scale by scale, and drawing.

    A scale begins with the weights of the one below, where they are of the same shape. The scales
    below are frozen, in evaluation mode, and computed once an iteration. Images are drawn in
    evaluation mode, with the statistics that batch norm kept in training: that is how finer scales
    see coarser ones while they train (as in the authors' code), and a batch's images do not depend
    on each other.

    Args:
        generator: SinGANMultiScaleGenerator or its config.
        discriminator: SinGANMultiScaleDiscriminator or its config.
        growth: a stage for each scale, named by its longer side in px.
        seed: every draw is a function of it, its purpose and the images shown.
        generator_steps: steps of the generator in an iteration; the critic has as many as a batch
            has images.
        noise_weight_init: noise amplitude by the error of what the coarser scales reconstruct
            (section 2.1).
        penalty_weight: of the gradient penalty (arXiv 1704.00028, eq. 3), per pixel.
        recon_weight: of the squared error of the reconstruction (eq. 4 and 6).
        lr_milestone: share of a scale's images after which its learning rate falls to a tenth.
        data_preprocessor: as mmengine's BaseModel takes it.

    Attributes:
        curr_stage: the scale in training, or trained last; -1 before the first.
        fixed_noises: z* of every scale begun: noise 11HW at the coarsest, else zeros 13HW.
        noise_weights: sigma of every scale begun.
    """

    law = LAW
    generator: SinGANMultiScaleGenerator
    discriminator: SinGANMultiScaleDiscriminator

    def __init__(
        self,
        generator: nn.Module | dict[str, Any],
        discriminator: nn.Module | dict[str, Any],
        growth: GrowthSchedule,
        seed: int = 0,
        generator_steps: int = 3,
        noise_weight_init: float = 0.1,
        penalty_weight: float = 0.1,
        recon_weight: float = 10.0,
        lr_milestone: float = 0.8,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(generator, discriminator, growth, seed, data_preprocessor)
        self.generator_steps = generator_steps
        self.noise_weight_init = noise_weight_init
        self.penalty_weight = penalty_weight
        self.recon_weight = recon_weight
        self.lr_milestone = lr_milestone
        self.curr_stage = -1
        self.fixed_noises: list[Tensor] = []
        self.noise_weights: list[float] = []
        self.renewed: Mapping[str, tuple[str, ...]] = {}
        """Entries that the last iteration began with anew, as prefixes by network."""
        self._recon_below: Tensor | None = None

    def get_extra_state(self) -> dict[str, Any]:
        """Return counters, noises and amplitudes."""
        return {
            **super().get_extra_state(),
            "curr_stage": self.curr_stage,
            "fixed_noises": self.fixed_noises,
            "noise_weights": self.noise_weights,
        }

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take over those of a checkpoint."""
        super().set_extra_state(state)
        self.curr_stage = state["curr_stage"]
        self.fixed_noises = [noise.to(self._device) for noise in state["fixed_noises"]]
        self.noise_weights = list(state["noise_weights"])
        self._recon_below = None

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """H and W in px of every scale begun."""
        return tuple((noise.shape[-2], noise.shape[-1]) for noise in self.fixed_noises)

    def train_step(
        self, data: Mapping[str, Tensor], optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        """Train the critic and the generator of the current scale, some steps each.

        Args:
            data: ``inputs``: uint8 N3HW, the image at the current scale, N times for N steps of
                the critic.
            optim_wrapper: one wrapper each for ``generator`` and ``discriminator``, or for each
                scale of them, as SinGANOptimWrapperConstructor names them (``generator_0``).

        Returns:
            Scalars of the last steps: ``loss`` and ``loss_d`` (the critic's whole loss),
            ``loss_penalty``, ``loss_g`` (the generator's whole loss), ``loss_recon`` (the
            reconstruction's mean squared error, without its weight).

        Raises:
            ValueError: if the batch is not of the current scale.
        """
        inputs, stage = data["inputs"], self.stage
        if max(inputs.shape[-2:]) != stage.scale:
            raise ValueError(f"a batch {tuple(inputs.shape)} at scale {stage.scale} px")
        real = to_float(inputs[:1])
        scale = self.growth.scales.index(stage.scale)
        self.renewed = {}
        anew = scale != self.curr_stage
        self._set_modes(scale, anew)
        if anew:
            self._begin(scale, real)
        self._set_rates(len(inputs), optim_wrapper)
        drawn = self._drawn_below(scale, len(inputs))
        losses = self._train_critic(scale, real, *drawn, _of(optim_wrapper, "discriminator", scale))
        losses |= self._train_generator(scale, real, *drawn, _of(optim_wrapper, "generator", scale))
        self.images_shown += len(inputs)
        return losses

    def _set_modes(self, scale: int, anew: bool) -> None:
        """Have the scale in training, and those below in evaluation."""
        for network in (self.generator, self.discriminator):
            # All scales are walked only where one begins, or where somebody switched them.
            if anew or network.training:
                network.eval()
            network.blocks[scale].train()

    def _begin(self, scale: int, real: Tensor) -> None:
        """Hand weights on, and find the noise of a scale (section 2.1 and equation 5)."""
        assert scale == self.curr_stage + 1, "a scale was left out"
        if scale:
            for network in (self.generator, self.discriminator):
                _hand_on(network.blocks[scale - 1], network.blocks[scale])
            prefixes = (f"blocks.{scale}.",)
            self.renewed = {"generator": prefixes, "discriminator": prefixes}
            noise, weight = torch.zeros_like(real), 0.0
        else:
            random = self._stream("fixed noise")
            noise = torch.randn((1, 1, *real.shape[2:]), generator=random, device=random.device)
            weight = 1.0
        self.fixed_noises = [*self.fixed_noises, noise]
        self.noise_weights = [*self.noise_weights, weight]
        self.curr_stage = scale
        self._recon_below = None
        if scale:
            error = functional.mse_loss(self._reconstructed_below(scale), real).sqrt()
            self.noise_weights[-1] = self.noise_weight_init * float(error)

    def _reconstructed_below(self, scale: int) -> Tensor:
        """Return the reconstruction of the coarser scales 13HW, enlarged; it does not change."""
        if self._recon_below is None:
            self._recon_below = self._enlarged_below(scale, self.fixed_noises)
        return self._recon_below

    def _enlarged_below(self, scale: int, noises: list[Tensor]) -> Tensor:
        noise = noises[scale]
        if scale == 0:
            return noise.new_zeros(len(noise), self.generator.in_channels, *noise.shape[2:])
        with torch.no_grad():
            image = self.generator(None, noises, self.noise_weights, "recon", scale - 1)
            return self.generator.enlarge(image, noise.shape[2:])

    def _drawn_below(self, scale: int, count: int) -> tuple[Tensor, Tensor]:
        """Return N random images of the coarser scales, enlarged, and the current scale's noise."""
        random = self._stream("training noise")
        noises = [
            torch.randn((count, *fixed.shape[1:]), generator=random, device=random.device)
            for fixed in self.fixed_noises[: scale + 1]
        ]
        return self._enlarged_below(scale, noises), noises[scale]

    def _train_critic(
        self, scale: int, real: Tensor, below: Tensor, noise: Tensor, optimizer: OptimWrapper
    ) -> dict[str, Tensor]:
        random = self._stream("penalty mixing")
        mixes = torch.rand(len(below), generator=random, device=random.device)

        def critic(images: Tensor) -> Tensor:
            return self.discriminator(images, scale)

        with torch.no_grad():  # the generator stays as it is meanwhile: one pass for all steps
            fakes = self.generator.step(scale, below, noise, self.noise_weights[scale])
        for fake, mix in zip(fakes.split(1), mixes.split(1), strict=True):
            penalty = gradient_penalty(
                critic, real, fake, mix, weight=self.penalty_weight, per_pixel=True
            )
            loss = wgan_critic_loss(*critic(torch.cat([real, fake])).split(1)) + penalty
            optimizer.update_params(loss)
        loss = loss.detach()
        return {"loss": loss, "loss_d": loss, "loss_penalty": penalty.detach()}

    def _train_generator(
        self, scale: int, real: Tensor, below: Tensor, noise: Tensor, optimizer: OptimWrapper
    ) -> dict[str, Tensor]:
        fixed = self.fixed_noises[scale]
        recon_below = self._reconstructed_below(scale)
        # The critic's weights take no gradient here: a third of the backward pass.
        with frozen(self.discriminator.blocks[scale]):
            for step in range(self.generator_steps):
                one = slice(step % len(below), step % len(below) + 1)
                images = self.generator.step(
                    scale,
                    torch.cat([below[one], recon_below]),
                    torch.cat([noise[one], fixed]),
                    self.noise_weights[scale],
                )
                fake, recon = images.split(1)
                error = functional.mse_loss(recon, real)
                score_loss = wgan_generator_loss(self.discriminator(fake, scale))
                loss = score_loss + self.recon_weight * error
                optimizer.update_params(loss)
        return {"loss_g": loss.detach(), "loss_recon": error.detach()}

    def _set_rates(self, batch: int, optim_wrapper: OptimWrapperDict) -> None:
        # Rates change by their ratio, so that what a scheduler took off stays off.
        ratio = self._rate(self.images_shown) / self._rate(self.images_shown - batch)
        for _, wrapper in optim_wrapper.items():
            for group in wrapper.param_groups:
                group["lr"] *= ratio

    def _rate(self, images: int) -> float:
        """Return the share of the learning rate that a batch after ``images`` images has."""
        lengths = self.growth.images
        ends = [*accumulate(lengths)]
        index = min(bisect_right(ends, max(images, 0)), len(ends) - 1)
        into = images - (ends[index] - lengths[index])
        return 0.1 if into >= round(self.lr_milestone * lengths[index]) else 1.0

    def latents(self, count: int, random: torch.Generator) -> Tensor:
        """Draw int64 seeds (N,), each of one image's noise maps, on the generator's device."""
        return torch.randint(2**62, (count,), generator=random, device=random.device)

    def draw(
        self, network: nn.Module, latents: Tensor, sample_kwargs: Mapping[str, Any] | None = None
    ) -> Tensor:
        """Return images N3HW in [-1, 1] (not clamped) of the scale begun last.

        Args:
            network: the generator or a shadow of it.
            latents: int64 (N,); an image's noise is a function of its own seed alone.
            sample_kwargs: the fields of ``harness.gans.pyramid_draw.Drawing``.

        Raises:
            SpecError: a field is not one of these, or is not possible.
            DataError: no scale has begun training.
        """
        assert isinstance(network, SinGANMultiScaleGenerator)
        noises = [noise.to(self._device) for noise in self.fixed_noises]
        drawing = Drawing.of(sample_kwargs or {})
        with evaluating(network):
            return drawn(network, latents, noises, self.noise_weights, drawing)

    def forward(
        self, inputs: Mapping[str, Any], data_samples: Any = None, mode: str | None = None
    ) -> dict[str, Tensor]:
        """Draw images; besides what ``GAN.forward`` takes, ``mode``: ``rand`` or ``recon``."""
        settings = dict(inputs.get("sample_kwargs") or {})
        settings |= {key: inputs[key] for key in ("mode",) if key in inputs}
        return super().forward({**inputs, "sample_kwargs": settings}, data_samples, mode)

    @property
    def _device(self) -> torch.device:
        return next(self.generator.parameters()).device


def _of(wrappers: OptimWrapperDict, network: str, scale: int) -> OptimWrapper:
    own = f"{network}_{scale}"
    return wrappers[own if own in wrappers.keys() else network]  # noqa: SIM118  (no container)


def _hand_on(coarser: nn.Module, finer: nn.Module) -> None:
    """Copy a block's weights to the next, unless that is wider."""
    state, wanted = coarser.state_dict(), finer.state_dict()
    if all(state[name].shape == value.shape for name, value in wanted.items()):
        finer.load_state_dict(state)
