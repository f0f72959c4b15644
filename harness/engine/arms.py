"""What every evaluator of a run's arms has in common."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.errors import Diverged
from harness.gans.base import GAN
from harness.seeding import generator
from harness.spec.schema import Evaluate


class Evaluator(ABC):
    """Measures each arm of a GAN on the same latents.

    Args:
        settings: what is measured, on how many images.
        arms: each arm's name and the name of its network in ``model.networks()``.
        seed: the run's; latents are a function of it and the images shown.
        device: where networks and extractor compute.
    """

    def __init__(
        self, settings: Evaluate, arms: Mapping[str, str], seed: int, device: torch.device
    ) -> None:
        self.settings = settings
        self.arms = dict(arms)
        self.seed = seed
        self.device = device
        self.beat: Callable[[], None] = lambda: None
        """Called with every batch of images."""

    @abstractmethod
    def real_values(self) -> dict[str, float]:
        """Return what the real images themselves score, by metric."""

    @abstractmethod
    def scores(self, model: GAN, network: nn.Module, iteration: int) -> dict[str, float]:
        """Return every metric of one network, on the latents that all arms have in common.

        Raises:
            Diverged: if an image is not finite.
            FloatingPointError: if what is seen in the images is not; says what.
        """

    @torch.no_grad()
    def measure(self, model: GAN, network: nn.Module, iteration: int) -> dict[str, float]:
        """Return ``scores``.

        Raises:
            Diverged: if an image, what is seen in it, or a metric is not finite.
        """
        try:
            values = self.scores(model, network, iteration)
        except FloatingPointError as error:
            raise Diverged(iteration, str(error)) from None
        for quantity, value in values.items():
            if not math.isfinite(value):
                raise Diverged(iteration, quantity)
        return values

    @abstractmethod
    def samples(self, model: GAN, count: int) -> dict[str, NDArray[np.uint8]]:
        """Return ``count`` images uint8 NHWC of each arm, from the same latents."""

    @torch.no_grad()
    def evaluate(self, model: GAN, iteration: int) -> dict[str, float]:
        """Return every metric of every arm, by ``QUANTITY/ARM``.

        Raises:
            Diverged: if an image, what is seen in it, or a metric is not finite.
        """
        networks = model.networks()
        values: dict[str, float] = {}
        for arm, name in self.arms.items():
            measured = self.measure(model, networks[name], iteration)
            values |= {f"{quantity}/{arm}": value for quantity, value in measured.items()}
        return values

    def drawn(
        self,
        model: GAN,
        network: nn.Module,
        latents: Tensor,
        iteration: int,
        sample_kwargs: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Return a batch of images, as ``drawn`` does, and tell of it."""
        self.beat()
        return drawn(model, network, latents, iteration, sample_kwargs)

    def latents(self, model: GAN, purpose: str, count: int) -> Tensor:
        """Return latents, the same on every device."""
        random = generator(self.seed, purpose, model.images_shown)
        return model.latents(count, random).to(self.device)


def drawn(
    model: GAN,
    network: nn.Module,
    latents: Tensor,
    iteration: int,
    sample_kwargs: Mapping[str, Any] | None = None,
) -> Tensor:
    """Return images, as ``model.draw`` does.

    Raises:
        Diverged: if one is not finite.
    """
    images = model.draw(network, latents, sample_kwargs)
    if not bool(images.isfinite().all()):
        raise Diverged(iteration, "a generated image")
    return images
