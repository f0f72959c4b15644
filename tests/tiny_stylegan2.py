"""A small real StyleGAN2 with its optimizers and batches."""

from typing import Any

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict

from harness.gans.augment import AdaptiveAugment
from harness.gans.stylegan2 import StyleGAN2Model
from harness.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from harness.spec.growth import GrowthSchedule

BATCH = 4
SMALL = {"base_channels": 16, "max_channels": 4}


def tiny_stylegan2(seed: int = 0, *, ada: dict[str, Any] | None = None, **settings: Any):
    """Return a StyleGAN2 of 8 px and 4 channels whose weights are a function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = StyleGAN2Generator(8, 6, 2, **SMALL)
        discriminator = StyleGAN2Discriminator(8, **SMALL)
    augment = None if ada is None else AdaptiveAugment(8, **ada)
    growth = GrowthSchedule((8,), (1000,), 0, (BATCH,))
    return StyleGAN2Model(generator, discriminator, growth, seed, augment=augment, **settings)


def adams(gan: StyleGAN2Model, lr: float = 0.002) -> OptimWrapperDict:
    """Return one Adam each for generator and discriminator."""
    networks = {"generator": gan.generator, "discriminator": gan.discriminator}
    return OptimWrapperDict(
        **{
            name: OptimWrapper(torch.optim.Adam(net.parameters(), lr, betas=(0.0, 0.99)))
            for name, net in networks.items()
        }
    )


def batch_for(gan: StyleGAN2Model) -> dict[str, torch.Tensor]:
    """Return the batch that is due, as a function of the images shown."""
    random = torch.Generator().manual_seed(gan.images_shown)
    shape = (BATCH, 3, 8, 8)
    return {"inputs": torch.randint(256, shape, generator=random, dtype=torch.uint8)}


def trained(gan: StyleGAN2Model, optimizers: OptimWrapperDict, steps: int):
    """Train and return the losses of each step as numbers."""
    losses = [gan.train_step(batch_for(gan), optimizers) for _ in range(steps)]
    return [{name: float(value) for name, value in step.items()} for step in losses]
