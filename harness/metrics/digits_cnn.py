"""A small network for 8x8 digits: the extractor that ships with the harness and needs no download.

``python -m harness.metrics.digits_cnn OUT_DIR`` trains it again and writes weights and card.
Scores made with it compare runs on the digits with one another, and with nothing else.
"""

import argparse
import hashlib
import json
import platform
from pathlib import Path
from types import MappingProxyType

import numpy as np
import safetensors.torch
import sklearn
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from harness.errors import DataError, WeightsError
from harness.metrics.extractor import Features, full_precision, read_weights, require_rgb
from harness.records.protocols import Facts
from harness.seeding import generator

NAME = "digits-cnn"
SIZE_PX = 8
FEATURES = 64
CLASSES = 10
WEIGHTS = Path(__file__).parent / "weights" / "digits-cnn.safetensors"
SHA256 = "f6f76a389e9b2ad3350b84beb1fbcf76f73bb6aa8b58371e041af116b20c0cb9"

SEED = 0
EPOCHS = 60
BATCH = 64
PEAK_LR = 8e-3
WEIGHT_DECAY = 1e-2


class DigitsNetwork(nn.Module):
    """Three convolutions and two linear layers, 23 thousand weights.

    GELU keeps the features smooth in the pixels, so that small changes of a generator move a
    score a little.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.hidden = nn.Linear(32 * 2 * 2, FEATURES)
        self.output = nn.Linear(FEATURES, CLASSES)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 N388 images to features, N64, and logits, N10, both float32."""
        grey = images.float().mean(dim=1, keepdim=True) / 127.5 - 1
        x = F.gelu(self.conv1(grey))
        x = halved(F.gelu(self.conv2(x)))
        x = halved(F.gelu(self.conv3(x)))
        features = F.gelu(self.hidden(x.flatten(1)))
        return features, self.output(features)


def halved(maps: Tensor) -> Tensor:
    """Return maps NCHW of half the sides, which are even: ``avg_pool2d(maps, 2)`` to the bit."""
    # Faster on a CPU than avg_pool2d, which adds in the same order.
    first, second = maps[..., ::2, :], maps[..., 1::2, :]
    total = first[..., ::2] + first[..., 1::2]
    return (total + second[..., ::2] + second[..., 1::2]) * 0.25


class DigitsExtractor:
    """The penultimate layer (F = 64) and the logits (K = 10) of ``DigitsNetwork``.

    Args:
        weights: a safetensors file; ``None`` takes the one that ships.
        weights_sha256: its digest; ``None`` takes that of the one that ships.
        device: where to compute.

    Raises:
        WeightsError: the file is missing, another one, or not of this network.
    """

    name = NAME
    num_features = FEATURES
    num_classes = CLASSES
    sight: Facts = MappingProxyType(
        {
            "layer": "hidden, after GELU; logits of the output layer",
            "features": FEATURES,
            "channels": "R, G and B averaged, / 127.5 - 1",
            "resize": f"none: {SIZE_PX}x{SIZE_PX} px alone",
        }
    )

    def __init__(
        self, weights: Path | None, weights_sha256: str | None, device: torch.device
    ) -> None:
        path = WEIGHTS if weights is None else weights
        self.digest = (weights_sha256 or SHA256).lower()
        self.device = device
        content = read_weights(
            path, self.digest, what="reinstall the package, or train it again with this module"
        )
        self._network = DigitsNetwork().eval().requires_grad_(False)
        try:
            self._network.load_state_dict(safetensors.torch.load(content))
        except (SafetensorError, RuntimeError) as error:
            raise WeightsError(f"weights {path} are not of the {NAME} network") from error
        self._network.to(device)

    def __call__(self, images: Tensor) -> Features:
        """Look at uint8 N388 images; the three channels are averaged.

        Raises:
            DataError: images are of another shape or type.
        """
        require_rgb(images)
        if images.shape[-2:] != (SIZE_PX, SIZE_PX):
            raise DataError(
                f"{NAME} reads 8x8 images, got {images.shape[-2]}x{images.shape[-1]}: "
                "upscale_to(images, 8) for smaller ones, inception-v3-compat for others"
            )
        return self.look(images)

    @torch.inference_mode()
    def look(self, images: Tensor) -> Features:
        """Look at N388 images in 0..255 of any type, unchecked; floats are not rounded."""
        with full_precision():
            return Features(*self._network(images.to(self.device)))


