"""BasicVisualizationHook: what a model answers goes to the visualizer, sample by sample."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer as MMEngineVisualizer

from harness.registry import HOOKS
from harness.structures import DataSample, images_in
from harness.visuals.pictures import Style, pictures
from harness.visuals.visualizer import Visualizer, title_of

_MODES = ("train", "val", "test")


@HOOKS.register_module()
class BasicVisualizationHook(Hook):
    """Draw a model's answers with ``runner.visualizer.add_datasample``, on the main rank.

    A training answer is drawn at the run's iteration; if an answer holds no image, only losses,
    that is said once. The samples of all validations, and of one test, are numbered from 0 on,
    whichever loader they come from; a resumed run goes on numbering.

    Args:
        interval: iterations between drawings, one number or by mode: train, val, test; by
            default each.
        on_train: draw what ``train_step`` answers.
        on_val: draw what ``val_step`` answers.
        on_test: draw what ``test_step`` answers.

    Raises:
        TypeError: if an argument has another type.
        ValueError: for a mode that there is not, or an interval below 1.
    """

    priority = "NORMAL"

    def __init__(
        self,
        interval: int | Mapping[str, int] | None = None,
        on_train: bool = False,
        on_val: bool = True,
        on_test: bool = True,
    ) -> None:
        self._intervals = dict.fromkeys(_MODES, 1) | _intervals(interval)
        self._drawn_modes = {"train": on_train, "val": on_val, "test": on_test}
        for mode, drawn in self._drawn_modes.items():
            if not isinstance(drawn, bool):
                raise TypeError(f"BasicVisualizationHook.on_{mode}: {drawn!r} is not a bool")
        self._tested = 0
        self._said = False

    def before_test(self, runner: Runner) -> None:
        """Number a test's samples from nought."""
        self._tested = 0

    @master_only  # type: ignore[untyped-decorator]
    def _after_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = "train",
    ) -> None:
        if not self._drawn_modes[mode]:
            return
        due = (
            self.every_n_train_iters(runner, self._intervals[mode])
            if mode == "train"
            else self.every_n_inner_iters(batch_idx, self._intervals[mode])
        )
        if due:
            for index, sample in enumerate(self._samples(outputs, mode)):
                if mode == "train":
                    _draw(runner, f"train_{index}", sample, runner.iter + 1)
                else:
                    _draw(runner, mode, sample, self._next_step(runner, mode))

    def _samples(self, outputs: Any, mode: str) -> list[BaseDataElement]:
        """Return the samples answered; images without are made ones; none is said once."""
        if isinstance(outputs, Sequence) and outputs and isinstance(outputs[0], BaseDataElement):
            return list(outputs)
        images = images_in(outputs)
        if not images and not self._said:
            self._said = True
            keys = ", ".join(map(str, outputs)) if isinstance(outputs, Mapping) else "no samples"
            warnings.warn(
                f"BasicVisualizationHook: on_{mode} finds no image in the model's answer ({keys}): "
                "nothing is drawn",
                stacklevel=2,
            )
        columns = [[(name, image) for image in values] for name, values in images.items()]
        return [DataSample(**dict(pairs)) for pairs in zip(*columns, strict=True)]

    def _next_step(self, runner: Runner, mode: str) -> int:
        """Return how many samples of this mode were drawn before."""
        if mode == "test":
            self._tested += 1
            return self._tested - 1
        # In the message hub, which checkpoints keep.
        hub, key = runner.message_hub, "basic_visualization/val_samples"
        step: int = hub.get_info(key, 0)
        hub.update_info(key, step + 1)
        return step


def _draw(runner: Runner, name: str, sample: BaseDataElement, step: int) -> None:
    visualizer = runner.visualizer
    if isinstance(visualizer, Visualizer):
        visualizer.add_datasample(name, gen_samples=[sample], step=step)
    elif type(visualizer) is not MMEngineVisualizer:
        visualizer.add_datasample(sample, step=step)
    else:  # mmengine's own draws no samples
        images = images_in([sample])
        for key, picture in pictures(images, Style()).items():
            visualizer.add_image(title_of(name, key, images), picture, step=step)


def _intervals(given: int | Mapping[str, int] | None) -> dict[str, int]:
    given = {} if given is None else given
    intervals = dict(given) if isinstance(given, Mapping) else dict.fromkeys(_MODES, given)
    for mode, interval in intervals.items():
        if mode not in _MODES:
            raise ValueError(f"BasicVisualizationHook.interval: {mode!r} is not train, val or test")
        if not isinstance(interval, int) or isinstance(interval, bool):
            raise TypeError(f"BasicVisualizationHook.interval: {interval!r} is not a whole number")
        if interval < 1:
            raise ValueError(f"BasicVisualizationHook.interval: {interval} is below 1")
    return intervals
