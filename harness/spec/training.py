"""How a spec trains: losses, optimizer, augmentation, rules for the learning rate."""

from typing import Annotated, Literal

from pydantic import Field

from harness.spec.ranges import (
    Beta,
    Count,
    Fraction,
    Kimg,
    Natural,
    NotNegative,
    Positive,
    Scale,
    Share,
)
from harness.spec.sections import Section, Sparse


class Adam(Section):
    """Adam, with the paper's rates as defaults."""

    type: Literal["Adam"] = "Adam"
    lr: Positive = 0.001
    betas: tuple[Beta, Beta] = (0.0, 0.99)
    eps: Positive = 1e-8


class WGANGP(Section):
    """WGAN-GP with drift (arXiv 1704.00028; arXiv 1710.10196, appendix A.1)."""

    type: Literal["wgan-gp"] = "wgan-gp"
    penalty_weight: NotNegative = 10.0
    drift_weight: NotNegative = 0.001
    drift: Literal["real", "both"] = "real"
    """``real``: the paper's, on real images; ``both``: MMagic's, half of it on each kind."""


class Logistic(Section):
    """Non-saturating logistic loss with R1 (arXiv 1801.04406) and path lengths (1912.04958)."""

    type: Literal["logistic"] = "logistic"
    r1_gamma: NotNegative = 10.0
    """gamma of gamma / 2 * |gradient|^2."""
    r1_interval: Count = 1
    """Iterations between two penalties, each as much stronger; 16 is StyleGAN2's lazy one."""
    path_weight: NotNegative = 0.0
    """Weight of path-length regularisation; 2 in StyleGAN2."""
    path_interval: Count = 4
    path_decay: Fraction = 0.01
    """Weight of the new value in the mean path length."""
    path_batch_shrink: Count = 2
    """Path lengths are taken of this share of a batch's images."""


class SinGANLoss(Section):
    """WGAN-GP and reconstruction (arXiv 1905.01164, equation 4)."""

    type: Literal["singan"] = "singan"
    penalty_weight: NotNegative = 0.1
    recon_weight: NotNegative = 10.0


Loss = Annotated[WGANGP | Logistic | SinGANLoss, Field(discriminator="type")]
LOSSES = {
    "PGGAN": "wgan-gp",
    "StyleGAN1": "logistic",
    "StyleGAN2": "logistic",
    "SinGAN": "singan",
}
"""The loss that each model is trained with."""


class Ada(Section):
    """Adaptive discriminator augmentation (arXiv 2006.06676)."""

    type: Literal["ada"] = "ada"
    target: Share = 0.6
    """r_t that p is steered to: the mean sign of real images' scores (equation 1)."""
    adjust_kimg: Kimg = 500
    """Thousands of images in which p may go from 0 to 1."""
    interval: Count = 4
    """Iterations between two adjustments."""
    initial_p: Share = 0.0
    fixed: bool = False
    """Keep p as it is."""


class Fast(Section):
    """Ways to train PGGAN faster; each changes a run's bits, so none is on by default."""

    channels_last: bool = False
    """Keep each pixel's features side by side, as convolutions on a CPU and tensor cores read."""
    shared_pass: bool = False
    """Let the generator learn from the images that the critic has just seen: one pass less."""
    written_gradients: bool = False
    """Compute pixel norm's gradient and the penalty's in closed form, not as autograd does."""


class Train(Sparse):
    """How the networks are trained."""

    kimg: Kimg | None = None
    """Thousands of real images shown in the whole run; SinGAN's follow from its scales."""
    batch_size: Count | Annotated[dict[Scale, Count], Field(min_length=1)] | None = None
    """Images in a batch, at each scale; scales left out take the next smaller one's."""
    optimizer: Adam = Adam()
    lr_per_scale: dict[Scale, Positive] = Field(default={})
    """Learning rate from a scale on; scales left out keep ``optimizer.lr``."""
    reset_optimizer_per_scale: bool = False
    loss: Loss = WGANGP()
    """By default the model's own."""
    augment: Ada | None = None
    fast: Fast | None = None
    log_every_kimg: Kimg = 1.0


class ReduceLRScheduler(Section):
    """ReduceLR's own settings."""

    type: Literal["ReduceLR"] = "ReduceLR"
    mode: Literal["min", "max"] = "min"
    factor: Fraction = 0.1
    patience: Natural = 10
    threshold: NotNegative = 1e-4
    threshold_mode: Literal["rel", "abs"] = "rel"
    cooldown: Natural = 0
    min_lr: NotNegative = 0.0
    eps: NotNegative = 1e-8


class ReduceLR(Section):
    """A rule that lowers the learning rate when a metric stops improving."""

    val_metric: str
    """``METRIC/ARM``, such as ``fid[digits-cnn]/raw``."""
    scheduler: ReduceLRScheduler
    interval: Count = 1
    """Evaluations between two looks, which take the metric's mean over them."""
