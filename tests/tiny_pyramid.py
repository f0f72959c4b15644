"""A small real SinGAN of three scales, its optimizers, and the image it learns."""

from typing import Any

import numpy as np
import torch
from tiny_gan import NoArms, adams
from torch.utils.data import DataLoader

from harness.data.growing import GrowingImages
from harness.data.order import ShownImages
from harness.engine.loops import EvaluationLoop, ImagesTrainLoop
from harness.gans.singan import SinGAN
from harness.networks.singan import SinGANMultiScaleDiscriminator, SinGANMultiScaleGenerator
from harness.spec.growth import GrowthSchedule

SIZES = ((8, 9), (9, 12), (11, 15))
STEPS = 2
"""Images in a batch, and critic steps in an iteration."""
SMALL = {"base_channels": 4, "min_feat_channels": 4, "num_layers": 3}


def growth_of(iterations: int) -> GrowthSchedule:
    """Return the stages of a pyramid that trains so many iterations at each scale."""
    sides, count = tuple(max(size) for size in SIZES), len(SIZES)
    return GrowthSchedule(sides, (iterations * STEPS,) * count, 0, (STEPS,) * count)


def tiny_singan(iterations: int = 5, seed: int = 0, **settings: Any) -> SinGAN:
    """Return a SinGAN whose initial weights are a function of the seed."""
    finest = len(SIZES) - 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = SinGANMultiScaleGenerator(3, 3, finest, **SMALL, paper_form=True)
        discriminator = SinGANMultiScaleDiscriminator(3, num_scales=finest, **SMALL)
    settings = {"generator_steps": STEPS, **settings}
    return SinGAN(generator, discriminator, growth_of(iterations), seed, **settings)


def reals() -> dict[int, np.ndarray]:
    """Return a smooth picture at each scale, by its longer side: uint8 (1, 3, H, W)."""
    return {max(size): _picture(*size) for size in SIZES}


def _picture(height: int, width: int) -> np.ndarray:
    y, x = (np.arange(side) / side for side in (height, width))
    waves = np.stack([np.sin(6 * y[:, None] + k * x[None, :]) for k in (2, 4, 9)])
    return (127.5 + 120 * waves).astype(np.uint8)[None]


def singan_loader(gan: SinGAN) -> DataLoader:
    """Return the loader that runs use."""
    dataset = GrowingImages(reals())
    order = ShownImages(len(dataset), gan.next_batch_size, gan.seed)
    return DataLoader(dataset, batch_sampler=order, collate_fn=GrowingImages.batch_collate)


def trained(gan: SinGAN, optimizers: Any, steps: int) -> list[dict[str, float]]:
    """Take steps of training and return their losses."""
    pictures, losses = reals(), []
    for _ in range(steps):
        batch = torch.from_numpy(pictures[gan.next_scale]).expand(STEPS, -1, -1, -1)
        losses.append(gan.train_step({"inputs": batch}, optimizers))
    return [{name: float(value) for name, value in step.items()} for step in losses]


def singan_settings(gan: SinGAN, total_images: int, **more: Any) -> dict[str, Any]:
    """Return what ``make_runner`` needs to train a SinGAN as the harness does."""
    return {
        "model": gan,
        "train_dataloader": singan_loader(gan),
        "train_cfg": {
            "type": ImagesTrainLoop,
            "total_images": total_images,
            "eval_images": 10**9,
            "max_iters": gan.growth.iterations(total_images),
        },
        "val_dataloader": [],
        "val_cfg": {"type": EvaluationLoop},
        "val_evaluator": NoArms(),
        "optim_wrapper": adams(gan),
        "default_hooks": {
            "logger": None,
            "checkpoint": None,
            "runtime_info": None,
            "sampler_seed": None,
        },
        **more,
    }
