"""From a seed to an image, for each family.

Images are drawn one by one, with streams and noise of their own, so that a seed's image is the same
to the last bit whatever else is drawn. Shape letters: C channels, H W pixels, Z latent, D style,
L layers.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from harness.checkpoints.kept import Generator
from harness.errors import DataError, SpecError
from harness.images import to_uint8
from harness.metrics.path_length import slerp
from harness.seeding import generator as stream

PURPOSE = "drawn latents"


class Drawer(ABC):
    """Draws from one generator. A code is what stands between a seed and its image.

    Args:
        generator: what is drawn from.

    Attributes:
        spaces: in which codes have codes between them.
    """

    spaces: tuple[str, ...] = ()

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.network: Any = generator.network

    @abstractmethod
    def code(self, seed: int) -> Any:
        """Return the code of a seed."""

    @abstractmethod
    def draw(self, code: Any) -> Tensor:
        """Return the image 1CHW of a code, about [-1, 1]."""

    def between(self, first: int, second: int, share: float, space: str) -> Any:
        """Return the code that lies a share of the way from one seed to another.

        Raises:
            SpecError: if this family has no way between two codes of that space.
        """
        family = self.generator.family
        if not self.spaces:
            raise SpecError([f"--interpolate: a {family} has no codes between two; leave it out"])
        known = " and ".join(self.spaces)
        raise SpecError([f"--space {space}: a {family} interpolates in {known} alone"])

    def image(self, code: Any) -> Tensor:
        """Return the image CHW of a code, uint8.

        Raises:
            DataError: if it is not finite.
        """
        with torch.no_grad():
            image = self.draw(code)[0].cpu()
        if not bool(image.isfinite().all()):
            raise DataError(f"a {self.generator.family} draws images that are not finite")
        return to_uint8(image)


class LatentDrawer(Drawer):
    """PGGAN: a code is a latent 1Z, normally distributed."""

    spaces = ("z",)

    def code(self, seed: int) -> Tensor:
        """Return the latent of a seed."""
        return _latent(seed, self.network.noise_size, self.network)

    def draw(self, code: Tensor) -> Tensor:
        """Return the image of a latent."""
        return self.network(code, **self.generator.stage)

    def between(self, first: int, second: int, share: float, space: str) -> Tensor:
        """Return a latent on the great circle between two; its length lies between theirs."""
        if space != "z":
            return super().between(first, second, share, space)
        return great_circle(self.code(first), self.code(second), share)


class StyleDrawer(Drawer):
    """StyleGAN 1 and 2: a code is a style for each layer, 1LD, truncated.

    Noise is the network's own, registered with its weights, so that nothing but styles changes an
    image (as in arXiv 1812.04948, figure 3).

    Args:
        generator: what is drawn from.
        truncation: psi of arXiv 1812.04948, appendix B: the share of the way from the mean style.
    """

    spaces = ("z", "w")

    def __init__(self, generator: Generator, truncation: float) -> None:
        super().__init__(generator)
        self.truncation = truncation
        kept = dict(self.network.named_buffers()).get("mean_latent")
        mean = self.network.style_mapping.mean_style() if kept is None else kept
        self.mean = mean.reshape(1, -1)
        side = int(generator.stage.get("curr_scale", self.network.out_size))
        self.layers = 2 * (side.bit_length() - 2)
        """Styles that an image takes: two a scale (StyleGAN2's last colours take one more)."""

    def code(self, seed: int) -> Tensor:
        """Return the styles of a seed, the same for every layer."""
        return self._styles(self._z(seed))

    def draw(self, code: Tensor) -> Tensor:
        """Return the image of styles 1LD."""
        fixed = {"input_is_latent": True, "inject_index": 0, "randomize_noise": False}
        return self.network(code, **fixed, **self.generator.stage)

    def between(self, first: int, second: int, share: float, space: str) -> Tensor:
        """Return styles between two: on the great circle of latents, or straight in W."""
        if space == "w":
            return torch.lerp(self.code(first), self.code(second), share)
        return self._styles(great_circle(self._z(first), self._z(second), share))

    def mixed(self, base: int, other: int, layers: range) -> Tensor:
        """Return the styles of one seed, with those of another in some layers (section 3.1).

        Raises:
            SpecError: if the network has no such layers.
        """
        if layers.stop > self.layers:
            raise SpecError([f"--layers: {layers[-1]} is not in 0 to {self.layers - 1}"])
        code = self.code(base).clone()
        code[:, layers] = self.code(other)[:, layers]
        return code

    def _z(self, seed: int) -> Tensor:
        return _latent(seed, self.mean.shape[1], self.network)

    def _styles(self, latent: Tensor) -> Tensor:
        style = torch.lerp(self.mean, self.network.style_mapping(latent), self.truncation)
        return style[:, None].repeat(1, self.layers, 1)


class NoiseDrawer(Drawer):
    """SinGAN: a code is a noise map for each scale, of the shapes that it was trained with.

    A seed's maps are those that the training model draws of it.
    """

    def code(self, seed: int) -> list[Tensor]:
        """Return the noise maps of a seed."""
        return [
            torch.randn(fixed.shape, generator=stream(seed, "noise map", scale)).to(fixed)
            for scale, fixed in enumerate(self.generator.fixed_noises)
        ]

    def draw(self, code: list[Tensor]) -> Tensor:
        """Return the image of noise maps, at the finest scale."""
        weights = self.generator.noise_weights
        return self.network(None, code, weights, "recon", len(code) - 1)


def great_circle(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Return a latent 1Z between two: directions by slerp, lengths by lerp."""
    at = first.new_tensor([[share]])
    length = torch.lerp(first.norm(dim=1, keepdim=True), second.norm(dim=1, keepdim=True), at)
    return slerp(first, second, at) * length


def drawer(generator: Generator, truncation: float = 1.0) -> Drawer:
    """Return what draws from a generator.

    Raises:
        SpecError: if its family has no truncation, and one was given.
    """
    if not -1 <= truncation <= 1:
        raise SpecError([f"--truncation {truncation:g}: give a number in [-1, 1]"])
    if generator.family in ("stylegan1", "stylegan2"):
        return StyleDrawer(generator, truncation)
    if truncation != 1:
        raise SpecError(
            [
                f"--truncation {truncation:g}: a {generator.family} has no mean style to draw "
                "towards; leave it out"
            ]
        )
    return NoiseDrawer(generator) if generator.family == "singan" else LatentDrawer(generator)


def _latent(seed: int, size: int, network: nn.Module) -> Tensor:
    weights = next(network.parameters())
    return torch.randn(1, size, generator=stream(seed, PURPOSE)).to(weights)
