"""What models are asked to draw for metrics: the same inputs at each evaluation.

All latents come from streams of their own. Pairs of images (0, 1), (2, 3), ... of one sequence are
dealt out to processes in turn, so neither images nor pairs depend on the number of processes or on
batches.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from mmengine.dist import get_dist_info
from torch import Tensor, nn
from torch.utils.data import DataLoader

from harness.errors import DataError, SpecError
from harness.metrics.path_length import Space, mapping_of, path_ends, places
from harness.ranks.dealt import in_pairs
from harness.seeding import generator
from harness.structures import DataSample

_BLOCK = 16
"""torch.randn gives the same first numbers for any longer draw of whole blocks of 16."""


@runtime_checkable
class TakesLatents(Protocol):
    """A model that says how long its latents are."""

    @property
    def noise_size(self) -> int:
        """Z."""


@runtime_checkable
class HasNetworks(Protocol):
    """A model whose networks can be asked for."""

    def network(self, name: str) -> nn.Module:
        """Return the network that ``sample_model=name`` draws from."""


@runtime_checkable
class Labelled(Protocol):
    """A data set that knows each image's class."""

    def get_data_info(self, index: int) -> Mapping[str, Any]:
        """Return what is known of an image, ``gt_label`` among it."""

    def __len__(self) -> int:
        """Return the number of images."""


