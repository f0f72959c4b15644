"""SinGAN, whose scales are those of its image."""

from harness.gans.singan import SinGAN as SinGANModel
from harness.networks.singan import SinGANMultiScaleDiscriminator, SinGANMultiScaleGenerator
from harness.spec.schema import SinGAN, SinGANLoss, Spec


def singan(spec: Spec, model: SinGAN, seed: int) -> SinGANModel:
    """Return SinGAN and its training step."""
    loss = spec.train.loss
    assert isinstance(loss, SinGANLoss)  # checks.py sees to it
    finest = len(spec.growth.scales) - 1
    generator = SinGANMultiScaleGenerator(
        *(3, 3, finest),
        base_channels=model.base_channels,
        min_feat_channels=model.min_feat_channels,
        paper_form=model.paper_form,
    )
    discriminator = SinGANMultiScaleDiscriminator(
        3,
        num_scales=finest,
        base_channels=model.base_channels,
        min_feat_channels=model.min_feat_channels,
    )
    return SinGANModel(
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
