"""The protocol of every quantity that a run measures, of the objects that measure it."""

import torch

from harness.engine.arms import Evaluator
from harness.gans.base import GAN
from harness.networks.kernels import tf32
from harness.records.protocols import Facts, Protocol
from harness.spec.schema import Fast

_TRAINING_ALONE = frozenset({"shared_pass"})
"""Faster paths that images of trained weights are not drawn by: what was trained, not how it was
measured."""


def protocols(
    evaluator: Evaluator, model: GAN, device: torch.device, fast: Fast | None
) -> dict[str, Protocol]:
    """Return protocols by quantity.

    Args:
        evaluator: measures the arms.
        model: draws the images.
        device: where it does.
        fast: the faster paths that its networks take.
    """
    drawn = _drawing(model, device, fast)
    # What a metric says itself stands above what holds for all.
    return {
        name: Protocol({**facts, **{k: v for k, v in drawn.items() if k not in facts}})
        for name, facts in evaluator.facts().items()
    }


def _drawing(model: GAN, device: torch.device, fast: Fast | None) -> Facts:
    asked = {} if fast is None else fast.model_dump(exclude=set(_TRAINING_ALONE))
    paths = [name for name, on in asked.items() if on]
    dtype = next(model.generator.parameters()).dtype
    return {
        **model.law,
        "weights": "of the row's arm",
        "generator_dtype": str(dtype).removeprefix("torch."),
        "generator_tf32": tf32(device),
        "generator_paths": ", ".join(paths) or "usual",
    }
