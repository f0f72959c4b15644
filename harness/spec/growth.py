"""Progressive growth, counted in images shown, in exact integers.

The schedule of PGGAN (arXiv 1710.10196, section 2 and appendix A): each resolution is trained for
a number of images; at its beginning, except for the first one, its layers are faded in.
Counting is a pure function of images shown, so a batch that crosses several stages lands in the
right one and a resumed run continues where it was.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Stage:
    """Where training stands: resolution in pixels and the new layers' weight in [0, 1]."""

    scale: int
    transition_weight: float


@dataclass(frozen=True, slots=True)
class GrowthSchedule:
    """Stages of growth.

    Args:
        scales: resolutions in pixels, rising.
        images: images shown at each of them; the last scale goes on for as long as training does.
        transition_images: images over which a new scale is faded in; 0 switches at once.
        batch_sizes: images in a batch at each scale.
    """

    scales: tuple[int, ...]
    images: tuple[int, ...]
    transition_images: int
    batch_sizes: tuple[int, ...]

    @classmethod
    def from_kimgs(
        cls,
        nkimgs_per_scale: Mapping[int, float],
        transition_kimgs: float,
        batch_size: int | Mapping[int, int],
    ) -> "GrowthSchedule":
        """Build from the spec's thousands of images, rounded to whole images.

        Scales that ``batch_size`` leaves out take the batch size of the next smaller scale given.
        """
        scales = tuple(sorted(nkimgs_per_scale))
        given = {scales[0]: batch_size} if isinstance(batch_size, int) else dict(batch_size)
        return cls(
            scales,
            tuple(round(nkimgs_per_scale[scale] * 1000) for scale in scales),
            round(transition_kimgs * 1000),
            tuple(_at_or_below(given, scale) for scale in scales),
        )

    def stage(self, images_shown: int) -> Stage:
        """Return the stage of the batch that begins after ``images_shown`` images."""
        index = self._index(images_shown)
        if index == 0 or self.transition_images == 0:
            return Stage(self.scales[index], 1.0)
        into = images_shown - self._ends()[index - 1]
        return Stage(self.scales[index], min(into / self.transition_images, 1.0))

    def is_final(self, images_shown: int) -> bool:
        """Tell whether the last of ``images_shown`` images was of the final resolution."""
        return self.stage(max(images_shown - 1, 0)).scale == self.scales[-1]

    def batch_size(self, images_shown: int) -> int:
        """Return the size of the batch that begins after ``images_shown`` images."""
        return self.batch_sizes[self._index(images_shown)]

    def segments(self, total_images: int) -> Iterator[tuple[int, int, int]]:
        """Yield (scale, images, iterations) spent at each scale in a run of ``total_images``."""
        shown = 0
        ends = (*self._ends()[:-1], total_images)
        for scale, end, batch in zip(self.scales, ends, self.batch_sizes, strict=True):
            iterations = max(0, -(-(min(end, total_images) - shown) // batch))
            shown += iterations * batch
            yield scale, iterations * batch, iterations

    def iterations(self, total_images: int) -> int:
        """Return the number of iterations until at least ``total_images`` were shown."""
        return sum(iterations for _, _, iterations in self.segments(total_images))

    def _ends(self) -> tuple[int, ...]:
        return tuple(accumulate(self.images))

    def _index(self, images_shown: int) -> int:
        return min(bisect_right(self._ends(), images_shown), len(self.scales) - 1)


def _at_or_below(sizes: Mapping[int, int], scale: int) -> int:
    known = [given for given in sizes if given <= scale]
    return sizes[max(known)] if known else sizes[min(sizes)]
