"""The training models: from a spec's model section to networks and their training step."""

from typing import assert_never

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn

from harness.errors import SpecError
from harness.gans.augment import AdaptiveAugment
from harness.gans.base import GAN
from harness.gans.growing import ProgressiveGrowingGAN
from harness.gans.stylegan1 import StyleGAN1Model
from harness.gans.stylegan2 import StyleGAN2Model, lazy_adam
from harness.networks.pggan import PGGANDiscriminator, PGGANGenerator
from harness.networks.stylegan1 import StyleGAN1Discriminator, StyleGAN1Generator
from harness.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from harness.seeding import derive_seed
from harness.spec.schema import PGGAN, WGANGP, Logistic, SinGAN, Spec, StyleGAN1, StyleGAN2


def gan(spec: Spec, seed: int) -> GAN:
    """Return the spec's networks, initialised from ``seed``, and their training step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "initial weights"))
        model = spec.model
        match model:
            case PGGAN():
                return _pggan(spec, model, seed)
            case StyleGAN1():
                return _stylegan1(spec, model, seed)
            case StyleGAN2():
                return _stylegan2(spec, model, seed)
            case SinGAN():
                raise SpecError([f"model.type: {model.type} is not here yet"])
    assert_never(model)


def optimizers(spec: Spec, model: GAN) -> OptimWrapperDict:
    """Return one Adam each for generator and discriminator."""
    lazy_g, lazy_d = _lazy_intervals(spec)
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


def _stylegan2(spec: Spec, model: StyleGAN2, seed: int) -> StyleGAN2Model:
    loss, ada = spec.train.loss, spec.train.augment
    assert isinstance(loss, Logistic)  # checks.py sees to it
    generator = StyleGAN2Generator(
        model.out_scale,
        model.noise_size,
        model.num_mlps,
        lr_mlp=model.mapping_lr,
        mix_prob=model.mixing_prob,
        paper_form=model.paper_form,
        base_channels=model.base_channels,
        max_channels=model.max_channels,
    )
    discriminator = StyleGAN2Discriminator(
        model.out_scale,
        mbstd_cfg={"group_size": model.mbstd_group},
        paper_form=model.paper_form,
        base_channels=model.base_channels,
        max_channels=model.max_channels,
    )
    augment = None
    if ada is not None:
        augment = AdaptiveAugment(model.out_scale, **ada.model_dump(exclude={"type"}))
    return StyleGAN2Model(
        generator,
        discriminator,
        spec.growth,
        seed,
        mixing_prob=model.mixing_prob,
        augment=augment,
        **loss.model_dump(exclude={"type"}),
    )


def _lazy_intervals(spec: Spec) -> tuple[int, int]:
    """Return every how many iterations the generator and the discriminator have a step more."""
    loss = spec.train.loss
    if not (isinstance(spec.model, StyleGAN2) and isinstance(loss, Logistic)):
        return 0, 0
    generator = loss.path_interval if loss.path_weight else 0
    return generator, loss.r1_interval if loss.r1_gamma and loss.r1_interval > 1 else 0


def _adam(spec: Spec, network: nn.Module, lazy_interval: int) -> OptimWrapper:
    settings = spec.train.optimizer
    lazy = lazy_adam(settings.lr, settings.betas, lazy_interval)
    # Fused: one pass over all weights, on a CPU too.
    return OptimWrapper(
        torch.optim.Adam(network.parameters(), eps=settings.eps, fused=True, **lazy)
    )
