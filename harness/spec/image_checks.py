"""Checks of what is learned from one image: its pyramid; and of what samples are measured by."""

from collections.abc import Iterator

from harness.errors import DataError, SpecError
from harness.spec.photographs import SHIPPED
from harness.spec.schema import Data, SinGAN, Spec
from harness.spec.vocabulary import (
    FEATURE_METRICS,
    FEATURES,
    FEWEST_PER_FEATURE,
    ONE_IMAGE_METRICS,
)
from harness.spec.wording import Problem


def image_problems(spec: Spec) -> Iterator[Problem]:
    """Say what one image has no use for and, where it can be read, why it leaves no pyramid."""
    for name in ("crop", "broken", "max_images"):
        if getattr(spec.data, name) != Data.model_fields[name].default:
            yield ("data", name), "is for sets of images, not for data.type image: leave it out"
    if spec.data.root is None:
        return
    try:
        _ = spec.pyramid
    except SpecError as error:
        for problem in error.problems:
            name, _, text = problem.partition(": ")
            yield ("model", name), text
    except DataError as error:
        # A spec can be read where its image is not; planning and running say that it is missing.
        if (spec.data.root or "").startswith(SHIPPED):
            yield ("data", "root"), str(error).removeprefix("data.root: ")


def metric_problems(spec: Spec) -> Iterator[Problem]:
    """Say which metrics compare samples with one image, and which with a set of images."""
    evaluate, one_image = spec.evaluate, isinstance(spec.model, SinGAN)
    for index, name in enumerate(evaluate.metrics):
        if (name in ONE_IMAGE_METRICS) != one_image:
            known = ", ".join(sorted(ONE_IMAGE_METRICS))
            many = f"compares sets of images: SinGAN, which has one, takes {known}"
            text = many if one_image else "compares samples with one image: it is for SinGAN"
            yield ("evaluate", "metrics", index), f"{name!r} {text}"
    if "diversity" in evaluate.metrics and evaluate.fake_images < 2:
        yield ("evaluate", "fake_images"), "1 has no diversity: give at least 2"
    fewest = FEWEST_PER_FEATURE * FEATURES[evaluate.extractor_spec.type]
    if "fid_inf" in evaluate.metrics and evaluate.fake_images < fewest:
        text = f"{evaluate.fake_images} is too few for fid_inf: at least {fewest}"
        yield ("evaluate", "fake_images"), f"{text}, {FEWEST_PER_FEATURE} a feature"
    kind, weights = evaluate.extractor_spec.type, evaluate.extractor_spec.weights
    if kind == "random-conv-64" and weights is not None:
        yield ("evaluate", "extractor", "weights"), f"{kind} is untrained and takes none"
    if kind == "random-conv-64" and "is" in evaluate.metrics:
        yield ("evaluate", "metrics"), f"is needs classes, which {kind} has not"
    yield from _reference_problems(spec)


def _reference_problems(spec: Spec) -> Iterator[Problem]:
    """Say what statistics of a file are not enough for."""
    metrics, at = spec.evaluate.metrics, ("evaluate", "reference")
    if spec.evaluate.reference is None:
        return
    if not {"fid", "fid_inf"}.intersection(metrics):
        yield at, "is what fid is measured against, and fid is not in evaluate.metrics"
    if needy := [name for name in metrics if name in FEATURE_METRICS]:
        text = "is a mean and a covariance alone; real images' features are needed for"
        yield at, f"{text} {', '.join(needy)}: leave one or the other out"
