"""What a spec may say: every field with its unit, range and default.

Models are frozen and refuse unknown fields. Checks that span fields stand in ``checks.py``.
"""

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from harness.spec.growth import GrowthSchedule
from harness.spec.pyramid import Pyramid, image_size, shrunk
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


class Sparse(Section):
    """A section whose fields that are null leave no trace in what is written of it.

    So a run that does without a newer field is the run that it was before there was one.
    """

    @model_serializer(mode="wrap")
    def _only_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


BatchSize = int | dict[int, int]
"""Images in a batch, or those at each scale."""


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

    def growth(self, batch_size: BatchSize) -> GrowthSchedule:
        """Return the stages that these settings describe."""
        return GrowthSchedule.from_kimgs(self.nkimgs_per_scale, self.transition_kimgs, batch_size)


class StyleGAN1(Section):
    """StyleGAN (arXiv 1812.04948)."""

    type: Literal["StyleGAN1"]
    noise_size: Count = 512
    """Z, which is also the number of a style code's entries."""
    out_scale: Scale
    num_mlps: Count = 8
    """Layers of the mapping network."""
    base_channels: Count = 8192
    max_channels: Count = 512
    mbstd_group: Count | None = 4
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
    noise_size: Count = 512
    """Z, which is also the number of a style code's entries."""
    out_scale: Scale
    num_mlps: Count = 8
    """Layers of the mapping network."""
    base_channels: Count = 16384
    max_channels: Count = 512
    mbstd_group: Count | None = 4
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
    base_channels: Count = 32
    min_feat_channels: Count = 32
    min_size: Count = 25
    """About the shorter side of the coarsest scale, in px."""
    max_size: Count = 250
    """Longer side of the finest scale, in px; a smaller image keeps its size."""
    scale_factor_init: Fraction = 0.75
    """Share of a scale's sides that the next coarser one has, about."""
    iters_per_scale: Count = 2000
    discriminator_steps: Count = 3
    """Critic steps in an iteration; the image is shown once for each."""
    generator_steps: Count = 3
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


class Data(Section):
    """Where the real images come from."""

    type: Literal["digits", "cifar10", "image_folder", "zip", "image"]
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


class Train(Sparse):
    """How the networks are trained."""

    kimg: Kimg | None = None
    """Thousands of real images shown in the whole run; SinGAN's follow from its scales."""
    batch_size: Count | Annotated[dict[Scale, Count], Field(min_length=1)] | None = None
    """Images in a batch, at each scale; scales left out take the next smaller one's."""
    optimizer: Adam = Adam()
    lr_per_scale: dict[Scale, Positive] = {}
    """Learning rate from a scale on; scales left out keep ``optimizer.lr``."""
    reset_optimizer_per_scale: bool = False
    loss: Loss = WGANGP()
    """By default the model's own."""
    augment: Ada | None = None
    log_every_kimg: Kimg = 1.0


class Extractor(Section):
    """Network whose features a metric is measured on."""

    type: Literal["digits-cnn", "inception-v3-compat"]
    weights: str | None = None
    weights_sha256: str | None = None


MetricName = Literal[
    "fid",
    "is",
    "kid",
    "precision",
    "recall",
    "density",
    "coverage",
    "swd",
    "ms_ssim",
    "ppl_z",
    "ppl_w",
    "sifid",
    "diversity",
]


class Evaluate(Sparse):
    """What is measured, how often, on how many images."""

    every_kimg: Kimg
    extractor: Literal["digits-cnn", "inception-v3-compat"] | Extractor
    fake_images: Count
    metrics: Annotated[tuple[MetricName, ...], Field(min_length=1)]
    kid_subsets: Count = 100
    kid_subset_size: Count = 1000
    batch_size: Count = 500
    truncation: Share | None = None
    """Style codes are drawn to their mean, to this share of the way; null: not at all."""

    @property
    def extractor_spec(self) -> Extractor:
        """The extractor with its options, however it was written."""
        if isinstance(self.extractor, Extractor):
            return self.extractor
        return Extractor(type=self.extractor)


class InterpCfg(Sparse):
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


class Observers(Sparse):
    """What rides along without changing training."""

    ema: dict[str, Ema] = {}
    posthoc: Posthoc | None = None


class Spec(Section):
    """A question about GAN training, complete."""

    question: str
    model: Model
    data: Data
    train: Train
    evaluate: Evaluate
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    observers: Observers = Observers()
    factors: dict[str, dict[str, Any]] = {}
    """``reduce_lr``, or the dotted path of any field, with a value for each level's name."""
    hooks: tuple[dict[str, Any], ...] = ()
    tiers: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _own_loss(cls, content: Any) -> Any:
        """Give a model that names no loss its own."""
        match content:
            case {"model": {"type": str() as kind}, "train": dict() as train} if kind in LOSSES:
                loss = train.get("loss", {})
                if isinstance(loss, dict) and "type" not in loss:
                    train = {**train, "loss": {"type": LOSSES[kind], **loss}}
                    return {**content, "train": train}
        return content

    @cached_property
    def growth(self) -> GrowthSchedule:
        """The stages of training that model, data and batch sizes describe."""
        if isinstance(self.model, SinGAN):
            return pyramid_growth(self.pyramid, self.model)
        assert self.train.batch_size is not None  # checks.py sees to it
        return self.model.growth(self.train.batch_size)

    @cached_property
    def pyramid(self) -> Pyramid:
        """The sizes of SinGAN's image; reads the image's header.

        Raises:
            DataError: the image is missing or none.
            SpecError: it leaves no pyramid.
        """
        assert isinstance(self.model, SinGAN)
        model = self.model
        height, width = image_size(self.data.root or "")
        if model.paper_form:
            height, width = shrunk(height, width, model.max_size)
        sizes = (model.min_size, model.max_size, model.scale_factor_init)
        return Pyramid.of(height, width, *sizes)

    @property
    def final_batch_size(self) -> int:
        """Images in a batch at the final scale."""
        if isinstance(self.model, SinGAN):
            return self.model.discriminator_steps
        return self.growth.batch_sizes[-1]

    @property
    def kimg(self) -> float:
        """Thousands of real images shown in a run."""
        if self.train.kimg is not None:
            return self.train.kimg
        return sum(self.growth.images) / 1000

    @property
    def total_images(self) -> int:
        """Real images shown in a run, before rounding up to whole batches."""
        return round(self.kimg * 1000)


def pyramid_growth(pyramid: Pyramid, model: SinGAN) -> GrowthSchedule:
    """Return SinGAN's stages: a scale each, by its longer side in px."""
    steps = model.discriminator_steps
    count = len(pyramid.sizes)
    sides = tuple(max(size) for size in pyramid.sizes)
    return GrowthSchedule(sides, (model.iters_per_scale * steps,) * count, 0, (steps,) * count)


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
