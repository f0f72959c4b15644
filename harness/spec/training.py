"""How a spec trains: losses, optimizer, augmentation, rules for the learning rate."""

from typing import Annotated, Literal

from pydantic import Field

from harness.spec.ranges import (
    Beta,
    Count,
    Fraction,
    Images,
    Iterations,
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
    """The one optimizer there is."""
    lr: Positive = 0.001
    """Learning rate of every network."""
    betas: tuple[Beta, Beta] = (0.0, 0.99)
    """Decays of the means of gradients and of their squares."""
    eps: Positive = 1e-8
    """What is added to the root in the denominator."""


class WGANGP(Section):
    """WGAN-GP with drift (arXiv 1704.00028; arXiv 1710.10196, appendix A.1)."""

    type: Literal["wgan-gp"] = "wgan-gp"
    """PGGAN's."""
    penalty_weight: NotNegative = 10.0
    """Weight of (|gradient| - 1)^2 between real and generated images."""
    drift_weight: NotNegative = 0.001
    """Weight of the critic's squared score."""
    drift: Literal["real", "both"] = "real"
    """``real``: the paper's, on real images; ``both``: MMagic's, half of it on each kind."""


class Logistic(Section):
    """Non-saturating logistic loss with R1 (arXiv 1801.04406) and path lengths (1912.04958)."""

    type: Literal["logistic"] = "logistic"
    """StyleGAN's and StyleGAN2's."""
    r1_gamma: NotNegative = 10.0
    """gamma of gamma / 2 * |gradient|^2."""
    r1_interval: Iterations = 1
    """Iterations between two penalties, each as much stronger; 16 is StyleGAN2's lazy one."""
    path_weight: NotNegative = 0.0
    """Weight of path-length regularisation; 2 in StyleGAN2."""
    path_interval: Iterations = 4
    """Iterations between two of its steps, each as much stronger."""
    path_decay: Fraction = 0.01
    """Weight of the new value in the mean path length."""
    path_batch_shrink: Count = 2
    """Path lengths are taken of a batch's images over this number."""


class SinGANLoss(Section):
    """WGAN-GP and reconstruction (arXiv 1905.01164, equation 4)."""

    type: Literal["singan"] = "singan"
    """SinGAN's."""
    penalty_weight: NotNegative = 0.1
    """Weight of (|gradient| - 1)^2 between real and generated images."""
    recon_weight: NotNegative = 10.0
    """Weight of the squared error of the reconstruction."""


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
    """The one augmentation there is."""
    target: Share = 0.6
    """r_t that p is steered to: the mean sign of real images' scores (equation 1)."""
    adjust_kimg: Kimg = 500
    """Thousands of images in which p may go from 0 to 1."""
    interval: Iterations = 4
    """Iterations between two adjustments."""
    initial_p: Share = 0.0
    """p at the start."""
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
    batch_size: Images | Annotated[dict[Scale, Images], Field(min_length=1)] | None = None
    """Images in a batch, at each scale; scales left out take the next smaller one's."""
    optimizer: Adam = Adam()
    """Of every network; SinGAN's ``lr_milestone`` lowers its rate."""
    lr_per_scale: dict[Scale, Positive] = Field(default={})
    """Learning rate from a scale on; scales left out keep ``optimizer.lr``."""
    reset_optimizer_per_scale: bool = False
    """Forget Adam's means where a new scale begins."""
    loss: Loss = WGANGP()
    """By default the model's own."""
    augment: Ada | None = None
    """Augmentation of what StyleGAN2's discriminator sees; null: none."""
    fast: Fast | None = None
    """PGGAN's faster paths; null: none of them."""
    log_every_kimg: Kimg = 1.0
    """Thousands of images between two rows of losses and rates."""


class ReduceLRScheduler(Section):
    """ReduceLR's own settings."""

    type: Literal["ReduceLR"] = "ReduceLR"
    """The one scheduler there is."""
    mode: Literal["min", "max"] = "min"
    """Whether lower or higher is better."""
    factor: Fraction = 0.1
    """What the rate is multiplied by."""
    patience: Natural = 10
    """Looks without improvement that are put up with."""
    threshold: NotNegative = 1e-4
    """By how much a value has to be better to count."""
    threshold_mode: Literal["rel", "abs"] = "rel"
    """Whether that is a share of the best value's magnitude, or a difference."""
    cooldown: Natural = 0
    """Looks after a reduction that count nothing."""
    min_lr: NotNegative = 0.0
    """The rate is not lowered below this."""
    eps: NotNegative = 1e-8
    """Smaller changes of the rate are not made."""


class ReduceLR(Section):
    """A rule that lowers the learning rate when a metric stops improving."""

    val_metric: str
    """``METRIC/ARM``, such as ``fid[digits-cnn]/raw``."""
    scheduler: ReduceLRScheduler
    """How it reacts."""
    interval: Count = 1
    """Evaluations between two looks, which take the metric's mean over them."""
