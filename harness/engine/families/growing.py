"""PGGAN and StyleGAN, which grow."""

from harness.gans.growing import ProgressiveGrowingGAN
from harness.gans.stylegan1 import StyleGAN1Model
from harness.networks.pggan import PGGANDiscriminator, PGGANGenerator
from harness.networks.stylegan1 import StyleGAN1Discriminator, StyleGAN1Generator
from harness.spec.schema import PGGAN, WGANGP, Fast, Logistic, Spec, StyleGAN1


def pggan(spec: Spec, model: PGGAN, seed: int) -> ProgressiveGrowingGAN:
    """Return PGGAN and its training step."""
    loss = spec.train.loss
    assert isinstance(loss, WGANGP)  # checks.py sees to it
    fast = spec.train.fast or Fast()
    generator = PGGANGenerator(
        model.noise_size,
        model.out_scale,
        base_channels=model.base_channels,
        max_channels=model.max_channels,
        fused_upconv=model.fused,
        paper_form=model.paper_form,
        channels_last=fast.channels_last,
        written_gradients=fast.written_gradients,
    )
    discriminator = PGGANDiscriminator(
        model.out_scale,
        base_channels=model.base_channels,
        max_channels=model.max_channels,
        mbstd_cfg={"group_size": model.mbstd_group},
        fused_convdown=model.fused,
        paper_form=model.paper_form,
        channels_last=fast.channels_last,
    )
    return ProgressiveGrowingGAN(
        generator,
        discriminator,
        growth=spec.growth,
        seed=seed,
        penalty_weight=loss.penalty_weight,
        drift_weight=loss.drift_weight,
        drift_both=loss.drift == "both",
        shared_pass=fast.shared_pass,
        written_gradients=fast.written_gradients,
        lr_per_scale=spec.train.lr_per_scale,
        reset_optimizer=spec.train.reset_optimizer_per_scale,
    )


def stylegan1(spec: Spec, model: StyleGAN1, seed: int) -> StyleGAN1Model:
    """Return StyleGAN and its training step."""
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
