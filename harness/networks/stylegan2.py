"""StyleGAN2's networks (arXiv 1912.04958), with MMagic's names and signatures.

The discriminator stands in a file of its own.

Shape letters: N images, C channels, H W pixels, Z latent, D style (as many as Z), L layers that
take a style of their own, two for each resolution.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import SpecError
from harness.networks.layers import PixelNorm
from harness.networks.modulated import TAPS, StyledLayer, ToRGB, channels_by_side
from harness.networks.style_inputs import (
    StyleMode,
    Styles,
    crossover,
    latents_of,
    mode_problems,
    noise_of,
)
from harness.networks.style_layers import StyleMapping, register_noise, style_layers, truncated
from harness.networks.stylegan2_discriminator import StyleGAN2Discriminator
from harness.registry import MODELS

__all__ = ["StyleGAN2Discriminator", "StyleGAN2Generator"]


class ConstantInput(nn.Module):
    """The learned features (1, C, 4, 4) that every image begins with."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))


@MODELS.register_module()
class StyleGAN2Generator(nn.Module):
    """Generator with weight demodulation and skips to RGB (1912.04958, figures 2d and 7b).

    With default arguments it computes what MMagic 1.2.0 does and loads its checkpoints.
    ``paper_form=True`` normalises the latent with 1e-8 under the root, where MMagic adds 1e-6 to
    the root.

    Args:
        out_size: pixels of a side, a power of two from 4.
        style_channels: Z and D.
        num_mlps: layers of the mapping network.
        channel_multiplier: of the channels from 64 px on.
        blur_kernel: taps of the filter after upsampling.
        lr_mlp: multiplier of the mapping network's learning rate.
        default_style_mode: whether styles that are drawn here are mixed while training: ``mix``
            or ``single``.
        eval_style_mode: the same in eval mode.
        mix_prob: share of images whose styles are mixed.
        base_channels: instead of MMagic's table, min(base_channels * 2 / r, max_channels)
            channels at r pixels; 16384 where only the other is given.
        max_channels: see base_channels; 512 where only the other is given.
        paper_form: see above.

    Raises:
        SpecError: an argument is none of the above.
    """

    def __init__(
        self,
        out_size: int,
        style_channels: int,
        num_mlps: int = 8,
        channel_multiplier: float = 2,
        blur_kernel: Sequence[float] = TAPS,
        lr_mlp: float = 0.01,
        default_style_mode: StyleMode = "mix",
        eval_style_mode: StyleMode = "single",
        mix_prob: float = 0.9,
        *,
        base_channels: int | None = None,
        max_channels: int | None = None,
        paper_form: bool = False,
    ) -> None:
        super().__init__()
        modes = {"default_style_mode": default_style_mode, "eval_style_mode": eval_style_mode}
        problems = mode_problems(**modes)
        if problems:
            raise SpecError(problems)
        widths = channels_by_side(
            "out_size", out_size, channel_multiplier, base_channels, max_channels
        )
        self.out_size = out_size
        self.noise_size = style_channels
        self.default_style_mode = default_style_mode
        self.eval_style_mode = eval_style_mode
        self.mix_prob = mix_prob
        self.num_latents = 2 * len(widths)
        self.noise_sides = (4, *(side for side in widths if side > 4 for _ in range(2)))
        register_noise(self, self.noise_sides)
        norm = PixelNorm() if paper_form else None
        self.style_mapping = StyleMapping(style_channels, num_mlps, lr_mlp, norm)
        self.constant_input = ConstantInput(widths[4])
        self.conv1 = StyledLayer(widths[4], widths[4], style_channels)
        self.to_rgb1 = ToRGB(widths[4], style_channels)
        convs: list[StyledLayer] = []
        for below, width in pairwise(widths.values()):
            convs.append(StyledLayer(below, width, style_channels, blur_kernel))
            convs.append(StyledLayer(width, width, style_channels))
        self.convs = nn.ModuleList(convs)
        self.to_rgbs = nn.ModuleList(
            ToRGB(width, style_channels, blur_kernel) for width in list(widths.values())[1:]
        )

    def forward(
        self,
        styles: Styles,
        num_batches: int = -1,
        return_noise: bool = False,
        return_latents: bool = False,
        inject_index: int | Tensor | None = None,
        truncation: float = 1,
        truncation_latent: Tensor | None = None,
        input_is_latent: bool = False,
        injected_noise: Sequence[Tensor] | None = None,
        randomize_noise: bool = True,
    ) -> Tensor | dict[str, Any]:
        """Make images.

        Args:
            styles: latents (N, Z), or a list of one or of two to be mixed; or a function that
                draws them, given the shape; or None, for draws from torch's global generator.
            num_batches: N; needed where styles are no tensors.
            return_noise: return a dict; see below.
            return_latents: return a dict; see below.
            inject_index: first layer of the second of two styles; or one for each image, (N,).
                Drawn from torch's global generator where None.
            truncation: psi; styles are lerped from ``truncation_latent`` by it; 1 leaves them.
            truncation_latent: (1, D); the mean of 4096 styles where None.
            input_is_latent: styles are outputs of the mapping network, (N, D) or (N, L, D).
            injected_noise: noise of each layer, (N or 1, 1, H, W) of ``noise_sides``.
            randomize_noise: draw the noise from torch's global generator where none is given;
                else take the registered one.

        Returns:
            (N, 3, out_size, out_size), unbounded; with return_noise or return_latents a dict of
            ``fake_img``, ``latent`` (N, L, D), ``inject_index`` and ``noise_batch``.

        Raises:
            SpecError: num_batches is needed and not given.
            DataError: styles or noise are not of the shapes above.
        """
        mode = self.default_style_mode if self.training else self.eval_style_mode
        device = self.to_rgb1.bias.device
        batch = latents_of(styles, num_batches, self.noise_size, mode, device)
        if inject_index is None:
            inject_index = crossover(styles, batch, self.num_latents, self.mix_prob)
        latent = self.latents(batch, inject_index, input_is_latent)
        if truncation != 1:
            if truncation_latent is None:
                truncation_latent = self.style_mapping.mean_style()
            latent = truncated(latent, truncation_latent, truncation)
        sides = range(len(self.noise_sides))
        registered = [self.get_buffer(f"injected_noise_{index}") for index in sides]
        noise = noise_of(injected_noise, randomize_noise, registered, len(latent))
        image = self.synthesize(latent, noise)
        if not (return_noise or return_latents):
            return image
        return {
            "fake_img": image,
            "latent": latent,
            "inject_index": inject_index,
            "noise_batch": batch,
        }

    def latents(
        self, styles: Sequence[Tensor], inject_index: int | Tensor, mapped: bool = False
    ) -> Tensor:
        """Map one or two latents (N, Z) and lay them out over the layers, (N, L, D)."""
        mapping: Callable[[Tensor], Tensor] = nn.Identity() if mapped else self.style_mapping
        return style_layers([mapping(style) for style in styles], inject_index, self.num_latents)

    def synthesize(self, latent: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Make images of laid-out styles (N, L, D) and each layer's noise."""
        styles = latent.unbind(dim=1)
        x = self.constant_input.input.expand(len(latent), -1, -1, -1)
        x = self.conv1(x, styles[0], noise[0])
        image = self.to_rgb1(x, styles[1])
        for level, to_rgb in enumerate(self.to_rgbs):
            at = 2 * level + 1
            x = self.convs[at - 1](x, styles[at], noise[at])
            x = self.convs[at](x, styles[at + 1], noise[at + 1])
            image = to_rgb(x, styles[at + 2], image)
        return image
