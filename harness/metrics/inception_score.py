"""Inception score: how sure the classifier is of each image, and how varied its answers are.

Salimans et al. 2016, "Improved Techniques for Training GANs", section 4:
``exp(E_x KL(p(y|x) || p(y)))``, here the mean of ``splits`` such scores.
"""

import itertools

import numpy as np
import torch
from torch import Tensor

from harness.errors import SpecError

FORM = "exp of the mean KL(p(y|x) || p(y)) in float64, mean over the splits of a seeded shuffle"
SPLITS = 10


def inception_score(logits: Tensor, *, splits: int = SPLITS, seed: int = 2020) -> float:
    """Return the score, in [1, K].

    The images are shuffled and divided into parts whose sizes differ by one at most, so every
    image counts. Order and parts are those of torch-fidelity, and so is the number.

    Args:
        logits: NK, any float type and device.
        splits: parts, 1 <= splits <= N.
        seed: of the shuffle, numpy's RandomState.

    Raises:
        SpecError: fewer images than splits, or no classes.
    """
    n, classes = logits.shape
    if not classes:
        raise SpecError(["is: this extractor has no classes; use another one, or leave is out"])
    if not 1 <= splits <= n:
        raise SpecError([f"is: splits is {splits}, with {n} images it must be in 1..{n}"])
    order = torch.from_numpy(np.random.RandomState(seed).permutation(n))
    log_p = logits[order.to(logits.device)].double().log_softmax(dim=1)
    bounds = [i * n // splits for i in range(splits + 1)]
    parts = (log_p[a:b] for a, b in itertools.pairwise(bounds))
    return float(torch.stack([_score(part) for part in parts]).mean())


def _score(log_p: Tensor) -> Tensor:
    p = log_p.exp()
    # The entropy form never takes the logarithm of a single underflowed probability.
    conditional = (p * log_p).sum(dim=1).mean()
    marginal = torch.special.entr(p.mean(dim=0)).sum()
    return (conditional + marginal).exp()
