"""How many samples a run keeps at each evaluation, how large, and what that takes."""

from harness.spec.schema import Spec

MOST_TILES = 16
"""Of an arm at one evaluation."""
WIDEST_PX = 256
"""Longer side of what is kept; larger images are averaged down."""
_LEAST_TILES = 4
_MOST_PX = 2**18
"""Of one arm's images at one evaluation."""


def tiles(height: int, width: int) -> int:
    """Return how many images of an arm are kept at each evaluation, by their final size in px."""
    return min(MOST_TILES, max(_LEAST_TILES, _MOST_PX // (height * width)))


def film_gib(spec: Spec) -> float:
    """Return the size of a run's samples of all evaluations, before they are compressed."""
    arms, side = 1 + len(spec.observers.ema), spec.growth.scales[-1]
    frames = -(-spec.total_images // round(spec.evaluate.every_kimg * 1000))
    return frames * arms * tiles(side, side) * 3 * min(side, WIDEST_PX) ** 2 / 2**30
