"""Training until enough images were shown, and evaluation of every arm in between."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from mmengine.runner import BaseLoop, IterBasedTrainLoop, Runner
from torch import nn

from harness.data.order import ShownImages
from harness.engine.keeping import Keeper
from harness.engine.runner import QuietRunner
from harness.gans.base import GAN
from harness.isolation import own_streams
from harness.registry import LOOPS


@LOOPS.register_module()
class ImagesTrainLoop(IterBasedTrainLoop):
    """Train by images shown, and evaluate by images shown.

    Unlike mmengine's loop, a resumed run replays no data: the order of images is a function of
    how many were shown. Checkpoints are written between two iterations, when all that belongs to
    the earlier one, its evaluation too, has taken place.

    Args:
        total_images: training ends with the first batch that reaches this number.
        eval_images: evaluations take place with the first batch that reaches each multiple of
            this number, and at the end.
        max_iters: iterations of the whole run.
        first_eval_images: one more takes place with the first batch that reaches this number.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        total_images: int,
        eval_images: int,
        max_iters: int,
        first_eval_images: int | None = None,
    ) -> None:
        super().__init__(runner, dataloader, max_iters=max_iters, val_interval=max_iters)
        self.total_images = total_images
        self.eval_images = eval_images
        self.first_eval_images = first_eval_images

    def run(self) -> nn.Module:
        """Train, evaluate, and return the model."""
        model = self.runner.model
        order = self.dataloader.batch_sampler
        if isinstance(order, ShownImages):
            order.shown = model.images_shown
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        model.train()
        if self._keeper is not None and self._keeper.evaluation_due:
            self._evaluate()
        while model.images_shown < self.total_images:
            before = model.images_shown
            self.train_batch()
            if self._evaluates(before, model.images_shown):
                self._evaluate()
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return model

    def train_batch(self) -> None:
        """Write what is due of the iteration before, then train one on the next batch."""
        if self._keeper is not None:
            self._keeper.between(self.runner)
        self.run_iter(next(self.dataloader_iterator))

    @property
    def _keeper(self) -> Keeper | None:
        return self.runner.keeper if isinstance(self.runner, QuietRunner) else None

    def _evaluate(self) -> None:
        if self._keeper is not None:
            self._keeper.wait_for_all()
        try:
            self.runner.val_loop.run()
        except KeyboardInterrupt:
            if self._keeper is not None:
                self._keeper.save(self.runner, evaluation_due=True)
            raise

    def _evaluates(self, before: int, shown: int) -> bool:
        """Tell whether a batch after which ``shown`` images were shown is followed by one."""
        first = self.first_eval_images
        reached_first = first is not None and before < first <= shown
        regular = shown // self.eval_images > before // self.eval_images
        return regular or reached_first or shown >= self.total_images


class ArmEvaluator(Protocol):
    """Measures all arms of a model as it stands."""

    def evaluate(self, model: GAN, iteration: int) -> dict[str, float]:
        """Return values by ``QUANTITY/ARM`` after ``iteration`` iterations."""


@LOOPS.register_module()
class EvaluationLoop(BaseLoop):
    """Validation that measures every arm on the same latents.

    Args:
        evaluator: measures the model.
    """

    def __init__(self, runner: Runner, dataloader: Any, evaluator: ArmEvaluator) -> None:
        self._runner = runner
        self.dataloader = dataloader
        self.evaluator = evaluator

    def run(self) -> Mapping[str, float]:
        """Evaluate once and return the metrics."""
        self.runner.call_hook("before_val")
        self.runner.call_hook("before_val_epoch")
        model = self.runner.model
        # A network that draws from the global streams leaves them to training as they were.
        with self._interruptible(), own_streams(0, next(model.parameters()).device):
            metrics = self.evaluator.evaluate(model, self.runner.iter)
        self.runner.call_hook("after_val_epoch", metrics=metrics)
        self.runner.call_hook("after_val")
        return metrics

    def _interruptible(self) -> AbstractContextManager[None]:
        # Nothing of the run changes while it is measured; but several processes measure together.
        keeper = self.runner.keeper if isinstance(self.runner, QuietRunner) else None
        if keeper is None or keeper.peers.count > 1:
            return nullcontext()
        return keeper.interrupts.at_once()
