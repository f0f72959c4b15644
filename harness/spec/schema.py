"""What a spec may say: every field with its unit, range and default.

Models are frozen and refuse unknown fields. Checks that span fields stand in ``checks.py``.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from harness.spec.growth import GrowthSchedule
from harness.spec.ranges import (
    Beta,
    Count,
    Fraction,
    Interval,
    Kimg,
    KimgOrZero,
    Natural,
    NotNegative,
    Positive,
    RelativeWidth,
    Scale,
    Seed,
    Share,
)
from harness.spec.vocabulary import momentum_from_half_life


class Section(BaseModel):
    """Base of all parts of a spec: frozen, no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class PGGAN(Section):
    """Progressive GAN (arXiv 1710.10196)."""

    type: Literal["PGGAN"]
    noise_size: Count
    out_scale: Scale
    base_channels: Count = 8192
    max_channels: Count = 512
    fused: bool = True
    """Fused up- and down-sampling convolutions."""
    mbstd_group: Count | None = 4
    """Images that the critic's minibatch stddev is taken over; null: the whole batch."""
    paper_form: bool = True
    """The paper's networks; false gives MMagic's, which its checkpoints fit."""
    nkimgs_per_scale: Annotated[dict[Scale, Kimg], Field(min_length=1)]
    """Thousands of images shown at each resolution; the last goes on to the end of training."""
    transition_kimgs: KimgOrZero
    """Thousands of images over which a new resolution is faded in."""


class Data(Section):
    """Where the real images come from."""

    type: Literal["digits", "cifar10", "image_folder", "zip"]
    root: str | None = None
    crop: Literal["none", "center"] = "none"
    """What to do with images that are not square: refuse, or cut the centre out."""
    broken: Literal["refuse", "skip"] = "refuse"
    """What to do with images that cannot be read."""
    max_images: Count | None = None


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


class Train(Section):
    """How the networks are trained."""

    kimg: Kimg
    """Thousands of real images shown in the whole run."""
    batch_size: Count | Annotated[dict[Scale, Count], Field(min_length=1)]
    """Images in a batch, at each scale; scales left out take the next smaller one's."""
    optimizer: Adam = Adam()
    lr_per_scale: dict[Scale, Positive] = {}
    """Learning rate from a scale on; scales left out keep ``optimizer.lr``."""
    reset_optimizer_per_scale: bool = False
    loss: WGANGP = WGANGP()
    log_every_kimg: Kimg = 1.0


class Extractor(Section):
    """Network whose features a metric is measured on."""

    type: Literal["digits-cnn", "inception-v3-compat"]
    weights: str | None = None
    weights_sha256: str | None = None


MetricName = Literal["fid", "is", "kid", "swd", "ms_ssim"]


class Evaluate(Section):
    """What is measured, how often, on how many images."""

    every_kimg: Kimg
    extractor: Literal["digits-cnn", "inception-v3-compat"] | Extractor
    fake_images: Count
    metrics: Annotated[tuple[MetricName, ...], Field(min_length=1)]
    kid_subsets: Count = 100
    kid_subset_size: Count = 1000
    batch_size: Count = 500

    @property
    def extractor_spec(self) -> Extractor:
        """The extractor with its options, however it was written."""
        if isinstance(self.extractor, Extractor):
            return self.extractor
        return Extractor(type=self.extractor)


class InterpCfg(Section):
    """Settings of an EMA's interpolation; which apply depends on its mode."""

    momentum: Fraction | None = None
    """Weight of the new value, 1 - decay."""
    decay: Fraction | None = None
    half_life_kimg: Kimg | None = None
    momentum_nontrainable: Share | None = None
    """Weight of the new value for buffers and frozen parameters."""
    inv_gamma: Positive | None = None
    power: Positive | None = None
    rampup: Positive | None = None
    """Half-life as a share of the images shown so far, until ``half_life_kimg`` is reached."""
    sigma_rel: RelativeWidth | None = None
    """Width of a power-function average relative to training (arXiv 2312.02696)."""

    @model_serializer(mode="wrap")
    def _only_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, float]:
        return {name: value for name, value in handler(self).items() if value is not None}


