"""InceptionV3 as TensorFlow had it in 2015, the extractor of published FID, IS and KID.

The network is torch-fidelity's port, the weights are a file that the user provides.
"""

import io
import os
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from harness.errors import DataError, WeightsError
from harness.files import torch_files
from harness.metrics.extractor import (
    Features,
    full_precision,
    positions,
    read_weights,
    require_rgb,
    require_size,
)
from harness.records.protocols import Facts

FILE_NAME = "pt_inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SIZE_PX = 299
ENVIRONMENT_VARIABLE = "HARNESS_INCEPTION_WEIGHTS"

_LOCAL_LAYERS = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1"),
    *("Conv2d_3b_1x1", "Conv2d_4a_3x3"),
)
_LOCAL_FIELD_PX = 23

WHAT = (
    f"put {FILE_NAME} (95.6 MB, a release asset of mseitzer/pytorch-fid; toshas/torch-fidelity "
    f"releases the same file) there or name it in {ENVIRONMENT_VARIABLE}; nothing is downloaded"
)


def weights_path() -> Path:
    """Return where the weights are looked for when no file is given."""
    default = Path.home() / ".cache" / "gan-harness" / "weights" / FILE_NAME
    return Path(os.environ.get(ENVIRONMENT_VARIABLE) or default)


class InceptionExtractor:
    """Features of the last pooling (F = 2048) and logits without bias (K = 1008).

    Images of any size are resized to 299x299 as TensorFlow 1 did.

    Args:
        weights: the file; ``None`` takes ``weights_path()``.
        weights_sha256: its digest; ``None`` takes the official one.
        device: where to compute.

    Raises:
        WeightsError: the file is missing, another one, or not of this network.
    """

    name = "inception-v3-compat"
    num_features = 2048
    num_classes = 1008
    num_local_features = 192
    sight: Facts = MappingProxyType(
        {
            "layer": "last average pooling (pool_3); logits without bias",
            "features": 2048,
            "channels": "R, G and B, (x - 128) / 128",
            "resize": f"to {SIZE_PX}x{SIZE_PX} px, bilinear as TensorFlow 1: not antialiased, "
            "corners not aligned",
        }
    )
    local_sight: Facts = MappingProxyType(
        {
            "layer": f"{_LOCAL_LAYERS[-1]}; a position every 4 px, {_LOCAL_FIELD_PX} px wide",
            "features": 192,
            "channels": "R, G and B, (x - 128) / 128",
            "resize": "none",
        }
    )

    def __init__(
        self, weights: Path | None, weights_sha256: str | None, device: torch.device
    ) -> None:
        path = weights_path() if weights is None else weights
        self.digest = (weights_sha256 or SHA256).lower()
        self.device = device
        content = read_weights(path, self.digest, what=WHAT)
        self._network = _load_network(content, path).to(device)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Features:
        """Look at uint8 N3HW images of any size.

        Raises:
            DataError: images are of another shape or type.
        """
        require_rgb(images)
        with full_precision():
            return Features(*self._network(images.to(self.device)))

    @torch.inference_mode()
    def look(self, images: Tensor) -> Features:
        """Look at N3HW images in 0..255 of any type, unchecked; floats are not rounded."""
        *trunk, last = self._network.children()
        with full_precision():
            resized = interpolate_bilinear_2d_like_tensorflow1x(
                images.to(self.device).float(), size=(SIZE_PX, SIZE_PX), align_corners=False
            )
            features = torch.nn.Sequential(*trunk)((resized - 128) / 128).flatten(1)
            return Features(features, features.mm(last.weight.T))

    def local(self, images: Tensor) -> Tensor:
        """Return NPF, F = 192, what the last convolution before the second pooling gives.

        Images are looked at in their own size, as SinGAN's authors do (arXiv 1905.01164, section
        3): a feature sees 23 x 23 px, positions are 4 px apart.

        Raises:
            DataError: images are of another type, or below 23 x 23 px.
        """
        require_rgb(images)
        require_size(images, _LOCAL_FIELD_PX, self.name)
        maps = (images.to(self.device).float() - 128) / 128
        with full_precision():
            for layer in _LOCAL_LAYERS:
                maps = self._network.get_submodule(layer)(maps)
        return positions(maps)


def _load_network(content: bytes, path: Path) -> torch.nn.Module:
    # torch-fidelity unpickles whatever a file names: it is given a copy of the tensors alone.
    copy = io.BytesIO()
    try:
        torch.save(torch_files.state_dict(content, f"weights {path}"), copy)
        copy.seek(0)
        return FeatureExtractorInceptionV3(
            InceptionExtractor.name,
            ["2048", "logits_unbiased"],
            feature_extractor_weights_path=copy,
        )
    except DataError as error:
        raise WeightsError(f"{error}; {WHAT}") from None
    except RuntimeError as error:
        raise WeightsError(
            f"weights {path} are not an InceptionV3 state dict of torch-fidelity: {WHAT}"
        ) from error
