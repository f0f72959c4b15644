"""SinGAN's networks: a small fully convolutional block for each scale (arXiv 1905.01164).

Shape letters: N images, C channels, H W pixels, S scales. Scales are counted from 0, the coarsest,
as in MMagic; the paper counts them the other way round.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import DataError, SpecError
from harness.networks.singan_blocks import MultiScale
from harness.registry import MODELS

_TANH = {"type": "Tanh"}


@MODELS.register_module()
class SinGANMultiScaleGenerator(MultiScale):
    """Generators of all scales; each adds detail to the enlarged image of the one below (eq. 2).

    With default arguments it computes what MMagic 1.2.0 does and loads its checkpoints.
    ``paper_form=True`` enlarges by pixel centres, as pyramids of images are made; MMagic by the
    images' corners, which moves what it enlarges by up to half a pixel of the coarser image.

    Args:
        in_channels: an image's channels.
        out_channels: likewise.
        num_scales: number of the finest scale, counted from 0: there is one block more.
        kernel_size: of every convolution, odd.
        padding: of every convolution: 0 pads once, before the first one, by as much as all of them
            take; ``kernel_size // 2`` pads before each.
        num_layers: convolutions of a block.
        base_channels: features after a block's first layer, doubled every four scales up to 128;
            each further layer has half as many...
        min_feat_channels: ... but never fewer than this, which is doubled likewise.
        out_act_cfg: ``{"type": "Tanh"}``, or None for no last activation.
        paper_form: see above.

    Raises:
        SpecError: an argument is none of the above; all problems at once.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_scales: int,
        kernel_size: int = 3,
        padding: int = 0,
        num_layers: int = 5,
        base_channels: int = 32,
        min_feat_channels: int = 32,
        out_act_cfg: Mapping[str, Any] | None = _TANH,
        *,
        paper_form: bool = False,
    ) -> None:
        channels = (base_channels, min_feat_channels)
        kernel = (kernel_size, padding)
        super().__init__(in_channels, out_channels, kernel, num_layers, num_scales, channels)
        if out_act_cfg not in (None, _TANH):
            raise SpecError([f"out_act_cfg is {out_act_cfg}: give {_TANH} or None"])
        self.activation = nn.Identity() if out_act_cfg is None else nn.Tanh()
        self.margin = 0 if padding else num_layers * (kernel_size // 2)
        self.paper_form = paper_form

    def forward(
        self,
        input_sample: Tensor | None,
        fixed_noises: Sequence[Tensor],
        noise_weights: Sequence[float],
        rand_mode: str,
        curr_scale: int,
        num_batches: int = 1,
        get_prev_res: bool = False,
        return_noise: bool = False,
        *,
        start_scale: int = 0,
    ) -> Tensor | dict[str, Any]:
        """Make images from coarse to fine (equations 1 and 2).

        Args:
            input_sample: N C HW of ``start_scale``, to which that scale adds detail; None for
                zeros.
            fixed_noises: one noise map a scale from 0 on, N or 1 images of 1 or C channels; they
                also give the scales' sizes.
            noise_weights: sigma_n of each scale.
            rand_mode: ``recon`` takes ``fixed_noises``; ``rand`` draws noise of their shapes from
                torch's global generator.
            curr_scale: the last scale to be computed.
            num_batches: N, where neither images nor noises say it.
            get_prev_res: return the images of all scales before ``curr_scale`` too, enlarged.
            return_noise: return the noise too.
            start_scale: the first scale to be computed.

        Returns:
            N C HW of ``curr_scale``, not clamped; or, if more was asked for, a dict of
            ``fake_img``, ``prev_res_list`` and ``noise_batch``, lists by scale.

        Raises:
            SpecError: a scale or ``rand_mode`` is not possible.
            DataError: noises or weights are too few, or the image is of another shape.
        """
        self.check_scale(curr_scale)
        self._check_scales(start_scale, curr_scale, fixed_noises, noise_weights, rand_mode)
        image = self._first(input_sample, fixed_noises[start_scale], num_batches)
        below, noises = [], []
        for scale in range(start_scale, curr_scale + 1):
            fixed = fixed_noises[scale]
            if scale > start_scale:
                image = self.enlarge(image, fixed.shape[-2:])
                below.append(image)
            noise = fixed if rand_mode == "recon" else _like(fixed, len(image))
            noises.append(noise)
            image = self.step(scale, image, noise, noise_weights[scale])
        if not get_prev_res and not return_noise:
            return image
        return {"fake_img": image, "prev_res_list": below, "noise_batch": noises}

    def step(self, scale: int, image: Tensor, noise: Tensor, weight: float) -> Tensor:
        """Add a scale's detail: x + psi(sigma z + x) (equation 3).

        Args:
            scale: which one's.
            image: N C HW, of any size; enlarged from the scale below.
            noise: N or 1 images of 1 or C channels, of that size.
            weight: sigma, the noise's amplitude.
        """
        padded = functional.pad(image + noise * weight, (self.margin,) * 4)
        return image + self.activation(self.blocks[scale](padded))

    def enlarge(self, image: Tensor, size: Sequence[int]) -> Tensor:
        """Return images N C HW at another size in px, (H, W): bicubic."""
        corners = not self.paper_form
        return functional.interpolate(image, tuple(size), mode="bicubic", align_corners=corners)

    def _first(self, given: Tensor | None, noise: Tensor, num_batches: int) -> Tensor:
        height, width = noise.shape[-2:]
        if given is None:
            count = max(num_batches, len(noise))
            return noise.new_zeros(count, self.in_channels, height, width)
        expected = (self.in_channels, height, width)
        if given.ndim != 4 or tuple(given.shape[1:]) != expected:
            raise DataError(f"images are {tuple(given.shape)}: give N C H W, C H W = {expected}")
        return given

    def _check_scales(
        self,
        start: int,
        last: int,
        noises: Sequence[Tensor],
        weights: Sequence[float],
        rand_mode: str,
    ) -> None:
        if not 0 <= start <= last:
            raise SpecError([f"start_scale is {start}: give 0 to {last}"])
        if rand_mode not in ("rand", "recon"):
            raise SpecError([f"rand_mode is {rand_mode!r}: give 'rand' or 'recon'"])
        if min(len(noises), len(weights)) <= last:
            raise DataError(
                f"{len(noises)} noises and {len(weights)} weights: scale {last} needs {last + 1}"
            )


@MODELS.register_module()
class SinGANMultiScaleDiscriminator(MultiScale):
    """Patch critics of all scales (arXiv 1905.01164, section 2): a score for each 11 x 11 patch.

    Args:
        in_channels: an image's channels.
        kernel_size: of every convolution, odd.
        padding: of every convolution; 0, or ``kernel_size // 2`` to score patches at the border.
        num_layers: convolutions of a block.
        num_scales: number of the finest scale, counted from 0: there is one block more.
        base_channels: as in SinGANMultiScaleGenerator.
        min_feat_channels: likewise.

    Raises:
        SpecError: an argument is none of the above; all problems at once.
    """

    def __init__(
        self,
        in_channels: int,
        kernel_size: int = 3,
        padding: int = 0,
        num_layers: int = 5,
        num_scales: int = 0,
        base_channels: int = 32,
        min_feat_channels: int = 32,
    ) -> None:
        channels = (base_channels, min_feat_channels)
        kernel = (kernel_size, padding)
        super().__init__(in_channels, 1, kernel, num_layers, num_scales, channels)

    def forward(self, x: Tensor, curr_scale: int) -> Tensor:
        """Score patches.

        Args:
            x: N C HW, real images in [-1, 1].
            curr_scale: whose critic.

        Returns:
            N 1 hw, unbounded; without padding h w are H W less ``num_layers * (kernel_size - 1)``.

        Raises:
            SpecError: curr_scale is not possible.
            DataError: the images have other channels, or are smaller than a patch.
        """
        self.check_scale(curr_scale)
        patch = 1 if self.padding else 1 + self.num_layers * (self.kernel_size - 1)
        if x.ndim != 4 or x.shape[1] != self.in_channels or min(x.shape[2:]) < patch:
            raise DataError(
                f"images are {tuple(x.shape)}: give N {self.in_channels} H W, {patch} px or more"
            )
        return self.blocks[curr_scale](x)


def _like(noise: Tensor, count: int) -> Tensor:
    return torch.randn((count, *noise.shape[1:]), dtype=noise.dtype).to(noise.device)
