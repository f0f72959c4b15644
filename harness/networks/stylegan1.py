"""StyleGAN's networks (arXiv 1812.04948), with MMagic's names and signatures.

The discriminator stands in a file of its own.

Shape letters: N images, C channels, H W pixels, Z latent, D style, L layers that take a style.
Images are NCHW float32, real ones in [-1, 1]. Level l stands for the scale 4 * 2**l; each level
has two layers that take a style.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import SpecError
from harness.networks.adain import StyleBlock
from harness.networks.layers import ConvBlock, EqualizedConv2d, PixelNorm
from harness.networks.levels import channel_widths, level_of, size_problems
from harness.networks.style_inputs import (
    StyleMode,
    Styles,
    crossover,
    latents_of,
    mode_problems,
    noise_of,
)
from harness.networks.style_layers import (
    StyleMapping,
    register_noise,
    style_layers,
    truncated,
)
from harness.networks.stylegan1_discriminator import StyleGAN1Discriminator
from harness.ranks.shares import Share
from harness.registry import MODELS

__all__ = ["StyleGAN1Discriminator", "StyleGAN1Generator"]

MEAN_DECAY = 0.995
"""Share of the old mean style that a training step keeps (1812.04948, the authors' code)."""


@MODELS.register_module()
class StyleGAN1Generator(nn.Module):
    """Progressively growing style-based generator (1812.04948, figure 1b).

    With default arguments it computes what MMagic 1.2.0 does and loads its checkpoints.
    ``paper_form=True`` follows the paper and its authors' code instead:

    - One LeakyReLU in a layer, after the noise; MMagic has another in upsampling convolutions.
    - Noise has a weight for each channel (section 2); MMagic has one for each layer.
    - The gain of the layers to RGB, which no rectifier follows, is 1, not sqrt(2).
    - Pixel and instance norm have 1e-8 under the root.
    - The mean style is followed during training and kept, as the buffer ``mean_latent``; MMagic's
      is computed when asked for, a function of the weights alone, so it is never an old one.

    Args:
        out_size: pixels of a side at full size, a power of two from 4.
        style_channels: Z, and as many D.
        num_mlps: layers of the mapping network.
        blur_kernel: taps of the filter after upsampling.
        lr_mlp: multiplier of the mapping network's learning rate.
        default_style_mode: ``"mix"`` or ``"single"``: of latents drawn here, in training mode.
        eval_style_mode: the same in evaluation mode.
        mix_prob: share of images that are mixed (section 3.1).
        base_channels: 2 * base_channels / r channels at r pixels, ...
        max_channels: ... but never more.
        paper_form: see above.

    Raises:
        SpecError: an argument is none of the above; all problems at once.
    """

    mean_latent: Tensor | None

    def __init__(
        self,
        out_size: int,
        style_channels: int,
        num_mlps: int = 8,
        blur_kernel: Sequence[float] = (1, 2, 1),
        lr_mlp: float = 0.01,
        default_style_mode: StyleMode = "mix",
        eval_style_mode: StyleMode = "single",
        mix_prob: float = 0.9,
        *,
        base_channels: int = 8192,
        max_channels: int = 512,
        paper_form: bool = False,
    ) -> None:
        super().__init__()
        modes = {"default_style_mode": default_style_mode, "eval_style_mode": eval_style_mode}
        if problems := [*size_problems("out_size", out_size), *mode_problems(**modes)]:
            raise SpecError(problems)
        widths = channel_widths(out_size, base_channels, 1.0, max_channels)
        self.out_size = out_size
        self.noise_size = style_channels
        self.default_style_mode = default_style_mode
        self.eval_style_mode = eval_style_mode
        self.mix_prob = mix_prob
        self.noise_sides = tuple(4 * 2**level for level in range(len(widths)) for _ in range(2))
        register_noise(self, self.noise_sides)
        norm = PixelNorm() if paper_form else None
        self.style_mapping = StyleMapping(style_channels, num_mlps, lr_mlp, norm)
        self.convs = nn.ModuleList(
            StyleBlock(below, width, style_channels, blur_kernel, paper_form)
            for below, width in zip([None, *widths], widths, strict=False)
        )
        gain = 1 if paper_form else 2**0.5
        self.to_rgbs = nn.ModuleList(
            ConvBlock(EqualizedConv2d(width, 3, 1, gain=gain), activate=False) for width in widths
        )
        self.register_buffer("mean_latent", torch.zeros(1, style_channels) if paper_form else None)

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
        transition_weight: float = 1.0,
        curr_scale: int = -1,
    ) -> Tensor | dict[str, Any]:
        """Make images.

        Args:
            styles: latents (N, Z), or a list of one or of two to be mixed; or a function that
                draws them, given the shape; or None, for draws from torch's global generator.
            num_batches: N; needed where styles are no tensors.
            return_noise: return a dict, see below; likewise the next.
            inject_index: first layer of the second of two styles; or one for each image, (N,).
                Drawn from torch's global generator where None.
            truncation: psi; styles are lerped from ``truncation_latent`` by it; 1 leaves them.
            truncation_latent: (1, D); ``mean_style()`` where None.
            input_is_latent: styles are style codes, (N, D) or (N, L, D).
            injected_noise: noise of each layer, (N or 1, 1, H, H), H as in ``noise_sides``.
            randomize_noise: draw noise that is not given from torch's global generator, or take
                the registered one.
            transition_weight: share in [0, 1] of the newest level; without effect at 4x4.
            curr_scale: pixels of a side, -1 for out_size.

        Returns:
            (N, 3, curr_scale, curr_scale), unbounded; with return_noise or return_latents a dict
            of ``fake_img``, ``latent`` (N, L, D), ``inject_index`` and ``noise_batch``.

        Raises:
            SpecError: curr_scale is not possible, or num_batches is needed and not given.
            DataError: styles or noise are not of the shapes above.
        """
        layers = self.layers(curr_scale)
        mode = self.default_style_mode if self.training else self.eval_style_mode
        device = self.get_buffer("injected_noise_0").device
        batch = latents_of(styles, num_batches, self.noise_size, mode, device)
        if inject_index is None:
            inject_index = crossover(styles, batch, layers, self.mix_prob)
        latent = self.latents(batch, inject_index, layers, mapped=input_is_latent)
        if truncation != 1:
            mean = self.mean_style() if truncation_latent is None else truncation_latent
            latent = truncated(latent, mean, truncation)
        registered = [self.get_buffer(f"injected_noise_{index}") for index in range(layers)]
        noise = noise_of(injected_noise, randomize_noise, registered, len(latent))
        image = self.synthesize(latent, noise, transition_weight)
        if not (return_noise or return_latents):
            return image
        made: dict[str, Any] = {"fake_img": image, "latent": latent, "noise_batch": batch}
        return made | {"inject_index": inject_index}

    def layers(self, curr_scale: int = -1) -> int:
        """Return L, the layers that take a style, at a scale in pixels."""
        return 2 * level_of(curr_scale, self.out_size) + 2

    def latents(
        self,
        styles: Sequence[Tensor],
        inject_index: int | Tensor,
        layers: int,
        *,
        mapped: bool = False,
    ) -> Tensor:
        """Map one or two latents (N, Z), unless they are, and lay them out, (N, L, D)."""
        codes = styles if mapped else [self.style_mapping(style) for style in styles]
        return style_layers(codes, inject_index, layers)[:, :layers]

    def synthesize(
        self, latent: Tensor, noise: Sequence[Tensor], transition_weight: float = 1.0
    ) -> Tensor:
        """Make images of laid-out styles (N, L, D), which decide the scale, and layers' noise."""
        level = latent.shape[1] // 2 - 1
        x = below = latent
        for step in range(level + 1):
            of_step = slice(2 * step, 2 * step + 2)
            below, x = x, self.convs[step](x, latent[:, of_step], noise[of_step])
        image: Tensor = self.to_rgbs[level](x)
        if level and transition_weight < 1:
            old = functional.interpolate(self.to_rgbs[level - 1](below), scale_factor=2)
            image = torch.lerp(old, image, transition_weight)
        return image

    @torch.no_grad()
    def follow_mean(self, styles: Tensor, share: Share | None = None) -> None:
        """Move the kept mean style towards that of a training batch (N, D), if one is kept."""
        if self.mean_latent is not None:
            styles = styles if share is None else share.gather(styles)
            self.mean_latent.lerp_(styles.mean(dim=0, keepdim=True), 1 - MEAN_DECAY)

    def mean_style(self) -> Tensor:
        """Return the mean style (1, D): the kept one, or one of the weights as they are now."""
        return self.style_mapping.mean_style() if self.mean_latent is None else self.mean_latent
