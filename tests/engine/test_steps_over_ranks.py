"""Steps of each family in float64: the weights of 2 and 3 processes are those of one."""

import pytest
import torch
from many_processes import together
from mmengine.optim import OptimWrapperDict
from tiny_gan import tiny_gan
from tiny_stylegan2 import SMALL

from harness.engine.summed import SummedOptimWrapper
from harness.gans import growing, stylegan2
from harness.gans.augment import AdaptiveAugment
from harness.gans.stylegan1 import StyleGAN1Model
from harness.gans.stylegan2 import StyleGAN2Model
from harness.networks.layers import PixelNorm
from harness.networks.stylegan1 import StyleGAN1Discriminator, StyleGAN1Generator
from harness.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from harness.ranks.shares import TOTAL, Share
from harness.spec.growth import GrowthSchedule

BATCH = 7
GROWTH = GrowthSchedule((4, 8), (14, 100), 14, (BATCH, BATCH))
STEPS = 6
"""Two at 4 px, two while 8 px fade in, two after."""


def exact(images):
    return images.double().div(127.5).sub(1)


def pggan(**settings):
    gan = tiny_gan(growth=GROWTH, **settings)
    for module in gan.generator.modules():
        if isinstance(module, PixelNorm):
            module.written = settings.get("written_gradients", False)
    return gan


def noisy(generator):
    """Let injected noise count."""
    for name, parameter in generator.named_parameters():
        if "noise_injector" in name:
            torch.nn.init.constant_(parameter, 0.3)
    return generator


def stylegan1(**settings):
    small = {"base_channels": 32, "max_channels": 8, "paper_form": True}
    generator = noisy(StyleGAN1Generator(8, 6, 2, **small))
    discriminator = StyleGAN1Discriminator(8, **small)
    return StyleGAN1Model(generator, discriminator, GROWTH, 3, **settings)


def stylegan2_of(mbstd_cfg=None, ada=None, **settings):
    generator = noisy(StyleGAN2Generator(8, 6, 2, **SMALL))
    discriminator = StyleGAN2Discriminator(8, mbstd_cfg=mbstd_cfg, **SMALL)
    augment = None if ada is None else AdaptiveAugment(8, **ada)
    growth = GrowthSchedule((8,), (1000,), 0, (BATCH,))
    return StyleGAN2Model(generator, discriminator, growth, 3, augment=augment, **settings)


FAMILIES = {
    "PGGAN": lambda: pggan(drift_both=True),
    "PGGAN, fast": lambda: pggan(shared_pass=True, written_gradients=True),
    "StyleGAN1": lambda: stylegan1(r1_interval=2),
    "StyleGAN2": lambda: stylegan2_of(r1_interval=1, path_interval=2, path_batch_shrink=1),
    "StyleGAN2, lazy, ADA": lambda: stylegan2_of(
        {"group_size": None, "channel_groups": 2},
        {"initial_p": 0.6, "adjust_kimg": 0.03, "interval": 2},
        r1_interval=3,
        path_interval=2,
        path_decay=0.3,
    ),
}


def batch_for(gan):
    """Return this process's rows of the batch that is due, as a function of the images shown."""
    random = torch.Generator().manual_seed(gan.images_shown)
    side, share = gan.next_scale, Share.own(BATCH)
    pixels = torch.randint(256, (BATCH, 3, side, side), generator=random, dtype=torch.uint8)
    batch = {"inputs": share.take(pixels)}
    return batch if share.alone else batch | {TOTAL: BATCH}


def descent(network):
    return torch.optim.SGD(network.parameters(), lr=0.02)


def adam(network):
    return torch.optim.Adam(network.parameters(), lr=0.001, betas=(0.0, 0.99), fused=True)


def stepped(rank, name, optimizer=descent, steps=STEPS):
    """Return all losses and the state after some steps; this is a process of its own."""
    torch.set_default_dtype(torch.float64)
    growing.to_float = stylegan2.to_float = exact
    torch.manual_seed(0)
    gan = FAMILIES[name]().double()
    optimizers = OptimWrapperDict(
        **{
            each: SummedOptimWrapper(optimizer(network), clip_grad={"max_norm": 0.1})
            for each, network in (
                ("generator", gan.generator),
                ("discriminator", gan.discriminator),
            )
        }
    )
    losses = [gan.train_step(batch_for(gan), optimizers) for _ in range(steps)]
    tensors = {k: v for k, v in gan.state_dict().items() if isinstance(v, torch.Tensor)}
    return losses, tensors, [gan.images_shown, getattr(gan, "augment", None) and gan.augment.p]


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_and_losses_are_those_of_one_process(name, tmp_path):
    ((losses, state, counters),) = together(1, tmp_path, stepped, name)
    for count in (2, 3):
        for found in together(count, tmp_path, stepped, name):
            torch.testing.assert_close(found[0], losses, rtol=1e-8, atol=1e-12)
            torch.testing.assert_close(found[1], state, rtol=1e-8, atol=1e-11)
            assert found[2] == counters


def test_fifty_steps_of_adam_are_those_of_one_process(tmp_path):
    ((losses, _, _),) = together(1, tmp_path, stepped, "StyleGAN1", adam, 50)
    for found, _, _ in together(3, tmp_path, stepped, "StyleGAN1", adam, 50):
        torch.testing.assert_close(found, losses, rtol=1e-6, atol=1e-9)


def drawn(rank):
    torch.set_default_dtype(torch.float64)
    gan, share = stylegan1(), Share.own(BATCH)
    gan._scale = 8
    gan.images_shown = 30
    images, styles = gan._generate("generator latents", share, gan.stage)
    return share.gather(images.detach()), share.gather(styles.detach())


def test_images_are_those_of_one_process(tmp_path):
    torch.manual_seed(0)  # forked processes begin alike
    (expected,) = together(1, tmp_path, drawn)
    for found in together(3, tmp_path, drawn):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
