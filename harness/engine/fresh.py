"""When an arm is measured on further latents: at each new best, and at the end."""

from collections.abc import Iterable, Mapping

from harness.records.quantities import lookup
from harness.records.types import Row
from harness.spec.schema import Spec


class FreshSets:
    """Which further sets of latents an arm is measured on at an evaluation.

    All of them at the end. Before, the first one wherever a metric at the final resolution is an
    arm's best so far: a best is picked by looking, so that its latents were lucky ones, and the
    weights that it belongs to are at hand only then.

    Args:
        spec: says how many sets there are, and when training ends.
        rows: what the run has measured so far; a resumed run goes on with the same bests.
    """

    def __init__(self, spec: Spec, rows: Iterable[Row] = ()) -> None:
        self._count = spec.evaluate.fresh or 0
        self._growth = spec.growth
        self._total_images = spec.total_images
        self._best: dict[tuple[str, str], float] = {}
        for row in rows:
            self._take(row.arm, {row.quantity: row.value}, round(1000 * row.kimg))

    def due(self, arm: str, values: Mapping[str, float], images_shown: int) -> range:
        """Return the numbers of the sets, from 1 on.

        Args:
            arm: what was measured.
            values: its metrics on the usual latents, which count as its best from now on.
            images_shown: when.
        """
        is_best = self._take(arm, values, images_shown)
        if images_shown >= self._total_images:
            return range(1, self._count + 1)
        return range(1, 2 if is_best else 1)

    def _take(self, arm: str, values: Mapping[str, float], images_shown: int) -> bool:
        """Note what is better than all before; tell whether anything was."""
        if not self._growth.is_final(images_shown):
            return False  # an easier task, whose values are not this one's
        better = {}
        for quantity, value in values.items():
            sign = {"lower": 1, "higher": -1, "neither": 0}[lookup(quantity).better]
            best = self._best.get((arm, quantity))
            if sign and (best is None or sign * value < sign * best):
                better[arm, quantity] = value
        self._best |= better
        return bool(better)
