"""What does scoring a generator cost? Generator, extractor and statistics against torch-fidelity.

Both sides draw with the same network from the same latents, and look with the same extractor in
batches of the same size; both know the real images already. torch-fidelity's part is its own: the
loop over a generative model, features gathered on the CPU, and its formulas.
"""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.generative_model_base import GenerativeModelBase
from torch_fidelity.metric_fid import (
    KEY_METRIC_FID,
    fid_features_to_statistics,
    fid_statistics_to_metric,
)
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric
from torch_fidelity.utils import get_featuresdict_from_generative_model

from harness.bench.timing import Comparison, Comparisons, in_turns
from harness.data.prepare import Prepared
from harness.engine.evaluation import ArmsEvaluator
from harness.engine.families import gan
from harness.gans.base import GAN
from harness.gans.growing import GrowingGAN
from harness.images import to_uint8
from harness.metrics.extractor import Extractor
from harness.metrics.reference import EXTRACT_BATCH
from harness.spec.load import load
from harness.spec.schema import Evaluate

_SPEC = Path("experiments/pggan-ema.yaml")
_SEED = 2020
_TOLERANCE = 1e-6
_KID: dict[str, int] = {"kid_subsets": 10, "kid_subset_size": 24}
_AT_32 = ("model.noise_size=64", "model.base_channels=1024", "model.max_channels=64")


@dataclass(frozen=True)
class Case:
    """A generator and what looks at its images.

    Args:
        extractor: its name.
        metric: fid, or kid where FID's algebra would hide the images (see ``fid_algebra``).
        images: drawn and looked at in one call.
        turns: of both sides.
        size_px: of the images.
        tier: of the spec that the generator is taken from.
        overrides: of that spec.
    """

    extractor: str
    metric: str
    images: int
    turns: int
    size_px: int
    tier: str
    overrides: tuple[str, ...] = ()


CASES = (
    Case("digits-cnn", "fid", 2000, 11, 8, "quick"),
    Case("random-conv-64", "fid", 250, 7, 32, "gpu", _AT_32),
    Case("inception-v3-compat", "kid", 32, 3, 32, "gpu", _AT_32),
)


@dataclass(frozen=True)
class Scored(Comparisons):
    """Seconds an image of both sides, by case."""

    @property
    def details(self) -> str:
        """Images a second."""
        lines = [
            "| extractor | harness (images/s) | torch-fidelity (images/s) |",
            "| :-- | --: | --: |",
        ]
        for name, case in self.cases.items():
            ours, theirs = (float(np.median(side)) for side in zip(*case.pairs, strict=True))
            lines.append(f"| {name} | {1 / ours:.4g} | {1 / theirs:.4g} |")
        return "\n".join(lines)


class _Evaluator(ArmsEvaluator):
    """The harness's, on torch-fidelity's latents."""

    def latents(self, model: GAN, purpose: str, count: int, fresh: int = 0) -> Tensor:
        """Return what torch-fidelity's loop draws, however it divides it into batches."""
        drawn = np.random.RandomState(_SEED).randn(count, _noise_size(model))
        return torch.from_numpy(drawn).float().to(self.device)


class _Generator(GenerativeModelBase):
    """A network as torch-fidelity takes it: images uint8 N3HW of normal latents."""

    z_type = "normal"
    num_classes = 0
    z_size = 0

    def __init__(self, model: GAN) -> None:
        super().__init__()
        self.model = model
        self.z_size = _noise_size(model)

    def forward(self, noise: Tensor) -> Tensor:
        return to_uint8(self.model.draw(self.model.generator, noise))


class _Looking(FeatureExtractorBase):
    """An extractor of the harness as torch-fidelity takes it."""

    def __init__(self, extractor: Extractor) -> None:
        super().__init__(extractor.name, ["features"])
        self.extractor = extractor

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (self.extractor(images).features,)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features",)