def digits_split() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return scikit-learn's digits as (training, held-out), a fifth held out by class.

    Each is (images, labels): uint8 N388 with three equal channels in 0..255, and int64 N.
    """
    pixels, labels = load_digits(return_X_y=True)
    grey = torch.from_numpy(np.round(pixels * 255 / 16).astype(np.uint8))
    images = grey.view(-1, 1, SIZE_PX, SIZE_PX).expand(-1, 3, -1, -1).contiguous()
    indices = train_test_split(
        np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=SEED
    )
    target = torch.from_numpy(labels).long()
    train, held_out = ((images[i], target[i]) for i in map(torch.from_numpy, indices))
    return train, held_out


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of N images whose greatest logit, NK, is at their label."""
    return float((logits.argmax(dim=1) == labels).double().mean())


def train(images: Tensor, labels: Tensor) -> DigitsNetwork:
    """Train on uint8 N388 images and int64 labels; the same machine gives the same bits."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    network = DigitsNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK_LR, weight_decay=WEIGHT_DECAY)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LR, total_steps=steps)
    draws = generator(SEED, "digits-cnn training")
    for _ in range(EPOCHS):
        order = torch.randperm(len(images), generator=draws)
        for chosen in order[: len(order) // BATCH * BATCH].split(BATCH):
            _, logits = network(_shifted(images[chosen], draws))
            loss = F.cross_entropy(logits, labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval().requires_grad_(False)


def _shifted(images: Tensor, draws: torch.Generator) -> Tensor:
    """Move each image by -1, 0 or 1 pixel in both directions, black coming in."""
    padded = F.pad(images, (1, 1, 1, 1))
    dy, dx = torch.randint(3, (2, len(images), 1), generator=draws)
    side = torch.arange(SIZE_PX)
    rows, columns = (dy + side)[:, None, :, None], (dx + side)[:, None, None, :]
    image, channel = torch.arange(len(images))[:, None, None, None], torch.arange(3)[:, None, None]
    return padded[image, channel, rows, columns]


def write(out_dir: Path) -> float:
    """Train, write ``digits-cnn.safetensors`` and its card, and return the held-out accuracy."""
    (images, labels), (held_out, held_out_labels) = digits_split()
    network = train(images, labels)
    measured = accuracy(network(held_out)[1], held_out_labels)
    content = safetensors.torch.save(network.state_dict())
    card = {
        "name": NAME,
        "sha256": hashlib.sha256(content).hexdigest(),
        "architecture": str(network).splitlines(),
        "weights": sum(parameter.numel() for parameter in network.parameters()),
        "input": "uint8 N388 in 0..255; channels averaged; / 127.5 - 1",
        "data": "sklearn.datasets.load_digits: 1797 images, pixels 0..16 as round(v * 255 / 16)",
        "split": f"stratified, 20 % held out, train_test_split(random_state={SEED})",
        "recipe": {
            "optimizer": "AdamW with OneCycleLR",
            "peak_lr": PEAK_LR,
            "weight_decay": WEIGHT_DECAY,
            "epochs": EPOCHS,
            "batch_size": BATCH,
            "augmentation": "shifts of up to 1 pixel",
            "seed": SEED,
        },
        "accuracy": {
            "training": accuracy(network(images)[1], labels),
            "held_out": measured,
            "held_out_images": len(held_out),
        },
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
        },
    }
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / WEIGHTS.name).write_bytes(content)
    (out_dir / f"{NAME}.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return measured


def main() -> None:
    """Train into the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out_dir", type=Path, help="folder for the weights and their card")
    print(f"held-out accuracy {write(parser.parse_args().out_dir):.4f}")


if __name__ == "__main__":
    main()
