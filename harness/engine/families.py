"""The training models: from a spec's model section to networks and their training step."""

from typing import assert_never

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn

from harness.errors import SpecError
from harness.gans import singan
from harness.gans.base import GAN
from harness.gans.growing import ProgressiveGrowingGAN
from harness.gans.stylegan1 import StyleGAN1Model
from harness.networks.pggan import PGGANDiscriminator, PGGANGenerator
from harness.networks.singan import SinGANMultiScaleDiscriminator, SinGANMultiScaleGenerator
from harness.networks.stylegan1 import StyleGAN1Discriminator, StyleGAN1Generator
from harness.seeding import derive_seed
from harness.spec.schema import (
    PGGAN,
    WGANGP,
    Logistic,
    SinGAN,
    SinGANLoss,
    Spec,
    StyleGAN1,
    StyleGAN2,
)


def gan(spec: Spec, seed: int) -> GAN:
    """Return the spec's networks, initialised from ``seed``, and their training step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "initial weights"))
        model = spec.model
        match model:
            case PGGAN():
                return _pggan(spec, model, seed)
            case SinGAN():
                return _singan(spec, model, seed)
            case StyleGAN1():
                return _stylegan1(spec, model, seed)
            case StyleGAN2():
                raise SpecError([f"model.type: {model.type} is not here yet"])
    assert_never(model)


def optimizers(spec: Spec, model: GAN) -> OptimWrapperDict:
    """Return one Adam each for generator and discriminator."""
    wrappers = OptimWrapperDict(
        generator=_adam(spec, model.generator), discriminator=_adam(spec, model.discriminator)
    )
    settings = spec.train.optimizer
    first = spec.growth.scales[0]
    for _, wrapper in wrappers.items():
        for group in wrapper.param_groups:
            group["initial_lr"] = settings.lr
            group["lr"] = spec.train.lr_per_scale.get(first, settings.lr)
    return wrappers


def _pggan(spec: Spec, model: PGGAN, seed: int) -> ProgressiveGrowingGAN:
    loss = spec.train.loss
    assert isinstance(loss, WGANGP)  # checks.py sees to it
    generator = PGGANGenerator(
        model.noise_size,
        model.out_scale,
        base_channels=model.base_channels,
        max_channels=model.max_channels,
        fused_upconv=model.fused,
        paper_form=model.paper_form,
    )
    discriminator = PGGANDiscriminator(
        model.out_scale,
        base_channels=model.base_channels,
        max_channels=model.max_channels,
        mbstd_cfg={"group_size": model.mbstd_group},
        fused_convdown=model.fused,
        paper_form=model.paper_form,
    )
    return ProgressiveGrowingGAN(
        generator,
        discriminator,
        growth=spec.growth,
        seed=seed,
        penalty_weight=loss.penalty_weight,
        drift_weight=loss.drift_weight,
        drift_both=loss.drift == "both",
        lr_per_scale=spec.train.lr_per_scale,
        reset_optimizer=spec.train.reset_optimizer_per_scale,
    )


def _singan(spec: Spec, model: SinGAN, seed: int) -> singan.SinGAN:
    loss = spec.train.loss
    assert isinstance(loss, SinGANLoss)  # checks.py sees to it
    finest = len(spec.growth.scales) - 1
    channels = {
        "base_channels": model.base_channels,
        "min_feat_channels": model.min_feat_channels,
    }
    generator = SinGANMultiScaleGenerator(3, 3, finest, **channels, paper_form=model.paper_form)
    discriminator = SinGANMultiScaleDiscriminator(3, num_scales=finest, **channels)
    return singan.SinGAN(
        generator,
        discriminator,
        growth=spec.growth,
        seed=seed,
        generator_steps=model.generator_steps,
        noise_weight_init=model.noise_weight_init,
        penalty_weight=loss.penalty_weight,
        recon_weight=loss.recon_weight,
        lr_milestone=model.lr_milestone,
    )


def _stylegan1(spec: Spec, model: StyleGAN1, seed: int) -> StyleGAN1Model:
    loss = spec.train.loss
    assert isinstance(loss, Logistic)  # checks.py sees to it
    generator = StyleGAN1Generator(
        model.out_scale,
        model.noise_size,
        model.num_mlps,
        lr_mlp=model.mapping_lr,
        mix_prob=model.mixing_prob,
        base_channels=model.base_channels,
        max_channels=model.max_channels,
        paper_form=model.paper_form,
    )
    discriminator = StyleGAN1Discriminator(
        model.out_scale,
        mbstd_cfg={"group_size": model.mbstd_group},
        base_channels=model.base_channels,
        max_channels=model.max_channels,
        paper_form=model.paper_form,
    )
    return StyleGAN1Model(
        generator,
        discriminator,
        spec.growth,
        seed,
        mixing_prob=model.mixing_prob,
        r1_gamma=loss.r1_gamma,
        r1_interval=loss.r1_interval,
        lr_per_scale=spec.train.lr_per_scale,
        reset_optimizer=spec.train.reset_optimizer_per_scale,
    )


def _adam(spec: Spec, network: nn.Module) -> OptimWrapper:
    settings = spec.train.optimizer
    # Fused: one pass over all weights, on a CPU too.
    return OptimWrapper(
        torch.optim.Adam(
            network.parameters(), settings.lr, betas=settings.betas, eps=settings.eps, fused=True
        )
    )
