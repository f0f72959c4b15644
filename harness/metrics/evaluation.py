"""Score generated images in one pass: each is looked at once, whatever the number of metrics."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NoReturn

import torch
from torch import Tensor

from harness.errors import DataError, SpecError
from harness.metrics.density_coverage import DensityCoverage, density_coverage
from harness.metrics.density_coverage import K as DENSITY_K
from harness.metrics.extractor import Extractor, identity, require_rgb
from harness.metrics.fid import StatisticsAccumulator, frechet_distance
from harness.metrics.fid_infinity import fid_infinity
from harness.metrics.forms import FORMS
from harness.metrics.inception_score import SPLITS, inception_score
from harness.metrics.kid import kid
from harness.metrics.ms_ssim import consecutive_pairs, ms_ssim
from harness.metrics.precision_recall import K as PRECISION_K
from harness.metrics.precision_recall import PrecisionRecall, precision_recall
from harness.metrics.rebatched import Rebatched
from harness.metrics.reference import EXTRACT_BATCH, Reference
from harness.metrics.swd import patches, swd
from harness.ranks.answers import combined
from harness.ranks.dealt import portable
from harness.records.protocols import Facts
from harness.seeding import generator

_OF_BALLS = ("precision", "recall", "density", "coverage")
_OF_FEATURES = frozenset({"fid", "fid_inf", "is", "kid", *_OF_BALLS})
_KINDS = ("features", "logits", "for_swd", "similarities")
"""What is kept of images: rows of each, in their order."""
_Seen = dict[str, list[Tensor]]
METRICS = ("fid", "fid_inf", "is", "kid", "swd", "ms_ssim", *_OF_BALLS)


def quantity(metric: str, extractor: str) -> str:
    """Return a metric's full name: ``fid[digits-cnn]`` for ``fid``, plain ``swd`` for ``swd``."""
    return f"{metric}[{extractor}]" if metric in _OF_FEATURES else metric


def neighbours(metrics: Sequence[str]) -> int:
    """Return of how many neighbours of each real image the metrics need the distances."""
    return max(PRECISION_K, DENSITY_K) if set(_OF_BALLS).intersection(metrics) else 0


