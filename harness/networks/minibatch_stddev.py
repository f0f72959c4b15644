"""How much the images of a batch differ, told to the critic (arXiv 1710.10196, section 3).

Shape letters: N images, C channels, H W pixels, M groups.
"""

import torch
from torch import Tensor, nn

from harness.errors import SpecError
from harness.ranks.shares import Share


def _mean_stddev(x: Tensor, group_dim: int) -> Tensor:
    """Standard deviation over ``group_dim``, averaged over C, H, W."""
    deviation = x - x.mean(dim=group_dim, keepdim=True)
    variance = deviation.square().mean(dim=group_dim)
    return (variance + 1e-8).sqrt().mean(dim=(-3, -2, -1))


def minibatch_stddev(x: Tensor, group_size: int | None = 4, share: Share | None = None) -> Tensor:
    """Append one channel: the mean standard deviation of the image's group (1710.10196, section 3).

    Image i belongs to group i mod M, with M = ceil(N / group_size) groups. Where group_size
    divides N all groups have that size; elsewhere their sizes differ by at most one and none is
    larger than group_size. A group of one image has the standard deviation 1e-4, never a NaN.

    Args:
        x: (N, C, H, W).
        group_size: images in a group, at least 1; None takes the whole batch, as the paper says.
        share: which images of a batch these are that other processes have the rest of; groups are
            those of the whole batch.

    Returns:
        (N, C + 1, H, W).
    """
    if share is not None and not share.alone:
        of_all = minibatch_stddev(share.gather(x), group_size)
        return torch.cat([x, of_all[share.rows, -1:]], dim=1)
    N, C, H, W = x.shape
    M = 1 if group_size is None else -(-N // group_size)
    if N % M == 0:
        per_group = _mean_stddev(x.reshape(N // M, M, C, H, W), group_dim=0)
    else:
        per_group = torch.stack([_mean_stddev(x[group::M], group_dim=0) for group in range(M)])
    per_image = per_group.repeat(-(-N // M))[:N]
    return torch.cat([x, per_image.view(N, 1, 1, 1).expand(N, 1, H, W)], dim=1)


class MinibatchStddev(nn.Module):
    """``minibatch_stddev`` as a module.

    Raises:
        SpecError: group_size is below 1.
    """

    def __init__(self, group_size: int | None = 4) -> None:
        super().__init__()
        if group_size is not None and group_size < 1:
            raise SpecError(
                [f"group_size is {group_size}: give 1 or more, or None for the whole batch"]
            )
        self.group_size = group_size

    def forward(self, x: Tensor, share: Share | None = None) -> Tensor:
        """Map (N, C, H, W) to (N, C + 1, H, W)."""
        return minibatch_stddev(x, self.group_size, share)
