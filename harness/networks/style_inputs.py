"""What a style-based generator may be given: latents in several forms, and noise.

Shape letters: N images, Z latent, L layers that take a style, H pixels of a side.
"""

import hashlib
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

from harness.errors import DataError, SpecError
from harness.networks.style_layers import layer_noise, mixing_layers
from harness.records.protocols import Facts
from harness.seeding import generator as stream

StyleMode = Literal["mix", "single"]
Draw = Callable[[tuple[int, int]], Tensor]
Styles = Tensor | Sequence[Tensor] | Draw | None


def mode_problems(**modes: str) -> list[str]:
    """Return what is wrong with style modes, by their names."""
    known = ("mix", "single")
    return [
        f"{name} is {mode!r}: give 'mix' or 'single'"
        for name, mode in modes.items()
        if mode not in known
    ]


def latents_of(
    styles: Styles, num_batches: int, size: int, mode: str, device: torch.device
) -> list[Tensor]:
    """Return one or two batches of latents.

    Args:
        styles: (N, Z), or a list of one or two; or a function that draws them, given the shape;
            or None, for draws from torch's global generator.
        num_batches: N, where they are drawn here.
        size: Z.
        mode: ``"mix"`` to draw two, ``"single"`` for one.
        device: of what is drawn here.

    Raises:
        SpecError: num_batches is needed and not given.
        DataError: the last dimension is not Z.
    """
    if isinstance(styles, Tensor):
        batch = [styles]
    elif styles is None or callable(styles):
        if num_batches < 1:
            raise SpecError([f"num_batches is {num_batches}: without styles give 1 or more"])
        draw = styles or torch.randn
        shape = (num_batches, size)
        batch = [draw(shape).to(device) for _ in range(2 if mode == "mix" else 1)]
    else:
        batch = list(styles)
    for style in batch:
        if style.ndim not in (2, 3) or style.shape[-1] != size:
            raise DataError(f"styles are {tuple(style.shape)}: give (N, {size})")
    return batch


def crossover(styles: Styles, batch: Sequence[Tensor], layers: int, mix_prob: float) -> Tensor:
    """Draw (N,), each image's first layer of the second style, from torch's global generator.

    Two styles that were given are always mixed; those drawn here with ``mix_prob``; one is not.
    """
    count = len(batch[0])
    if len(batch) == 1:
        return torch.full((count,), layers)
    share = 1.0 if isinstance(styles, Sequence) else mix_prob
    return mixing_layers(count, layers, share, torch.default_generator)


def noise_of(
    given: Sequence[Tensor] | None,
    randomize: bool,
    registered: Sequence[Tensor],
    count: int,
) -> Sequence[Tensor]:
    """Return each layer's noise (N or 1, 1, H, H): given, random (global generator) or registered.

    Raises:
        DataError: what was given has other sizes than ``registered``.
    """
    if given is None:
        if not randomize:
            return registered
        return [torch.randn(count, *fixed.shape[1:], device=fixed.device) for fixed in registered]
    shapes = [tuple(noise.shape[1:]) for noise in given]
    sides = [fixed.shape[-1] for fixed in registered]
    if shapes[: len(sides)] != [(1, side, side) for side in sides]:
        raise DataError(f"injected noise is {shapes}: give (N, 1, H, H) with H = {sides}")
    return given[: len(sides)]


LAW: Facts = MappingProxyType(
    {
        "latents": "standard normal",
        "injected_noise": "standard normal, each image's of a stream that its latent seeds",
    }
)
"""What images are drawn from, ``latent_noise`` being one of the two, for protocols."""


def latent_noise(latents: Tensor, sides: Sequence[int]) -> list[Tensor]:
    """Draw each layer's noise (N, 1, H, H), an image's from a stream that its latent decides.

    So networks are compared on the same noise, however their images are split into batches and
    whatever was drawn before.

    Args:
        latents: (N, ...).
        sides: H, layer by layer.
    """
    rows = latents.detach().float().cpu().numpy()
    keys = [int.from_bytes(hashlib.sha256(row.tobytes()).digest()[:8], "big") for row in rows]
    randoms = [stream(key, "injected noise") for key in keys]
    return [noise.to(latents) for noise in layer_noise(sides, randoms)]