class Evaluation:
    """The scores of one generator.

    Images are looked at in batches of a fixed size whatever sizes they arrive in, so the result
    depends on the images and their order alone, to the last bit. Several processes may draw them:
    each is looked at in one of them, and metrics are computed in the main one.

    Args:
        metrics: some of ``METRICS``.
        reference: of the real images, from the same extractor; with patches for swd, and
            ``neighbours(metrics)`` neighbours for precision, recall, density and coverage.
        extractor: looks at the images.
        kid_subsets: pairs of subsets for kid.
        kid_subset_size: images in each.
        seed: of every draw: fid_inf's parts, kid's subsets, the order of is, places and directions
            of swd.
        shares: which images each process gives to its ``update``, one range after another; None
            where this process gives all.

    Precision and recall take the 3rd neighbour, density and coverage the 5th, as their papers do;
    these are no settings, so that a name has one meaning.

    Raises:
        SpecError: a metric is unknown or lacks what it needs; all problems at once.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        *,
        reference: Reference,
        extractor: Extractor,
        kid_subsets: int = 100,
        kid_subset_size: int = 1000,
        seed: int = 2020,
        shares: Sequence[range] | None = None,
    ) -> None:
        _check(metrics, reference, extractor, kid_subset_size)
        self._metrics = tuple(metrics)
        self._reference = reference
        self._extractor = extractor
        self._kid_subsets, self._kid_subset_size = kid_subsets, kid_subset_size
        self._seed = seed
        self._shares = shares
        self._images = Rebatched(self._look, EXTRACT_BATCH, shares)
        self._statistics = StatisticsAccumulator()
        self._seen: _Seen = {kind: [] for kind in _KINDS}

    def facts(self) -> dict[str, Facts]:
        """Return how each metric is computed, by its name in ``METRICS``, for protocols."""
        extractor = self._extractor
        seen: Facts = {**identity(extractor), **extractor.sight, "extractor_batch": EXTRACT_BATCH}
        stated: dict[str, Facts] = {
            name: {"metric": name, "form": FORMS[name], **self._parameters(name)}
            for name in self._metrics
        }
        return {n: {**facts, **seen} if n in _OF_FEATURES else facts for n, facts in stated.items()}

    def _parameters(self, metric: str) -> Facts:
        draw = f"numpy RandomState({self._seed})"
        match metric:
            case "fid_inf":
                return {"fid_inf_seed": self._seed}
            case "is":
                return {"is_splits": SPLITS, "is_shuffle": draw}
            case "kid":
                return {
                    "kid_subsets": self._kid_subsets,
                    "kid_subset_size": self._kid_subset_size,
                    "kid_draw": draw,
                }
            case "swd":
                return {"swd_images": self._reference.swd_images, "swd_seed": self._seed}
            case "precision" | "recall":
                return {"k": PRECISION_K}
            case "density" | "coverage":
                return {"k": DENSITY_K}
        return {}

    def update(self, images: Tensor) -> None:
        """Add generated images of this process, uint8 N3HW, any N.

        Raises:
            DataError: images are of another shape or type than the metrics take.
        """
        require_rgb(images)
        self._images.update(images)

    def compute(self) -> dict[str, float]:
        """Return each metric's value under its full name, the same in every process.

        Every process has to call it, once, after its last update.

        Raises:
            FloatingPointError: a feature is NaN or infinite.
            DataError: no images, or fewer than swd or ms_ssim need.
            SpecError: fewer images than fid_inf, a kid subset, is splits or neighbours need.
        """
        if self._shares is None:
            return self._scores([self._part()])
        return combined(self._part, self._scores)

    def _part(self) -> _Seen:
        self._images.end()
        return {kind: portable(rows) for kind, rows in self._seen.items()}

    def _scores(self, parts: list[_Seen]) -> dict[str, float]:
        device = self._extractor.device
        self._seen = {
            kind: [rows.to(device) for part in parts for rows in part[kind]] for kind in _KINDS
        }
        for rows in self._seen["features"]:
            for batch in rows.split(EXTRACT_BATCH):
                self._statistics.update(batch)
        self._statistics.require_finite()
        scores: dict[str, Callable[[], float]] = {
            "fid": self._fid,
            "fid_inf": self._fid_infinity,
            "is": self._inception_score,
            "kid": self._kid,
            "swd": self._swd,
            "ms_ssim": self._ms_ssim,
            "precision": lambda: self._precision_recall.precision,
            "recall": lambda: self._precision_recall.recall,
            "density": lambda: self._density_coverage.density,
            "coverage": lambda: self._density_coverage.coverage,
        }
        return {quantity(name, self._extractor.name): scores[name]() for name in self._metrics}

    def _look(self, first: int, images: Tensor) -> None:
        images = images.to(self._extractor.device)
        seen = self._seen
        if _OF_FEATURES.intersection(self._metrics):
            found = self._extractor(images)
            seen["features"].append(found.features)
            seen["logits"].append(found.logits)
        if "swd" in self._metrics and first < self._reference.swd_images:
            seen["for_swd"].append(images[: self._reference.swd_images - first])
        if "ms_ssim" in self._metrics:
            seen["similarities"].append(ms_ssim(*consecutive_pairs(images)))

    def _fid(self) -> float:
        real = self._reference
        return frechet_distance(self._statistics.compute(), real.statistics, real.root)

    def _fid_infinity(self) -> float:
        real = self._reference
        return fid_infinity(self._fake("fid_inf"), real.statistics, real.root, seed=self._seed)

    def _inception_score(self) -> float:
        return inception_score(self._rows("logits", "is"), seed=self._seed)

    def _fake(self, metric: str) -> Tensor:
        return self._rows("features", metric)

    def _rows(self, kind: str, metric: str) -> Tensor:
        """Return what was kept of all images; refuse where that is nothing."""
        rows = self._seen[kind]
        return torch.cat(rows) if rows else _none(metric)

    @cached_property
    def _precision_recall(self) -> PrecisionRecall:
        fake, real = self._fake("precision and recall"), self._reference
        radii = real.neighbours[:, PRECISION_K - 1]
        return precision_recall(fake, real.features, k=PRECISION_K, real_radii=radii)

    @cached_property
    def _density_coverage(self) -> DensityCoverage:
        fake, real = self._fake("density and coverage"), self._reference
        radii = real.neighbours[:, DENSITY_K - 1]
        return density_coverage(fake, real.features, k=DENSITY_K, real_radii=radii)

    def _kid(self) -> float:
        return kid(
            self._fake("kid"),
            self._reference.features,
            subsets=self._kid_subsets,
            subset_size=self._kid_subset_size,
            seed=self._seed,
        )

    def _swd(self) -> float:
        needed, given = self._reference.swd_images, sum(map(len, self._seen["for_swd"]))
        if given < needed:
            raise DataError(
                f"swd compares {needed} fake with {needed} real images, got {given} fake: "
                "raise fake_images or lower swd_images"
            )
        draws = generator(self._seed, "swd")
        fake = patches(self._rows("for_swd", "swd"), draws)
        levels = swd(fake, self._reference.patches, draws)
        return sum(levels) / len(levels)

    def _ms_ssim(self) -> float:
        pairs = self._rows("similarities", "ms_ssim")
        return float(pairs.mean()) if len(pairs) > 0 else _none("ms_ssim")


def _none(metric: str) -> NoReturn:
    raise DataError(f"{metric}: too few images were given: call update with at least 2 first")


def _check(
    metrics: Sequence[str], reference: Reference, extractor: Extractor, kid_subset_size: int
) -> None:
    known = ", ".join(METRICS)
    problems = [
        f"unknown metric '{name}': use some of {known}" for name in metrics if name not in METRICS
    ]
    if not metrics:
        problems.append(f"no metric was named: use some of {known}")
    made_with = (reference.extractor, reference.extractor_digest)
    if made_with != (extractor.name, extractor.digest):
        problems.append(
            f"the reference was made with {' '.join(made_with)}, the extractor is "
            f"{extractor.name} {extractor.digest}: make the reference with this extractor"
        )
    if "swd" in metrics and not reference.patches:
        problems.append("swd needs patches of real images: make the reference with swd_images")
    if reference.neighbours.shape[1] < (needed := neighbours(metrics)):
        problems.append(
            f"{', '.join(_OF_BALLS)} need neighbours of the real images: make the reference with "
            f"neighbours={needed}"
        )
    if "kid" in metrics and kid_subset_size > len(reference.features):
        problems.append(
            f"kid_subset_size is {kid_subset_size}, there are {len(reference.features)} real "
            "images: lower it"
        )
    if problems:
        raise SpecError(problems)
