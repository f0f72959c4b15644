"""Samplers: what a visualization is drawn from, by the names that MMagic's configs use.

A sampler yields data for a model's ``val_step``, batch by batch, and the same again when it is gone
through again. Nothing is kept between visualizations: what a sampler yields is a function of the
seed, the entry and, unless the input is fixed, the iteration.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import torch
from mmengine.runner import Runner
from torch import Tensor

from harness.errors import SpecError
from harness.visuals.data_samplers import DataSampler, TestDataSampler, ValDataSampler
from harness.visuals.entries import Entry, entry_of
from harness.visuals.subject import subject_of

_BATCH = 64


class Sampler(Protocol):
    """Yields data for a model's ``val_step``, one batch each."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of one visualization."""


@runtime_checkable
class DrawsFromNoise(Protocol):
    """A model that makes images of normally distributed latents."""

    noise_size: int


@runtime_checkable
class DrawsFromLatents(Protocol):
    """A model that says itself what it makes images of."""

    def latents(self, count: int, random: torch.Generator) -> Tensor:
        """Draw what ``count`` images are made of, N first."""


class NoiseSampler:
    """Latents from a stream of their own: the model's, or normally distributed ones.

    Args:
        entry: how many, and of which networks.
        runner: of a model with ``latents`` or a ``noise_size``.

    Raises:
        SpecError: if the model draws from no noise.
    """

    def __init__(self, entry: Entry, runner: Runner) -> None:
        self.entry = entry
        self.subject = subject_of(runner)
        if not isinstance(self.subject.model, DrawsFromNoise | DrawsFromLatents):
            name = type(self.subject.model).__name__
            raise SpecError(
                [
                    f"vis_kwargs_list.type: {name} has no noise_size to draw latents of: use type "
                    "Arguments, or Translation for a model of images"
                ]
            )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield ``inputs`` with ``noise``, N first, and ``num_batches`` N, batch by batch."""
        entry = self.entry
        models = {} if entry.sample_model is None else {"sample_model": entry.sample_model}
        for noise in self.latents().split(entry.num_batches or _BATCH):
            on_device = noise.to(self.subject.device)
            inputs = {"noise": on_device, "num_batches": len(noise), **models}
            yield {"inputs": {**inputs, **entry.forward_kwargs}}

    def latents(self) -> Tensor:
        """Return all latents of the visualization, N first, on the CPU."""
        model, count = self.subject.model, self.entry.n_samples
        random = self.subject.stream(self.entry)
        if isinstance(model, DrawsFromLatents):
            return model.latents(count, random)
        return torch.randn(count, model.noise_size, generator=random)


class ArgumentsSampler:
    """The arguments that an entry gives, for models that draw everything themselves.

    Args:
        entry: how many samples, and the arguments as ``forward_kwargs``.
        runner: not needed.
    """

    def __init__(self, entry: Entry, runner: Runner) -> None:
        self.entry = entry

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield ``inputs`` with the arguments and ``num_batches``, until there are enough."""
        entry = self.entry
        models = {} if entry.sample_model is None else {"sample_model": entry.sample_model}
        size = entry.num_batches or _BATCH
        for start in range(0, entry.n_samples, size):
            count = min(size, entry.n_samples - start)
            yield {"inputs": {**models, **entry.forward_kwargs, "num_batches": count}}


SAMPLERS: Mapping[str, Callable[[Entry, Runner], Sampler]] = MappingProxyType(
    {
        "Noise": NoiseSampler,
        "Arguments": ArgumentsSampler,
        "Data": DataSampler,
        "ValData": ValDataSampler,
        "TestData": TestDataSampler,
    }
)
"""Every sampler by its type; a type is looked up here and nowhere else."""


def get_sampler(sample_kwargs: Mapping[str, Any] | Entry, runner: Runner) -> Sampler:
    """Return the sampler of an entry: a whole one, or the words of one.

    Raises:
        SpecError: if there is no such sampler, or the runner has not what it draws from.
    """
    entry = sample_kwargs if isinstance(sample_kwargs, Entry) else entry_of(sample_kwargs)
    return SAMPLERS[entry.type](entry, runner)
