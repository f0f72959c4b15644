"""What every evaluator of a run's arms has in common.

Several processes may measure one model: they have the same weights and latents, each draws a share
of the images, and every value is the same in all. Every process makes the same calls.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.engine.fresh import FreshSets
from harness.errors import Diverged
from harness.gans.base import GAN
from harness.isolation import own_streams
from harness.ranks.answers import everywhere
from harness.ranks.dealt import dealt
from harness.records.protocols import Facts
from harness.records.quantities import fresh as on_fresh
from harness.seeding import derive_seed, fresh_seed, generator
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
        self.fresh: FreshSets | None = None
        """Which arms are measured on further sets of latents, too; None: none. In all processes it
        has to know the same earlier rows."""
        self._finite: list[Tensor] = []
        self._latents: dict[tuple[str, int, int, int], Tensor] | None = None

    @abstractmethod
    def real_values(self) -> dict[str, float]:
        """Return what the real images themselves score, by metric."""

    @abstractmethod
    def facts(self) -> dict[str, Facts]:
        """Return how each quantity is measured, by its name, the model left aside."""

    @abstractmethod
    def scores(self, model: GAN, network: nn.Module, fresh: int = 0) -> dict[str, float]:
        """Return every metric of one network, on the latents that all arms have in common.

        Whether images are finite is not looked at.

        Args:
            model: draws latents and images.
            network: one of its generators.
            fresh: which further set of latents, from 1 on; 0 for the usual one.

        Raises:
            FloatingPointError: if what is seen in the images is not; says what.
        """

    @torch.no_grad()
    def measure(
        self, model: GAN, network: nn.Module, iteration: int, fresh: int = 0
    ) -> dict[str, float]:
        """Return ``scores``.

        Raises:
            Diverged: if an image, what is seen in it, or a metric is not finite.
        """
        try:
            values = self.scores(model, network, fresh)
        except FloatingPointError as error:
            self.require_finite(iteration)  # an image's own fault is named first
            raise Diverged(iteration, str(error)) from None
        self.require_finite(iteration)
        for quantity, value in values.items():
            if not math.isfinite(value):
                raise Diverged(iteration, quantity)
        return values

    def measure_arm(
        self, model: GAN, arm: str, network: nn.Module, iteration: int
    ) -> dict[str, float]:
        """Return every metric of one arm by ``QUANTITY/ARM``, on fresh latents too where due.

        Raises:
            Diverged: as ``measure``.
        """
        values = self.measure(model, network, iteration)
        found = {f"{quantity}/{arm}": value for quantity, value in values.items()}
        for number in self.fresh.due(arm, values, model.images_shown) if self.fresh else ():
            again = self.measure(model, network, iteration, number)
            found |= {f"{on_fresh(quantity, number)}/{arm}": v for quantity, v in again.items()}
        return found

    @abstractmethod
    def samples(self, model: GAN, count: int) -> dict[str, NDArray[np.uint8]]:
        """Return ``count`` images uint8 NHWC of each arm, from the same latents.

        One process may call it by itself.
        """

    @torch.no_grad()
    def evaluate(self, model: GAN, iteration: int) -> dict[str, float]:
        """Return every metric of every arm, by ``QUANTITY/ARM``, on fresh latents too where due.

        Raises:
            Diverged: if an image, what is seen in it, or a metric is not finite.
        """
        networks = model.networks()
        values: dict[str, float] = {}
        with self.latents_kept():
            for arm, name in self.arms.items():
                values |= self.measure_arm(model, arm, networks[name], iteration)
        return values

    def share(
        self,
        model: GAN,
        network: nn.Module,
        latents: Tensor,
        size: int,
        sample_kwargs: Mapping[str, Any] | None = None,
        fresh: int = 0,
    ) -> Iterator[Tensor]:
        """Yield this process's images of latents, as ``dealt``, ``size`` at a time.

        A batch is the same whichever process draws it, and draws from the global streams inside a
        network are, too.
        """
        own = dealt(len(latents), size)[get_rank()]
        for first in range(own.start, own.stop, size):
            purpose = f"global streams from image {first}"
            streams = derive_seed(fresh_seed(self.seed, fresh), purpose, model.images_shown)
            yield self.drawn(model, network, latents[first : first + size], sample_kwargs, streams)

    def drawn(
        self,
        model: GAN,
        network: nn.Module,
        latents: Tensor,
        sample_kwargs: Mapping[str, Any] | None = None,
        streams: int = 0,
    ) -> Tensor:
        """Return a batch of images, as ``model.draw`` does, and tell of it.

        Whether they are finite is for ``require_finite`` to see: a GPU is not waited for here.

        Args:
            model: draws the images.
            network: one of its generators.
            latents: N first.
            sample_kwargs: further arguments of the network.
            streams: seed of the global streams, for networks that draw from them.
        """
        self.beat()
        with own_streams(streams, self.device):
            images = model.draw(network, latents, sample_kwargs)
        self._finite.append(images.isfinite().all())
        return images

    def require_finite(self, iteration: int) -> None:
        """Raise Diverged if an image that any process drew since the last call is not finite."""
        if not all(everywhere(self.finite_here)):
            raise Diverged(iteration, "a generated image")

    def finite_here(self) -> bool:
        """Tell whether every image that this process drew since the last call is finite."""
        finite, self._finite = self._finite, []
        return not finite or bool(torch.stack(finite).all())

    def latents(self, model: GAN, purpose: str, count: int, fresh: int = 0) -> Tensor:
        """Return latents, the same on every device, of a further set where ``fresh`` is above 0."""
        seed = fresh_seed(self.seed, fresh)
        asked = purpose, count, model.images_shown, seed
        kept = {} if self._latents is None else self._latents
        if asked not in kept:
            random = generator(seed, purpose, model.images_shown)
            kept[asked] = model.latents(count, random).to(self.device)
        return kept[asked]

    @contextmanager
    def latents_kept(self) -> Iterator[None]:
        """Draw latents once for all networks of one model that are measured inside."""
        self._latents = {}
        try:
            yield
        finally:
            self._latents = None
