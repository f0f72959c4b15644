"""Samplers: what a visualization is drawn from, by the names that MMagic's configs use."""

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from harness.errors import SpecError
from harness.seeding import generator


class Sampler(Protocol):
    """Yields inputs for a model's ``val_step``, one a batch."""

    def inputs(self, step: int) -> Iterator[dict[str, Any]]:
        """Yield the inputs of one visualization after ``step`` iterations."""


class NoiseSampler:
    """Normally distributed latents from a stream of their own.

    Args:
        noise_size: Z.
        n_samples: images altogether.
        fixed_input: the same latents each time, or new ones.
        batch_size: images in a batch.
        sample_model: which of the model's networks to draw from, joined by '/'.
        seed: of the stream; the name of the visualization keeps streams apart.
        device: where the latents are put.
    """

    def __init__(
        self,
        noise_size: int,
        n_samples: int,
        fixed_input: bool,
        batch_size: int,
        sample_model: str,
        seed: int,
        name: str,
        device: torch.device,
    ) -> None:
        self.shape = (n_samples, noise_size)
        self.fixed_input = fixed_input
        self.batch_size = batch_size
        self.sample_model = sample_model
        self.seed = seed
        self.purpose = f"visualization {name}"
        self.device = device

    def inputs(self, step: int) -> Iterator[dict[str, Any]]:
        """Yield latents NZ, batch by batch."""
        for noise in self.latents(0 if self.fixed_input else step).split(self.batch_size):
            yield {
                "noise": noise.to(self.device),
                "num_batches": len(noise),
                "sample_model": self.sample_model,
            }

    def latents(self, step: int) -> Tensor:
        """Return all latents of a visualization, on the CPU so that every device shows the same."""
        return torch.randn(self.shape, generator=generator(self.seed, self.purpose, step))


ALIASES: dict[str, str] = {"GAN": "Noise", "Noise": "Noise"}
"""A model family's name, as configs write it, and the sampler that it stands for."""


def sampler_name(alias: str) -> str:
    """Return the sampler of an alias.

    Raises:
        SpecError: if there is none; names those that there are.
    """
    if alias not in ALIASES:
        raise SpecError([f"vis_kwargs_list.type: {alias!r} is not one of {', '.join(ALIASES)}"])
    return ALIASES[alias]
