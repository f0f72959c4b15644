"""A small real PGGAN, its optimizers, and images that carry their own number."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch.utils.data import DataLoader

from harness.data.growing import GrowingImages
from harness.data.order import ShownImages
from harness.engine.loops import EvaluationLoop, ImagesTrainLoop
from harness.gans.growing import ProgressiveGrowingGAN
from harness.networks.pggan import PGGANDiscriminator, PGGANGenerator
from harness.spec.growth import GrowthSchedule

NOISE_SIZE = 6
NUM_IMAGES = 30
SMALL = {"base_channels": 32, "max_channels": 8}
GROWTH = GrowthSchedule((4, 8, 16), (16, 24, 40), 12, (4, 4, 2))
"""Batches of 4 at 4 px until 16 images, of 4 at 8 px until 40, of 2 at 16 px from there."""


def tiny_gan(seed: int = 0, growth: GrowthSchedule = GROWTH, **settings: Any):
    """Return a PGGAN of 8, 8 and 4 channels whose initial weights are a function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = PGGANGenerator(NOISE_SIZE, 16, **SMALL)
        discriminator = PGGANDiscriminator(16, **SMALL)
    return ProgressiveGrowingGAN(generator, discriminator, growth, seed, **settings)


def adams(gan: ProgressiveGrowingGAN, lr: float = 0.002) -> OptimWrapperDict:
    """Return one Adam each for generator and critic."""
    networks = {"generator": gan.generator, "discriminator": gan.discriminator}
    return OptimWrapperDict(
        **{
            name: OptimWrapper(torch.optim.Adam(net.parameters(), lr, betas=(0.0, 0.99)))
            for name, net in networks.items()
        }
    )


def numbered(scales: Sequence[int] = GROWTH.scales) -> dict[int, np.ndarray]:
    """Return images at each scale; every pixel of image n has the value n."""
    numbers = np.arange(NUM_IMAGES, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return {scale: numbers.repeat(3, 1).repeat(scale, 2).repeat(scale, 3) for scale in scales}


def numbers_of(batch: dict[str, torch.Tensor]) -> list[int]:
    """Return which images a batch holds."""
    return batch["inputs"][:, 0, 0, 0].tolist()


def growing_loader(growth: GrowthSchedule = GROWTH, seed: int = 0):
    """Return the loader that runs use."""
    dataset = GrowingImages(numbered(growth.scales))
    order = ShownImages(len(dataset), growth.batch_sizes[0], seed)
    return DataLoader(dataset, batch_sampler=order, collate_fn=GrowingImages.batch_collate)


class NoArms:
    """Measures nothing."""

    def evaluate(self, model, iteration):
        return {}


def gan_settings(
    gan: ProgressiveGrowingGAN,
    total_images: int = 64,
    *,
    eval_images: int = 10**9,
    evaluator: Any = None,
    lr: float = 0.002,
) -> dict[str, Any]:
    """Return what ``make_runner`` needs to train a GAN as the harness does."""
    return {
        "model": gan,
        "train_dataloader": growing_loader(gan.growth, gan.seed),
        "train_cfg": {
            "type": ImagesTrainLoop,
            "total_images": total_images,
            "eval_images": eval_images,
            "max_iters": gan.growth.iterations(total_images),
        },
        "val_dataloader": [],
        "val_cfg": {"type": EvaluationLoop},
        "val_evaluator": evaluator or NoArms(),
        "optim_wrapper": adams(gan, lr),
        "default_hooks": {
            "logger": None,
            "checkpoint": None,
            "runtime_info": None,
            "sampler_seed": None,
        },
    }


class Batches(Hook):
    """Notes the images shown before each batch and the batch."""

    def __init__(self):
        self.seen: list[tuple[int, torch.Tensor]] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen.append((runner.model.images_shown, data_batch["inputs"].clone()))


def same_bits(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    """Tell whether two modules hold the same weights to the last bit."""
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
