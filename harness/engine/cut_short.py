"""Passes of an evaluation that are ended when they have told enough of themselves."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.engine.arms import Evaluator
from harness.engine.evaluation import ArmsEvaluator
from harness.spec.vocabulary import PATH_METRICS

_LEAST = 3
"""Batches of a pass that are drawn however long they take."""


class _CutShort(Exception):
    """A pass has told enough of itself."""


class Counter:
    """Ends passes of a long evaluation after a while, and says how much of each there was.

    Args:
        evaluator: tells of each batch.
        sec: after which a pass is ended.
    """

    def __init__(self, evaluator: Evaluator, sec: float) -> None:
        self.evaluator = evaluator
        self.sec = sec
        self.shares: list[float] = []
        """Of each pass, how much of its images was drawn."""

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the batches of the pass inside."""
        batches, seen = _batches(self.evaluator), 0
        until = time.perf_counter() + self.sec

        def beat() -> None:
            nonlocal seen
            if _LEAST < seen < batches and time.perf_counter() > until:
                raise _CutShort
            seen += 1

        self.evaluator.beat = beat
        try:
            yield
            self.shares.append(1.0)
        except _CutShort:
            self.shares.append(seen / batches)


def _batches(evaluator: Evaluator) -> int:
    """Return in how many batches an arm's images are drawn; 0 where they are too few to count."""
    settings = evaluator.settings
    if not isinstance(evaluator, ArmsEvaluator):
        return 0
    paths = len(PATH_METRICS.intersection(settings.metrics))
    scored = settings.fake_images if paths < len(settings.metrics) else 0
    steps = -(-settings.pairs // max(1, settings.batch_size // 2))
    return -(-scored // settings.batch_size) + paths * steps
