"""Evaluation leaves no trace: modes and every global random stream are put back."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from harness.seeding import derive_seed


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; each module's own mode is put back, whatever happens."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.eval()
        for module in training:
            module.training = True


@contextmanager
def own_streams(purpose: str) -> Iterator[None]:
    """Seed the global streams of Python, numpy and torch for a purpose; put them back after.

    The harness draws from generators of its own. Models and data sets of others do not.
    """
    python, legacy = random.getstate(), np.random.get_state()
    seed = derive_seed(0, purpose)
    try:
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)
            random.seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)
