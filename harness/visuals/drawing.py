"""The images of one entry: one forward a batch, and nothing of training touched."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapperDict
from mmengine.runner import Runner

from harness.isolation import evaluating, own_streams
from harness.structures import Images, images_in
from harness.visuals.answers import real_in
from harness.visuals.entries import Entry
from harness.visuals.samplers import get_sampler
from harness.visuals.subject import subject_of


@runtime_checkable
class MayHalve(Protocol):
    """A loop that says whether it computes in half precision."""

    fp16: bool


def draw(entry: Entry, runner: Runner) -> Images:
    """Return ``n_samples`` images of each name that the model gives, on the CPU.

    The model is asked once a batch, in evaluation mode, without gradients, in the precision of the
    runner's own loops; modes and random streams are put back.
    """
    subject = subject_of(runner)
    drawn: Images = {}
    half = torch.autocast(subject.device.type, enabled=computes_in_half(runner))
    with evaluating(subject.model), own_streams(subject.stream_seed(entry), subject.device), half:
        # Inside, as a loop that is built only now may draw its sampler's seed.
        for batch in get_sampler(entry, runner):
            images = images_in(subject.model.val_step(batch))
            if entry.style.draw_gt and isinstance(batch, Mapping):
                images = real_in(images_in(batch.get("data_samples", ()))) | images
            for name, values in images.items():
                drawn.setdefault(name, []).extend(value.cpu() for value in values)
    return {name: values[: entry.n_samples] for name, values in drawn.items()}


def computes_in_half(runner: Runner) -> bool:
    """Tell whether validation, or else training, computes in half precision."""
    if isinstance(runner.val_loop, MayHalve):
        return bool(runner.val_loop.fp16)
    wrappers: Any = runner.optim_wrapper
    each = wrappers.values() if isinstance(wrappers, OptimWrapperDict) else [wrappers]
    return any(isinstance(wrapper, AmpOptimWrapper) for wrapper in each)
