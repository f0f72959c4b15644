"""Perceptual distances between images, smooth in the pixels: nothing is rounded to bytes."""

import hashlib
import itertools
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from harness.errors import DataError, SpecError, WeightsError, printable
from harness.files import plain, torch_files
from harness.metrics.digits_cnn import NAME as DIGITS
from harness.metrics.digits_cnn import DigitsExtractor
from harness.metrics.extractor import (
    ARITHMETIC,
    MAX_BYTES,
    Extractor,
    Features,
    full_precision,
    identity,
)
from harness.records.protocols import Facts

LPIPS = "lpips-vgg16"
DISTANCES = (DIGITS, LPIPS)
"""Names that ``load_distance`` knows."""


class Distance(Protocol):
    """Tells how different two images look."""

    @property
    def name(self) -> str:
        """Part of each quantity's name."""

    @property
    def facts(self) -> Facts:
        """Which distance it is and of what weights, for a protocol."""

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Return N distances, >= 0, of images float N3HW in [-1, 1] (not clamped)."""


def load_distance(
    name: str,
    *,
    weights: Path | None = None,
    vgg16_weights: Path | None = None,
    device: torch.device | str = "cpu",
) -> Distance:
    """Load a perceptual distance.

    Args:
        name: ``digits-cnn``: squared difference of that network's features, images of 8x8; or
            ``lpips-vgg16`` (arXiv 1801.03924), as torch-fidelity computes it.
        weights: for lpips-vgg16 torch-fidelity's release ``weights-vgg16-lpips.pth``; for
            digits-cnn in place of the file that ships.
        vgg16_weights: for lpips-vgg16 torchvision's ``vgg16-397923af.pth``.
        device: where to compute.

    Raises:
        SpecError: the name is unknown.
        WeightsError: a file is missing or another one. Nothing is ever downloaded.
    """
    if name == DIGITS:
        return _DigitsDistance(DigitsExtractor(weights, None, torch.device(device)))
    if name == LPIPS:
        linear, vgg16 = _state(weights, "weights"), _state(vgg16_weights, "vgg16_weights")
        return _lpips(linear, vgg16, device)
    raise SpecError([f"unknown perceptual distance '{name}': use one of {', '.join(DISTANCES)}"])


@runtime_checkable
class LooksClosely(Protocol):
    """An extractor that sees differences far below one grey level."""

    def look(self, images: Tensor) -> Features:
        """Look at N3HW images in 0..255 of any type; floats are not rounded."""


class FeatureDistance:
    """Squared distance of an extractor's features, each image's made to length 1: in [0, 4].

    It stands in for LPIPS where its weights are not at hand, and its numbers say nothing beside
    those of LPIPS or of another extractor.

    Raises:
        SpecError: the extractor rounds images.
    """

    def __init__(self, extractor: Extractor) -> None:
        if not isinstance(extractor, LooksClosely):
            raise SpecError(
                [
                    f"path lengths: extractor '{extractor.name}' does not see steps below one "
                    "grey level: take digits-cnn or inception-v3-compat, or give evaluate.lpips"
                ]
            )
        self.name = extractor.name
        self._look = extractor.look
        self._extractor: Extractor = extractor

    @property
    def facts(self) -> Facts:
        """Which distance it is and of what weights, for a protocol."""
        how = {"distance": "squared difference of features of length 1"}
        return {**how, **identity(self._extractor), **self._extractor.sight}

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Return N distances of images float N3HW in [-1, 1] (not clamped)."""
        a, b = (
            nn.functional.normalize(self._look((x.float() + 1) * 127.5).features, dim=1)
            for x in (first, second)
        )
        return (a - b).square().sum(dim=1)


class _DigitsDistance:
    name = DIGITS

    def __init__(self, extractor: DigitsExtractor) -> None:
        self._extractor = extractor
        self.facts: Facts = {
            "distance": "squared difference of features",
            **identity(extractor),
            **extractor.sight,
        }

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        a, b = (self._extractor.look((x + 1) * 127.5).features for x in (first, second))
        return (a - b).square().sum(dim=1)


class _LpipsDistance:
    name = LPIPS

    def __init__(
        self, network: nn.Module, device: torch.device | str, sha256: str, vgg16_sha256: str
    ) -> None:
        self._network = network.to(device)
        self._device = device
        self.facts: Facts = {
            "distance": f"{LPIPS} of torch-fidelity, images not resized",
            "lpips_sha256": sha256,
            "vgg16_sha256": vgg16_sha256,
            "extractor_arithmetic": ARITHMETIC,
        }

    @torch.inference_mode()
    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        a, b = ((x.float().to(self._device) + 1) * 127.5 for x in (first, second))
        with full_precision():
            return self._network(a, b).flatten()


class _Weights(NamedTuple):
    state: dict[str, Tensor]
    sha256: str


def _state(path: Path | None, argument: str) -> _Weights:
    what = (
        f"{LPIPS} needs {argument}: weights-vgg16-lpips.pth of torch-fidelity's releases as "
        "weights, vgg16-397923af.pth of torchvision as vgg16_weights; nothing is downloaded"
    )
    if path is None:
        raise WeightsError(f"no file was named: {what}")
    try:
        content = plain.read(path, MAX_BYTES)
        state = torch_files.state_dict(content, f"weights {path}")
        return _Weights(state, hashlib.sha256(content).hexdigest())
    except OSError as error:
        raise WeightsError(f"cannot read weights {path} ({error.strerror}): {what}") from error
    except DataError as error:
        raise WeightsError(f"{error}; {what}") from None


def _lpips(linear: _Weights, vgg16: _Weights, device: torch.device | str) -> _LpipsDistance:
    # Imported when asked for: torch-fidelity takes seconds to import.
    from torch_fidelity.sample_similarity_base import SampleSimilarityBase
    from torch_fidelity.sample_similarity_lpips import (
        NetLinLayer,
        SampleSimilarityLPIPS,
        VGG16features,
    )
    from torchvision.models.vgg import cfgs, make_layers

    bounds = (0, 4, 9, 16, 23, 30)

    class Vgg16(VGG16features):
        """The base class's layers without its download."""

        def __init__(self) -> None:
            nn.Module.__init__(self)
            layers = make_layers(cfgs["D"])
            layers.load_state_dict(_below(vgg16.state, "features."))
            for number, (start, end) in enumerate(itertools.pairwise(bounds), 1):
                part = nn.Sequential()
                for index in range(start, end):
                    part.add_module(str(index), layers[index])
                self.add_module(f"slice{number}", part)

    class Lpips(SampleSimilarityLPIPS):
        """Likewise."""

        def __init__(self) -> None:
            SampleSimilarityBase.__init__(self, LPIPS)
            self.sample_similarity_resize = self.sample_similarity_dtype = None
            self.L = 5
            for index, channels in enumerate((64, 128, 256, 512, 512)):
                self.add_module(f"lin{index}", NetLinLayer(channels, use_dropout=True))
            self.load_state_dict(linear.state)
            self.lins = [self.get_submodule(f"lin{index}") for index in range(self.L)]
            self.net = Vgg16()

    try:
        network: Any = Lpips()
    except RuntimeError as error:
        reason = printable(" ".join(str(error).split()), 300)
        raise WeightsError(f"the files given are not the weights of {LPIPS}: {reason}") from error
    network.eval().requires_grad_(False)
    return _LpipsDistance(network, device, linear.sha256, vgg16.sha256)


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