def measure(device: str) -> Scored:
    """Score one generator a case, in turns.

    Raises:
        RuntimeError: if the two sides come to different values.
    """
    with tempfile.TemporaryDirectory() as folder:
        return Scored({case.extractor: _case(case, Path(folder), device) for case in CASES})


def _case(case: Case, folder: Path, device: str) -> Comparison:
    ours, theirs = sides(case, folder, device)
    a, b = ours(), theirs()
    if not abs(a - b) <= _TOLERANCE * abs(b):
        name = f"{case.metric}[{case.extractor}]"
        raise RuntimeError(f"{name} is {a!r} by the harness, {b!r} by torch-fidelity")
    pairs = in_turns(ours, theirs, case.turns, 1)
    return Comparison(
        f"images of {case.size_px} px scored by {case.metric}[{case.extractor}]",
        "images by torch-fidelity",
        "an image",
        tuple((x / case.images, y / case.images) for x, y in pairs),
        1.0,
    )


def sides(case: Case, folder: Path, device: str) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return what scores the case's generator, the real images seen: harness, torch-fidelity.

    Args:
        case: what is scored.
        folder: for weights and the reference.
        device: where networks compute.
    """
    spec = load(_SPEC, case.tier, ("seeds=[0]", *case.overrides))
    model = gan(spec, 0).to(device)
    model.images_shown = spec.total_images
    weights: dict[str, str] = {}
    if case.extractor.startswith("inception"):
        weights = _untrained(folder / "inception.pth")
    settings = Evaluate.model_validate(
        {
            "every_kimg": 1,
            "extractor": {"type": case.extractor, **weights},
            "fake_images": case.images,
            "metrics": [case.metric],
            "batch_size": EXTRACT_BATCH,
            **_KID,
        }
    )
    shape = (max(case.images, 10), 3, case.size_px, case.size_px)
    real = torch.randint(256, shape, dtype=torch.uint8)
    prepared = Prepared("random", "", (), {case.size_px: real.numpy()})
    target = torch.device(device)
    evaluator = _Evaluator(settings, prepared, {"raw": "orig"}, 0, target, folder / "reference")

    def ours() -> float:
        (value,) = evaluator.evaluate(model, 1).values()
        return value

    looking: nn.Module = _Looking(evaluator.extractor)
    if weights:
        looking = FeatureExtractorInceptionV3(
            case.extractor, ["2048"], feature_extractor_weights_path=weights["weights"]
        ).to(device)
    return ours, _theirs(case, model, looking, evaluator.reference.features.cpu(), device)


def _theirs(case: Case, model: GAN, looking: Any, real: Tensor, device: str) -> Callable[[], float]:
    generator = _Generator(model)
    known = real.double()  # for its own sums to be exact
    statistics = fid_features_to_statistics(known)

    def theirs() -> float:
        seen = get_featuresdict_from_generative_model(
            generator, looking, case.images, EXTRACT_BATCH, device == "cuda", _SEED, False
        )
        (features,) = (column.double() for column in seen.values())
        if case.metric == "kid":
            kids = kid_features_to_metric(features, known, verbose=False, **_KID)
            return float(kids[KEY_METRIC_KID_MEAN])
        found = fid_features_to_statistics(features)
        return float(fid_statistics_to_metric(found, statistics, False)[KEY_METRIC_FID])

    return theirs


def _noise_size(model: GAN) -> int:
    assert isinstance(model, GrowingGAN)
    return model.noise_size


def _untrained(path: Path) -> dict[str, str]:
    """Write a file shaped as the published one, with random weights."""

    class Untrained(FeatureExtractorInceptionV3):
        def load_state_dict(self, *arguments: Any, **settings: Any) -> None:
            """Keep what the layers start with."""

    torch.save({}, path)
    network = Untrained("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):  # else nothing of an image reaches the features
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    torch.save(network.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"weights": str(path), "weights_sha256": digest}
