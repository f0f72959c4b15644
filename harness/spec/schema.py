"""What a spec may say: every field with its unit, range and default.

Models are frozen and refuse unknown fields. Checks that span fields stand in ``checks.py``.
"""

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from harness.errors import DataError
from harness.spec.growth import GrowthSchedule
from harness.spec.identity import texts
from harness.spec.measuring import Evaluate, Extractor, Lpips, MetricName
from harness.spec.models import PGGAN, BatchSize, Model, SinGAN, StyleGAN1, StyleGAN2
from harness.spec.observers import Ema, InterpCfg, Observers, Posthoc
from harness.spec.photographs import size_of, title
from harness.spec.pyramid import Pyramid
from harness.spec.ranges import Images, Seed, Words
from harness.spec.sections import Section
from harness.spec.training import (
    LOSSES,
    WGANGP,
    Ada,
    Adam,
    Fast,
    Logistic,
    Loss,
    ReduceLR,
    ReduceLRScheduler,
    SinGANLoss,
    Train,
)

__all__ = [
    "LOSSES",
    "PGGAN",
    "WGANGP",
    "Ada",
    "Adam",
    "BatchSize",
    "Data",
    "Ema",
    "Evaluate",
    "Extractor",
    "Fast",
    "InterpCfg",
    "Logistic",
    "Loss",
    "Lpips",
    "MetricName",
    "Model",
    "Observers",
    "Posthoc",
    "ReduceLR",
    "ReduceLRScheduler",
    "Section",
    "SinGAN",
    "SinGANLoss",
    "Spec",
    "StyleGAN1",
    "StyleGAN2",
    "Train",
    "live_twins",
    "rebuilt_arms",
]


class Data(Section):
    """Where the real images come from."""

    type: Literal["digits", "cifar10", "image_folder", "zip", "image"]
    """``image`` is one photograph, for SinGAN; all others are sets."""
    root: str | None = None
    """A folder, an archive; for ``image`` its path, or ``shipped:NAME``; not for ``digits``."""
    crop: Literal["none", "center"] = "none"
    """What to do with images that are not square: refuse, or cut the centre out."""
    broken: Literal["refuse", "skip"] = "refuse"
    """What to do with images that cannot be read."""
    max_images: Images | None = None
    """Take the first of them only; null: all."""

    @property
    def title(self) -> str:
        """What the images are called in plans and reports."""
        return title(self.root or "") if self.type == "image" else self.type


class Spec(Section):
    """A question about GAN training, complete."""

    question: Words
    """The question, one sentence; it heads the report."""
    model: Model
    """What is trained."""
    data: Data
    """What it learns from."""
    train: Train
    """How it is trained."""
    evaluate: Evaluate
    """What is measured."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    """One run each, for each level of the factors."""
    observers: Observers = Observers()
    """What rides along without changing training."""
    factors: dict[str, dict[str, Any]] = Field(default={})
    """``reduce_lr`` or the dotted path of a field, and a value for each level's name."""
    hooks: tuple[dict[str, Any], ...] = ()
    """VisualizationHook and PickleDataHook, in MMagic's words."""
    tiers: dict[str, Any] = Field(default={})
    """By name: what to change for another budget, or the path of a spec that stands for it."""

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
        try:
            height, width = size_of(self.data.root or "")
        except DataError as error:
            raise DataError(f"data.root: {error}") from None
        return Pyramid.of(
            height,
            width,
            model.min_size,
            model.max_size,
            model.scale_factor_init,
            shrink=model.paper_form,
        )

    @cached_property
    def of_a_run(self) -> dict[str, Any]:
        """What of the spec decides a run's numbers, beside its seed; for reading only."""
        return self.model_dump(mode="json", exclude={"question", "factors", "tiers", "seeds"})

    @cached_property
    def texts_of_a_run(self) -> dict[str, str]:
        """The same as the run's digest sees it."""
        return texts(self.of_a_run)

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
    return GrowthSchedule(
        pyramid.scales, (model.iters_per_scale * steps,) * count, 0, (steps,) * count
    )


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
