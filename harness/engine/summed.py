"""An optimizer that steps along the gradients' sum over all processes of a run."""

from typing import Any

from mmengine.optim import OptimWrapper

from harness.ranks.shares import sum_gradients


class SummedOptimWrapper(OptimWrapper):
    """mmengine's wrapper, for losses that are each process's part of the whole batch's.

    Gradients are added up once a step, after the last backward pass of it. torch's
    DistributedDataParallel adds them up in its backward pass, of one forward through its wrapper:
    here a step has several, penalties derive twice, and lazy terms have steps of their own.
    """

    def step(self, **kwargs: Any) -> None:
        """Add the gradients up, then clip them and step as mmengine does."""
        sum_gradients(p for group in self.optimizer.param_groups for p in group["params"])
        super().step(**kwargs)
