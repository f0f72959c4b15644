"""The training models: from a spec's model section to networks and their training step.

A family, a function: each makes the networks and the model that trains them.
"""

from typing import assert_never

import torch
from mmengine.optim import OptimWrapperDict
from torch import nn

from harness.engine.families.growing import pggan, stylegan1
from harness.engine.families.singan import singan
from harness.engine.families.stylegan2 import lazy_intervals, stylegan2
from harness.engine.summed import SummedOptimWrapper
from harness.gans.base import GAN
from harness.gans.stylegan2 import lazy_adam
from harness.seeding import derive_seed
from harness.spec.schema import PGGAN, SinGAN, Spec, StyleGAN1, StyleGAN2


def gan(spec: Spec, seed: int) -> GAN:
    """Return the spec's networks, initialised from ``seed``, and their training step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "initial weights"))
        model = spec.model
        match model:
            case PGGAN():
                return pggan(spec, model, seed)
            case StyleGAN1():
                return stylegan1(spec, model, seed)
            case StyleGAN2():
                return stylegan2(spec, model, seed)
            case SinGAN():
                return singan(spec, model, seed)
    assert_never(model)


def optimizers(spec: Spec, model: GAN) -> OptimWrapperDict:
    """Return one Adam each for generator and discriminator."""
    lazy_g, lazy_d = lazy_intervals(spec)
    wrappers = OptimWrapperDict(
        generator=_adam(spec, model.generator, lazy_g),
        discriminator=_adam(spec, model.discriminator, lazy_d),
    )
    own = spec.train.optimizer.lr
    first = spec.train.lr_per_scale.get(spec.growth.scales[0], own)
    for _, wrapper in wrappers.items():
        for group in wrapper.param_groups:
            group["initial_lr"] = group["lr"]
            group["lr"] *= first / own
    return wrappers


def _adam(spec: Spec, network: nn.Module, lazy_interval: int) -> SummedOptimWrapper:
    settings = spec.train.optimizer
    lazy = lazy_adam(settings.lr, settings.betas, lazy_interval)
    # Fused: one pass over all weights, on a CPU too.
    return SummedOptimWrapper(
        torch.optim.Adam(network.parameters(), eps=settings.eps, fused=True, **lazy)
    )
