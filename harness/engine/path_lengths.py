"""Perceptual path lengths of every arm of a run: the same paths for each."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.gans.base import GAN
from harness.metrics.extractor import Extractor
from harness.metrics.features import UPSCALE, upscale_to
from harness.metrics.path_length import (
    FORM,
    Space,
    crop_and_shrink,
    mapping_of,
    path_length,
    places,
)
from harness.metrics.perceptual import Distance, FeatureDistance, load_distance
from harness.records.protocols import Facts
from harness.seeding import derive_seed, fresh_seed, generator, stated
from harness.spec.schema import Evaluate

_Draw = Callable[[GAN, nn.Module, Tensor, Mapping[str, Any], int], Tensor]
_SPACES: dict[str, Space] = {"ppl_z": "Z", "ppl_w": "W"}


def _drawn(
    model: GAN, network: nn.Module, latents: Tensor, sample_kwargs: Mapping[str, Any], streams: int
) -> Tensor:
    return model.draw(network, latents, sample_kwargs)


class PathLengths:
    """Measures PPL (arXiv 1812.04948, equations 2 and 3): whole paths, steps of 1e-4, no crop.

    Both ends of a step have the same injected noise: a network with a mapping network is asked for
    ``randomize_noise=False``, which gives it the noise that is registered with its weights. Its
    codes are taken as they are mapped: ``input_is_latent=True``, and never truncated.

    Args:
        settings: which of ppl_z and ppl_w, over how many pairs, by which distance.
        extractor: sees the distance where the settings give no LPIPS.
        seed: the run's; paths are a function of it and the images shown.
        scale: px to which smaller images are enlarged first.
        device: where LPIPS computes.
        draw: draws images of one arm from latents, with further arguments of the network and a seed
            of the global streams.

    Raises:
        SpecError: the extractor cannot see distances.
        WeightsError: a file of LPIPS is missing or another one.
    """

    def __init__(
        self,
        settings: Evaluate,
        extractor: Extractor,
        seed: int,
        scale: int,
        device: torch.device,
        draw: _Draw = _drawn,
    ) -> None:
        self.settings = settings
        self.metrics = tuple(name for name in settings.metrics if name in _SPACES)
        self.seed = seed
        self.scale = scale
        self._draw = draw
        self.distance = _distance(settings, extractor, device) if self.metrics else None

    def facts(self) -> dict[str, Facts]:
        """Return how each metric is measured, the model left aside."""
        return {name: self._facts(name) for name in self.metrics}

    def _facts(self, metric: str) -> Facts:
        assert self.distance is not None
        return {
            "metric": metric,
            "form": FORM,
            "space": {"Z": "Z, spherical", "W": "W, linear"}[_SPACES[metric]],
            "pairs": self.settings.pairs,
            # Steps this small make a difference of what rounding does, which a batch's size moves.
            "pairs_at_once": self._at_once,
            **self.distance.facts,
            "px": self.scale,
            "upscale": UPSCALE,
            "rounding": "none",
            "truncation": 1,
            "draws": stated("path latents"),
            "injected_noise": "registered with the weights, the same at both ends",
        }

    @property
    def _at_once(self) -> int:
        return max(1, self.settings.batch_size // 2)

    def measure(self, model: GAN, network: nn.Module, fresh: int = 0) -> dict[str, float]:
        """Return the lengths of one network's paths, by metric, the same in every process.

        Args:
            model: draws latents and images.
            network: one of its generators.
            fresh: which further set of paths, from 1 on; 0 for the usual one.

        Raises:
            FloatingPointError: if a step is not finite.
        """
        seed = fresh_seed(self.seed, fresh)
        return {name: self._length(model, network, name, seed) for name in self.metrics}

    def _length(self, model: GAN, network: nn.Module, metric: str, seed: int) -> float:
        count, images_shown = self.settings.pairs, model.images_shown
        random = generator(seed, "path latents", images_shown)
        device = next(network.parameters()).device
        ends = model.latents(2 * count, random).to(device)
        mapping = mapping_of(network)
        kwargs = {} if mapping is None else {"randomize_noise": False}
        if metric == "ppl_w":
            assert mapping is not None  # checks.py sees to it
            ends = torch.cat([mapping(z) for z in ends.split(self.settings.batch_size)])
            kwargs["input_is_latent"] = True

        def draw(first: int, points: Tensor) -> Tensor:
            streams = derive_seed(seed, f"global streams from {metric} {first}", images_shown)
            images = self._draw(model, network, points, kwargs, streams)
            return crop_and_shrink(upscale_to(images.float(), self.scale), crop=False)

        assert self.distance is not None
        return path_length(
            draw,
            self.distance,
            ends.unflatten(0, (-1, 2)),
            places(count, seed, images_shown).to(device),
            space=_SPACES[metric],
            pairs=self._at_once,
        )


def _distance(settings: Evaluate, extractor: Extractor, device: torch.device) -> Distance:
    lpips = settings.lpips
    if lpips is None:
        return FeatureDistance(extractor)
    files = {"weights": Path(lpips.weights), "vgg16_weights": Path(lpips.vgg16_weights)}
    return load_distance(lpips.type, **files, device=device)