@dataclass(frozen=True, kw_only=True)
class Path:
    """Where pairs of a path length lie; see ``PerceptualPathLength``."""

    space: Space
    sampling: Literal["end", "full"]
    epsilon: float
    latent_dim: int | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """All that decides which images a model draws. Metrics of equal requests share them."""

    sample_model: str
    sample_kwargs: Mapping[str, Any]
    need_cond_input: bool
    seed: int
    path: Path | None = None

    def equals(self, other: "Request") -> bool:
        """Tell whether both ask for exactly the same images."""
        return _same(vars(self), vars(other))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return isinstance(a, Tensor) and isinstance(b, Tensor) and torch.equal(a, b)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def latents(count: int, size: int, seed: int, purpose: str) -> Tensor:
    """Return latents NZ; fewer are the beginning of more."""
    random = generator(seed, purpose)
    return torch.randn(-(-count // _BLOCK) * _BLOCK, size, generator=random)[:count]


class NoiseBatches:
    """Inputs for ``count`` images over all processes, not one more.

    A model without ``noise_size`` gets no noise and draws its own.

    Args:
        model: draws the images.
        dataloader: its batch size is the batches'; its data set has the labels.
        count: images of all processes.
        request: which images.
    """

    def __init__(
        self, model: nn.Module, dataloader: DataLoader[Any], count: int, request: Request
    ) -> None:
        self.model = model
        self.dataset = dataloader.dataset
        self.request = request
        self.count = count
        self.own = in_pairs(count)
        self.batch_size = _batch_size(dataloader)

    def __len__(self) -> int:
        return math.ceil(len(self.own) / self.batch_size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        noise = self._latents()
        device = next(self.model.parameters()).device
        labels = self._labels()
        for start in range(0, len(self.own), self.batch_size):
            own = self.own[start : start + self.batch_size]
            inputs: dict[str, Any] = {
                "num_batches": len(own),
                "sample_model": self.request.sample_model,
                "sample_kwargs": dict(self.request.sample_kwargs),
            }
            if noise is not None:
                inputs["noise"] = noise[own].to(device)
            yield {"inputs": inputs} | (
                {} if labels is None else {"data_samples": [labels(index) for index in own]}
            )

    def _latents(self) -> Tensor | None:
        if not isinstance(self.model, TakesLatents):
            return None
        size = self.model.noise_size
        return latents(self.count, size, self.request.seed, "evaluation latents")

    def _labels(self) -> Any:
        """Return a function from an image's number to its sample; None if none is wanted."""
        if not self.request.need_cond_input:
            return None
        dataset = self.dataset
        if not isinstance(dataset, Labelled):
            raise DataError(
                f"need_cond_input: {type(dataset).__name__} has no get_data_info(index) that "
                "gives gt_label: add it, or leave need_cond_input out"
            )
        random = generator(self.request.seed, "evaluation labels")
        chosen = torch.randint(len(dataset), (self.count,), generator=random).tolist()
        return lambda n: DataSample(gt_label=dataset.get_data_info(chosen[n])["gt_label"])


class PathBatches:
    """Inputs for ``count`` pairs of images, (0, 1), (2, 3), ..., a small step apart.

    Pairs share the noise that a generator injects: what it makes beforehand where it can, else, of
    a generator with a mapping network, what is registered with its weights.

    Args:
        model: draws the images.
        dataloader: its batch size is the batches', in images.
        count: pairs of all processes.
        request: which images.
        path: where the pairs lie.

    Raises:
        SpecError: the latent's length is not known, or codes are wanted and there is no mapping.
    """

    def __init__(
        self,
        model: nn.Module,
        dataloader: DataLoader[Any],
        count: int,
        request: Request,
        path: Path,
    ) -> None:
        rank, world = get_dist_info()
        self.model = model
        self.request = request
        self.path = path
        self.count = count
        self.own = slice(rank, count, world)
        self.pairs = max(1, _batch_size(dataloader) // 2)
        self.size = path.latent_dim
        if self.size is None:
            if not isinstance(model, TakesLatents):
                raise SpecError([f"PPL: {type(model).__name__} has no noise_size: give latent_dim"])
            self.size = model.noise_size
        if path.space == "W":
            _mapping(self._network())

    def __len__(self) -> int:
        return math.ceil(len(range(self.count)[self.own]) / self.pairs)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        assert self.size is not None
        seed, device = self.request.seed, next(self.model.parameters()).device
        ends = latents(2 * self.count, self.size, seed, "path latents").unflatten(0, (-1, 2))
        share = places(self.count, seed)
        if self.path.sampling == "end":
            share = torch.zeros_like(share)
        settings = self._settings()
        for z, t in zip(
            ends[self.own].split(self.pairs), share[self.own].split(self.pairs), strict=True
        ):
            noise = self._codes(z.to(device), t.to(device))
            yield {
                "inputs": {
                    "noise": noise,
                    "num_batches": len(noise),
                    "sample_model": self.request.sample_model,
                    "sample_kwargs": settings,
                }
            }

    def _codes(self, z: Tensor, share: Tensor) -> Tensor:
        if self.path.space == "W":
            codes = _mapping(self._network())(z.flatten(0, 1))
            # Half precision has no room for epsilon.
            z = codes.float().unflatten(0, (-1, 2))
        return path_ends(z, share, self.path.epsilon, self.path.space)

    def _settings(self) -> dict[str, Any]:
        settings = dict(self.request.sample_kwargs)
        network = self._network() if isinstance(self.model, HasNetworks) else None
        if isinstance(network, InjectsNoise):
            settings["injected_noise"] = network.make_injected_noise()
        elif network is not None and mapping_of(network) is not None:
            settings.setdefault("randomize_noise", False)
        return settings | ({"input_is_latent": True} if self.path.space == "W" else {})

    def _network(self) -> nn.Module:
        if not isinstance(self.model, HasNetworks):
            raise SpecError(
                [
                    f"PPL: {type(self.model).__name__} has no network(name) that gives its "
                    'generator: add it, or give space="Z"'
                ]
            )
        return self.model.network(self.request.sample_model)


@runtime_checkable
class InjectsNoise(Protocol):
    """A generator that can make the noise it adds to its layers beforehand."""

    def make_injected_noise(self) -> Any:
        """Return what the generator takes as ``injected_noise``."""


def _mapping(network: nn.Module) -> nn.Module:
    mapping = mapping_of(network)
    if mapping is None:
        raise SpecError(
            [f'PPL: {type(network).__name__} has no style_mapping, so no space W: give space="Z"']
        )
    return mapping


def _batch_size(dataloader: DataLoader[Any]) -> int:
    size = dataloader.batch_size
    if size is None:
        size = getattr(dataloader.batch_sampler, "batch_size", None)
    if not size:
        raise DataError("evaluation: the dataloader has no batch_size: give it one")
    return int(size)
