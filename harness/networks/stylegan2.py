"""StyleGAN2's networks (arXiv 1912.04958), with MMagic's names and signatures.

Shape letters: N images, C channels, H W pixels, Z latent, D style (as many as Z), L layers that
take a style of their own, two for each resolution.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from harness.errors import DataError, SpecError
from harness.networks.layers import PixelNorm, minibatch_stddev
from harness.networks.modulated import ResidualBlock, StyledLayer, ToRGB, conv_layer
from harness.networks.style_layers import (
    StyleLinear,
    StyleMapping,
    mixing_layers,
    register_noise,
    style_layers,
    truncated,
)
from harness.registry import MODELS

StyleMode = Literal["mix", "single"]
Draw = Callable[[tuple[int, int]], Tensor]
Styles = Tensor | Sequence[Tensor] | Draw | None

TAPS = (1, 3, 3, 1)


def _widths(
    size_name: str, size: int, multiplier: float, base: int | None, largest: int | None
) -> dict[int, int]:
    """Channels at each resolution from 4 px, by formula or, without one, MMagic's table."""
    if size < 4 or size & (size - 1):
        raise SpecError([f"{size_name} is {size}: give a power of two, 4 or more"])
    sides = [2**power for power in range(2, size.bit_length())]
    if base is None and largest is None:
        widths = {side: 512 if side <= 32 else int(16384 * multiplier / side) for side in sides}
    else:
        base, largest = base or 16384, largest or 512
        widths = {side: min(base * 2 // side, largest) for side in sides}
    if min(widths.values()) < 1:
        raise SpecError([f"channels by resolution are {widths}: raise base_channels"])
    return widths


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
        for mode in (default_style_mode, eval_style_mode):
            if mode not in ("mix", "single"):
                raise SpecError([f"style mode is {mode!r}: give 'mix' or 'single'"])
        widths = _widths("out_size", out_size, channel_multiplier, base_channels, max_channels)
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
        batch = self._batch(styles, num_batches)
        if inject_index is None:
            given = isinstance(styles, Sequence)
            share = 1.0 if given else self.mix_prob
            random = torch.default_generator
            inject_index = mixing_layers(len(batch[0]), self.num_latents, share, random)
        latent = self.latents(batch, inject_index, input_is_latent)
        if truncation != 1:
            if truncation_latent is None:
                truncation_latent = self.style_mapping.mean_style()
            latent = truncated(latent, truncation_latent, truncation)
        image = self.synthesize(latent, self._noise(len(latent), injected_noise, randomize_noise))
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

    def _batch(self, styles: Styles, num_batches: int) -> list[Tensor]:
        if isinstance(styles, Tensor):
            batch = [styles]
        elif styles is None or callable(styles):
            if num_batches < 1:
                raise SpecError([f"num_batches is {num_batches}: without styles give 1 or more"])
            shape = (num_batches, self.noise_size)
            bias = self.to_rgb1.bias
            draw = styles or (lambda shape: torch.randn(shape, device=bias.device))
            mode = self.default_style_mode if self.training else self.eval_style_mode
            batch = [draw(shape) for _ in range(2 if mode == "mix" else 1)]
        else:
            batch = list(styles)
        for style in batch:
            if style.ndim not in (2, 3) or style.shape[-1] != self.noise_size:
                raise DataError(f"styles are {tuple(style.shape)}: give (N, {self.noise_size})")
        return batch

    def _noise(
        self, count: int, given: Sequence[Tensor] | None, randomize: bool
    ) -> Sequence[Tensor]:
        sides, device = self.noise_sides, self.to_rgb1.bias.device
        if given is None and randomize:
            return [torch.randn(count, 1, side, side, device=device) for side in sides]
        if given is None:
            return [self.get_buffer(f"injected_noise_{index}") for index in range(len(sides))]
        shapes = [tuple(noise.shape[1:]) for noise in given]
        if shapes != [(1, side, side) for side in sides]:
            raise DataError(f"injected noise is {shapes}: give (N, 1, H, H) with H = {sides}")
        return given


@MODELS.register_module()
class StyleGAN2Discriminator(nn.Module):
    """Residual discriminator with filtered downsampling (1912.04958, figure 7c).

    With default arguments it computes what MMagic 1.2.0 does and loads its checkpoints.

    Args:
        in_size: pixels of a side, a power of two from 4.
        channel_multiplier: of the channels from 64 px on.
        blur_kernel: taps of the filter before downsampling.
        mbstd_cfg: ``group_size``, images in a group of the minibatch stddev, and
            ``channel_groups``, the channels that it appends. By default 4 and 1.
        base_channels: as StyleGAN2Generator's.
        max_channels: as StyleGAN2Generator's.
        paper_form: without effect: MMagic's is the paper's.

    Raises:
        SpecError: an argument is none of the above.
    """

    def __init__(
        self,
        in_size: int,
        channel_multiplier: float = 2,
        blur_kernel: Sequence[float] = TAPS,
        mbstd_cfg: Mapping[str, int] | None = None,
        *,
        base_channels: int | None = None,
        max_channels: int | None = None,
        paper_form: bool = False,
    ) -> None:
        super().__init__()
        widths = _widths("in_size", in_size, channel_multiplier, base_channels, max_channels)
        self.in_size = in_size
        self.group_size, self.groups = _mbstd(mbstd_cfg, widths[4])
        falling = list(widths.values())[::-1]
        self.convs = nn.Sequential(
            conv_layer(3, falling[0], 1),
            *(ResidualBlock(width, below, blur_kernel) for width, below in pairwise(falling)),
        )
        last = falling[-1]
        self.final_conv = conv_layer(last + self.groups, last, 3)
        self.final_linear = nn.Sequential(
            StyleLinear(last * 16, last, activate=True), StyleLinear(last, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Score images.

        Args:
            x: (N, 3, in_size, in_size), real images in [-1, 1].

        Returns:
            (N, 1), log-odds that the image is real.

        Raises:
            DataError: the images are not of the shape above.
        """
        expected = (3, self.in_size, self.in_size)
        if tuple(x.shape[1:]) != expected:
            raise DataError(f"images are {tuple(x.shape)}: give (N, C, H, W), C H W = {expected}")
        features = self.convs(x)
        spread = [
            minibatch_stddev(group, self.group_size)[:, -1:]
            for group in features.chunk(self.groups, dim=1)
        ]
        features = self.final_conv(torch.cat([features, *spread], dim=1))
        return self.final_linear(features.flatten(1))


def _mbstd(given: Mapping[str, int] | None, channels: int) -> tuple[int, int]:
    """Return group size and channel groups."""
    known = {"group_size": 4, "channel_groups": 1}
    cfg = known | dict(given or {})
    if set(cfg) != set(known) or cfg["group_size"] < 1 or channels % cfg["channel_groups"]:
        raise SpecError(
            [
                f"mbstd_cfg is {dict(given or {})}: give group_size of 1 or more and "
                f"channel_groups that divide {channels} channels"
            ]
        )
    return cfg["group_size"], cfg["channel_groups"]
