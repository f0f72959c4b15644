"""PosthocEMAHook: snapshots of two power-function averages, to rebuild any other from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from harness.ema import snapshots
from harness.ema.snapshots import Profile
from harness.hooks.ema import ExponentialMovingAverageHook
from harness.registry import HOOKS
from harness.structures import unwrapped

_WIDEST = 12**-0.5


def track_name(index: int) -> str:
    """Return the name in the model of the average of the ``index``-th width."""
    return f"posthoc{index}_ema"


@HOOKS.register_module()
class PosthocEMAHook(Hook):
    """Keep power-function averages of a network and write them down again and again.

    The averages are ExponentialMovingAverageHook's, one submodule of the model each, so that they
    and their counters are in a checkpoint and a resumed run goes on with them. Images are counted
    from where the averages began. ``harness.ema.posthoc.rebuild`` makes any other width from the
    files (arXiv 2312.02696, section 3.2).

    Args:
        folder: where the snapshots are written; those of a later point of training, which an
            attempt before this one left, are removed when training begins.
        sigma_rel: relative widths of the averages, two or more, each in (0, 12^-0.5].
        every_images: a snapshot is written by the first batch that reaches each multiple of this
            number, and at the end of training.
        source: the network's name in the model.

    Raises:
        ValueError: for widths or a number that cannot be meant.
    """

    priority = "HIGH"

    def __init__(
        self,
        folder: str | Path,
        sigma_rel: Sequence[float] = (0.05, 0.10),
        every_images: int = 4000,
        source: str = "generator",
    ) -> None:
        if len(set(sigma_rel)) < max(2, len(sigma_rel)):
            raise ValueError(f"sigma_rel: {[*sigma_rel]} is not two or more different widths")
        if not all(0 < width <= _WIDEST for width in sigma_rel):
            raise ValueError(f"sigma_rel: {[*sigma_rel]} is not all in (0, {_WIDEST:.3f}]")
        if every_images < 1:
            raise ValueError(f"every_images: {every_images} is not at least 1")
        self.folder = Path(folder)
        self.every_images = every_images
        self.tracks = {
            width: ExponentialMovingAverageHook(
                track_name(index), "power", {"sigma_rel": width}, interval=1, source=source
            )
            for index, width in enumerate(sigma_rel)
        }

    @property
    def images(self) -> int:
        """Images that the averages span."""
        return next(iter(self.tracks.values())).images

    def before_run(self, runner: Runner) -> None:
        """Give the model the averages."""
        for track in self.tracks.values():
            track.before_run(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Take over the averages' counters."""
        for track in self.tracks.values():
            track.after_load_checkpoint(runner, checkpoint)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the averages' counters."""
        for track in self.tracks.values():
            track.before_save_checkpoint(runner, checkpoint)

    def before_train(self, runner: Runner) -> None:
        """Begin the averages, and remove snapshots of what has not been trained yet."""
        for track in self.tracks.values():
            track.before_train(runner)
        if is_main_process():
            snapshots.remove_after(self.folder, self.images)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Average, and write when that is due."""
        before = self.images // self.every_images
        for track in self.tracks.values():
            track.after_train_iter(runner, batch_idx, data_batch, outputs)
        due = self.images // self.every_images > before or runner.iter + 1 == runner.max_iters
        if due and is_main_process():
            self._write(runner)

    def _write(self, runner: Runner) -> None:
        model = unwrapped(runner.model)
        for width, track in self.tracks.items():
            (key,) = track.module_keys
            snapshots.write(self.folder, Profile(width, self.images), getattr(model, key))