class Ema(Section):
    """One EMA shadow of the generator, in the words of ExponentialMovingAverageHook."""

    interp_mode: Literal["lerp", "warmup", "ramp", "power", "uniform"] = "lerp"
    interp_cfg: InterpCfg = InterpCfg()
    interval: Interval = 1
    start_iter: Natural = 0

    def hook_cfg(self, batch_size: int) -> dict[str, float]:
        """Return ``interp_cfg`` as the hook takes it, decay and half-life made a momentum.

        Args:
            batch_size: images in a batch at the final scale.
        """
        cfg: dict[str, float] = self.interp_cfg.model_dump()
        if self.interp_mode == "ramp":
            return cfg
        if "decay" in cfg:
            cfg["momentum"] = 1 - cfg.pop("decay")
        if "half_life_kimg" in cfg:
            images = batch_size * max(self.interval, 1)
            cfg["momentum"] = momentum_from_half_life(cfg.pop("half_life_kimg"), images)
        return cfg


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


class Posthoc(Section):
    """Averages rebuilt after training from snapshots of two (arXiv 2312.02696, section 3.2)."""

    sigma_rel: tuple[RelativeWidth, RelativeWidth] = (0.05, 0.10)
    """Relative widths of the two averages that are kept during training."""
    every_kimg: Kimg
    """Thousands of images between two snapshots of them."""
    rebuild: Annotated[tuple[RelativeWidth, ...], Field(min_length=1)]
    """Relative widths of the averages that are rebuilt and measured at the end."""

    @property
    def every_images(self) -> int:
        """Images between two snapshots."""
        return round(self.every_kimg * 1000)


class Observers(Section):
    """What rides along without changing training."""

    ema: dict[str, Ema] = {}
    posthoc: Posthoc | None = None

    @model_serializer(mode="wrap")
    def _without_none(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A run without it is the run that it was before there was this observer.
        return {name: value for name, value in handler(self).items() if value is not None}


class Spec(Section):
    """A question about GAN training, complete."""

    question: str
    model: PGGAN
    data: Data
    train: Train
    evaluate: Evaluate
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    observers: Observers = Observers()
    factors: dict[str, dict[str, Any]] = {}
    """``reduce_lr``, or the dotted path of any field, with a value for each level's name."""
    hooks: tuple[dict[str, Any], ...] = ()
    tiers: dict[str, Any] = {}

    @property
    def growth(self) -> GrowthSchedule:
        """The schedule that the model and batch sizes describe."""
        return GrowthSchedule.from_kimgs(
            self.model.nkimgs_per_scale, self.model.transition_kimgs, self.train.batch_size
        )

    @property
    def total_images(self) -> int:
        """Real images shown in a run, before rounding up to whole batches."""
        return round(self.train.kimg * 1000)


def rebuilt_arms(spec: Spec) -> dict[str, float]:
    """Return the relative width of each average rebuilt after training, by its arm's name."""
    posthoc = spec.observers.posthoc
    return {} if posthoc is None else {f"posthoc-{width:g}": width for width in posthoc.rebuild}


def live_twins(spec: Spec) -> dict[str, str]:
    """Return the shadows that are averaged during training exactly as an arm that is rebuilt.

    Returns:
        The rebuilt arm's name by the shadow's: power functions of one width over the whole run.
    """
    arms = {width: name for name, width in rebuilt_arms(spec).items()}
    return {
        name: arms[width]
        for name, ema in spec.observers.ema.items()
        if ema.interp_mode == "power" and ema.interval > 0 and ema.start_iter == 0
        if (width := ema.interp_cfg.sigma_rel) in arms
    }
