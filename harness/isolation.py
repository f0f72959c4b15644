"""Asking a model that is being trained, and leaving it and all random streams as they are."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every module's own mode is put back, whatever happens."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.eval()  # what was switched to training inside goes back too
        for module in training:
            module.training = True


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Inside, the network's weights take no gradient; one that took none before takes none after.

    Gradients go through it all the same, to what it was given.
    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


@contextmanager
def own_streams(seed: int, device: torch.device) -> Iterator[None]:
    """Inside, the global streams of torch, numpy and Python begin at ``seed``; outside, as before.

    For models and transforms that draw from them without being given a generator.

    Args:
        seed: in [0, 2**63).
        device: the model's, whose stream is kept apart as well.
    """
    python, numbers = random.getstate(), np.random.get_state()
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numbers)
