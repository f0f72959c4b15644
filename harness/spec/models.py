"""The models that a spec may train, with their stages of growth."""

from typing import Annotated, Literal

from pydantic import Field

from harness.spec.growth import GrowthSchedule
from harness.spec.ranges import (
    Count,
    Fraction,
    Images,
    Iterations,
    Kimg,
    KimgOrZero,
    Pixels,
    Positive,
    Scale,
    Share,
)
from harness.spec.sections import Section

BatchSize = int | dict[int, int]
"""Images in a batch, or those at each scale."""


class PGGAN(Section):
    """Progressive GAN (arXiv 1710.10196)."""

    type: Literal["PGGAN"]
    """Which of the models this is."""
    noise_size: Count
    """Z, the entries of a latent."""
    out_scale: Scale
    """Side of the final images, a power of two."""
    base_channels: Count = 8192
    """Feature maps x half the side at each scale, up to ``max_channels``."""
    max_channels: Count = 512
    """Feature maps at most."""
    fused: bool = True
    """Fused up- and down-sampling convolutions."""
    mbstd_group: Images | None = 4
    """Images that the critic's minibatch stddev is taken over; null: the whole batch."""
    paper_form: bool = True
    """The paper's networks; false gives MMagic's, which its checkpoints fit."""
    nkimgs_per_scale: Annotated[dict[Scale, Kimg], Field(min_length=1)]
    """Thousands of images shown at each resolution; the last goes on to the end of training."""
    transition_kimgs: KimgOrZero
    """Thousands of images over which a new resolution is faded in."""

    def growth(self, batch_size: BatchSize) -> GrowthSchedule:
        """Return the stages that these settings describe."""
        return GrowthSchedule.from_kimgs(self.nkimgs_per_scale, self.transition_kimgs, batch_size)


class StyleGAN1(Section):
    """StyleGAN (arXiv 1812.04948)."""

    type: Literal["StyleGAN1"]
    """Which of the models this is."""
    noise_size: Count = 512
    """Z, which is also the number of a style code's entries."""
    out_scale: Scale
    """Side of the final images, a power of two."""
    num_mlps: Count = 8
    """Layers of the mapping network."""
    base_channels: Count = 8192
    """Feature maps x half the side at each scale, up to ``max_channels``."""
    max_channels: Count = 512
    """Feature maps at most."""
    mbstd_group: Images | None = 4
    """Images that the discriminator's minibatch stddev is taken over; null: the whole batch."""
    mapping_lr: Positive = 0.01
    """Learning rate of the mapping network, as a share of the others'."""
    mixing_prob: Share = 0.9
    """Share of generated images that two latents make together (section 3.1)."""
    paper_form: bool = True
    """The paper's networks; false gives MMagic's, which its checkpoints fit."""
    nkimgs_per_scale: Annotated[dict[Scale, Kimg], Field(min_length=1)]
    """Thousands of images shown at each resolution; the last goes on to the end of training."""
    transition_kimgs: KimgOrZero
    """Thousands of images over which a new resolution is faded in."""

    def growth(self, batch_size: BatchSize) -> GrowthSchedule:
        """Return the stages that these settings describe."""
        return GrowthSchedule.from_kimgs(self.nkimgs_per_scale, self.transition_kimgs, batch_size)


class StyleGAN2(Section):
    """StyleGAN2 (arXiv 1912.04958)."""

    type: Literal["StyleGAN2"]
    """Which of the models this is."""
    noise_size: Count = 512
    """Z, which is also the number of a style code's entries."""
    out_scale: Scale
    """Side of the final images, a power of two."""
    num_mlps: Count = 8
    """Layers of the mapping network."""
    base_channels: Count = 16384
    """Feature maps x half the side at each scale, up to ``max_channels``."""
    max_channels: Count = 512
    """Feature maps at most."""
    mbstd_group: Images | None = 4
    """Images that the discriminator's minibatch stddev is taken over; null: the whole batch."""
    mapping_lr: Positive = 0.01
    """Learning rate of the mapping network, as a share of the others'."""
    mixing_prob: Share = 0.9
    """Share of generated images that two latents make together."""
    paper_form: bool = True
    """The paper's networks; false gives MMagic's, which its checkpoints fit."""

    def growth(self, batch_size: BatchSize) -> GrowthSchedule:
        """Return the one stage that there is."""
        return GrowthSchedule.from_kimgs({self.out_scale: 1}, 0, batch_size)


class SinGAN(Section):
    """SinGAN (arXiv 1905.01164)."""

    type: Literal["SinGAN"]
    """Which of the models this is."""
    base_channels: Count = 32
    """Feature maps at the coarsest scales; they double every four scales."""
    min_feat_channels: Count = 32
    """Feature maps of the inner layers at least."""
    min_size: Pixels = 25
    """About the shorter side of the coarsest scale, in px."""
    max_size: Pixels = 250
    """Longer side of the finest scale, in px; a smaller image keeps its size."""
    scale_factor_init: Fraction = 0.75
    """Share of a scale's sides that the next coarser one has, about."""
    iters_per_scale: Iterations = 2000
    """How long each scale is trained."""
    discriminator_steps: Count = 3
    """Critic steps in an iteration; the image is shown once for each."""
    generator_steps: Count = 3
    """Generator steps in an iteration."""
    noise_weight_init: Positive = 0.1
    """Noise amplitude per error of the reconstruction from the coarser scales (section 2.1)."""
    lr_milestone: Share = 0.8
    """Share of a scale's iterations after which its learning rate falls to a tenth."""
    paper_form: bool = True
    """The paper's pyramid and networks; false gives MMagic's, which its checkpoints fit."""

    @property
    def out_scale(self) -> int:
        """Longer side of the largest images, in px, unless the real image is smaller."""
        return self.max_size


Model = Annotated[PGGAN | StyleGAN1 | StyleGAN2 | SinGAN, Field(discriminator="type")]
