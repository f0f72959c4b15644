"""What every GAN of the harness has in common: networks, counters, random streams, drawing.

Shape letters: N images, Z latent, H W pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapperDict
from torch import Tensor, nn

from harness.ranks.shares import Share
from harness.records.protocols import Facts
from harness.registry import MODELS
from harness.seeding import generator as stream
from harness.spec.growth import GrowthSchedule, Stage


class GAN(BaseModel, ABC):
    """A generator, a discriminator, and how far their training is.

    Args:
        generator: network or its config.
        discriminator: network or its config.
        growth: stages of training and their batch sizes, in images.
        seed: every draw is a function of it, its purpose and the images shown.
        data_preprocessor: as mmengine's BaseModel takes it.

    Attributes:
        law: how ``latents`` and the noise of ``draw`` are distributed, for protocols.
    """

    law: ClassVar[Facts] = MappingProxyType({"latents": "as the model draws them"})

    def __init__(
        self,
        generator: nn.Module | dict[str, Any],
        discriminator: nn.Module | dict[str, Any],
        growth: GrowthSchedule,
        seed: int = 0,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor)
        self.generator: nn.Module = _built(generator)
        self.discriminator: nn.Module = _built(discriminator)
        self.growth = growth
        self.seed = seed
        self.images_shown = 0
        """Real images trained on so far; exact, and kept in the state dict."""

    def get_extra_state(self) -> dict[str, Any]:
        """Return the counters that decide where training is."""
        return {"images_shown": self.images_shown}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take over the counters of a checkpoint."""
        self.images_shown = state["images_shown"]

    @property
    def stage(self) -> Stage:
        """Scale and fade-in weight of the next batch, and of images drawn now."""
        return self.growth.stage(self.images_shown)

    @property
    def next_scale(self) -> int:
        """Resolution of the next batch, in pixels."""
        return self.stage.scale

    @property
    def next_batch_size(self) -> int:
        """Images in the next batch."""
        return self.growth.batch_size(self.images_shown)

    @abstractmethod
    def train_step(
        self, data: Mapping[str, Any], optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        """Train both networks on one batch.

        Args:
            data: ``inputs``: uint8 N3HW at the current scale; ``total``, where they are this
                process's share of a batch, whose losses are returned in every process.
            optim_wrapper: one wrapper each for ``generator`` and ``discriminator``.

        Returns:
            Scalars ``loss`` and ``loss_d`` (the discriminator's whole loss), ``loss_g``, and what
            else the family measures.
        """

    @abstractmethod
    def latents(self, count: int, random: torch.Generator) -> Tensor:
        """Draw what ``draw`` makes ``count`` images of, N first, on the generator's device."""

    @abstractmethod
    def draw(
        self, network: nn.Module, latents: Tensor, sample_kwargs: Mapping[str, Any] | None = None
    ) -> Tensor:
        """Return images N3HW in [-1, 1] (not clamped) at the current stage.

        Args:
            network: the generator or a shadow of it.
            latents: as ``latents`` draws them.
            sample_kwargs: further arguments of the network.
        """

    def networks(self) -> dict[str, nn.Module]:
        """Return the generator as ``orig`` and every shadow of it by its attribute's name."""
        shadows = {name: m for name, m in self.named_children() if name.endswith("_ema")}
        return {"orig": self.generator, **shadows}

    def network(self, name: str) -> nn.Module:
        """Return one of ``networks()``; ``ema`` stands for the only or first shadow."""
        networks = self.networks()
        first = next((known for known in networks if known != "orig"), "orig")
        return networks[first if name == "ema" else name]

    def forward(
        self, inputs: Mapping[str, Any], data_samples: Any = None, mode: str | None = None
    ) -> dict[str, Tensor]:
        """Draw images, as samplers and hooks ask for them.

        Args:
            inputs: ``noise`` (as ``latents`` draws it), or ``num_batches``, N, to have it drawn;
                ``sample_model``: what ``network`` knows, joined by '/'; ``sample_kwargs``: further
                arguments of the network.

        Returns:
            Images by name, or under ``fake_img`` where one network was asked for.
        """
        names = str(inputs.get("sample_model", "orig")).split("/")
        noise = inputs.get("noise")
        if noise is None:
            noise = self._latents("sample latents", inputs["num_batches"])
        settings = inputs.get("sample_kwargs")
        images = {name: self.draw(self.network(name), noise, settings) for name in names}
        return images if len(images) > 1 else {"fake_img": images[names[0]]}

    def val_step(self, data: Mapping[str, Any]) -> dict[str, Tensor]:
        """Draw images for ``data['inputs']``; see ``forward``."""
        return self.forward(data["inputs"])

    test_step = val_step

    def _stream(self, purpose: str) -> torch.Generator:
        device = next(self.generator.parameters()).device
        return stream(self.seed, purpose, self.images_shown, device)

    @staticmethod
    def _told(share: Share | None) -> dict[str, Share]:
        """Return what a critic is told of a share: one that has the whole batch need not know."""
        return {} if share is None or share.alone else {"share": share}

    def _latents(self, purpose: str, count: int) -> Tensor:
        return self.latents(count, self._stream(purpose))


def _built(network: nn.Module | dict[str, Any]) -> nn.Module:
    built: nn.Module = MODELS.build(network) if isinstance(network, dict) else network
    return built
