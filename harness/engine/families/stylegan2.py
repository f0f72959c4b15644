"""StyleGAN2, with ADA where it is asked for."""

from harness.gans.augment import AdaptiveAugment
from harness.gans.stylegan2 import StyleGAN2Model
from harness.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from harness.spec.schema import Logistic, Spec, StyleGAN2


def stylegan2(spec: Spec, model: StyleGAN2, seed: int) -> StyleGAN2Model:
    """Return StyleGAN2 and its training step."""
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


def lazy_intervals(spec: Spec) -> tuple[int, int]:
    """Return every how many iterations the generator and the discriminator have a step more."""
    loss = spec.train.loss
    if not (isinstance(spec.model, StyleGAN2) and isinstance(loss, Logistic)):
        return 0, 0
    generator = loss.path_interval if loss.path_weight else 0
    return generator, loss.r1_interval if loss.r1_gamma and loss.r1_interval > 1 else 0
