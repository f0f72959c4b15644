"""Adaptive discriminator augmentation: how strong it is follows how much the critic overfits.

arXiv 2006.06676, section 3.1. Shape letters: N images, H pixels of a side.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.networks.ada import Augment
from harness.ranks.shares import Share


class AdaptiveAugment(nn.Module):
    """The augmentation pipeline with the controller of its probability p.

    r_t is the mean sign of the scores of real training images (equation 1): near 0 where the
    critic does not tell them from generated ones, 1 where it knows them all. Every ``interval``
    iterations p moves towards more augmentation if r_t is above the target, else towards less, by
    the images shown meanwhile over ``adjust_kimg`` thousand.

    Args:
        size: H.
        target: of r_t.
        adjust_kimg: thousands of images in which p may go from 0 to 1.
        interval: iterations between two adjustments.
        initial_p: p at the beginning.
        fixed: keep it.
    """

    signs: Tensor

    def __init__(
        self,
        size: int,
        *,
        target: float = 0.6,
        adjust_kimg: float = 500.0,
        interval: int = 4,
        initial_p: float = 0.0,
        fixed: bool = False,
    ) -> None:
        super().__init__()
        self.pipeline = Augment(size)
        self.target = target
        self.adjust_images = adjust_kimg * 1000
        self.interval = interval
        self.fixed = fixed
        self.p = initial_p
        """Probability of each transform for each image, in [0, 1]; kept in the state dict."""
        self.register_buffer("signs", torch.zeros(2))

    def get_extra_state(self) -> dict[str, float]:
        """Return p; the sum of signs and their number are a buffer."""
        return {"p": self.p}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take over the p of a checkpoint."""
        self.p = state["p"]

    def forward(
        self, images: Tensor, random: torch.Generator, share: Share | None = None
    ) -> Tensor:
        """Return images N3HH, all of a batch or a share of it, as the critic is to see them."""
        augmented: Tensor = self.pipeline(images, self.p, random, share)
        return augmented

    @torch.no_grad()
    def observe(self, real_scores: Tensor, share: Share | None = None) -> None:
        """Note the critic's scores of real images, above 0 for what it takes for real."""
        signs = torch.stack([real_scores.sign().sum(), real_scores.new_tensor(len(real_scores))])
        self.signs += signs if share is None else share.summed(signs)

    def end_of_iteration(self, iteration: int) -> None:
        """Adjust p where it is time to.

        Args:
            iteration: the one that ends, counted from 0.
        """
        if self.fixed or (iteration + 1) % self.interval:
            return
        total, count = self.signs.tolist()
        error = total / count - self.target
        step = count / self.adjust_images
        self.p = min(max(self.p + step * ((error > 0) - (error < 0)), 0.0), 1.0)
        self.signs.zero_()
