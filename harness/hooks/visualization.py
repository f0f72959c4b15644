"""VisualizationHook: pictures of what a model draws, without touching its training."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from harness.errors import SpecError
from harness.registry import HOOKS
from harness.spec.vis_checks import hook_problems
from harness.spec.vis_kwargs import VIS_KWARGS_MAPPING, as_list
from harness.spec.yaml_text import dotted
from harness.structures import Images, images_in
from harness.visuals.drawing import draw
from harness.visuals.entries import entry_of, style_of
from harness.visuals.pictures import Picture, Style, pictures
from harness.visuals.visualizer import Visualizer, still, title_of

VisKwargs = Mapping[str, Any]


@HOOKS.register_module()
class VisualizationHook(Hook):
    """Draw grids during training and single images during a test, through runner.visualizer.

    Each entry asks the model once a batch. Inputs come from streams of their own, the global
    streams and each module's train or eval mode are put back: training gives the same bits with
    and without this hook. A fixed input is computed anew from the seed each time, so nothing is
    held in between and a resumed run shows the same.

    An entry is ``type`` (an alias or a sampler: GAN, SinGAN, Translation, TranslationVal,
    TranslationTest, DDPMDenoising; Noise, Arguments, Data, ValData, TestData) and, where wanted,
    ``name`` of the pictures, ``n_samples`` (or ``num_samples``), ``num_batches`` (samples asked
    for at once), ``n_row``, ``fixed_input``, ``target_keys``, ``vis_mode`` (image, gif),
    ``draw_gt``, ``sample_model`` (networks joined by '/'), ``forward_kwargs`` for the model,
    ``color_order``, ``target_mean``, ``target_std``, and of a gif ``n_skip`` and ``fps``. The
    entry's own words stand above those of its alias, and they above the hook's arguments.

    Args:
        interval: training iterations between visualizations, of the whole run; -1 for never.
        vis_kwargs_list: one entry or several.
        fixed_input: the same input each time, where an entry does not say.
        n_samples: samples a picture, likewise.
        n_row: images a row of it; by default the square root of their number.
        message_hub_vis_kwargs: keys of the runner's message hub that hold images, a name, names,
            or entries with ``key`` and words on style, drawn at the same interval.
        save_at_test: write images of a test, numbered from 0 over all of its loaders.
        max_save_at_test: at most that many; None for all.
        test_vis_keys: keys of the model's answer to write, as ``target_keys``.
        show: show pictures in a window as well.
        wait_time: seconds that a shown picture stays.
        sampler_kwargs_list: another name of ``vis_kwargs_list``.

    Raises:
        TypeError: if an argument has another type.
        SpecError: for an entry that cannot be drawn; names every problem.
    """

    priority = "NORMAL"
    VIS_KWARGS_MAPPING: ClassVar[Mapping[str, VisKwargs]] = VIS_KWARGS_MAPPING
    SAMPLER_TYPE_MAPPING: ClassVar[Mapping[str, str]] = MappingProxyType(
        {alias: words["type"] for alias, words in VIS_KWARGS_MAPPING.items()}
    )

    def __init__(
        self,
        interval: int = 1000,
        vis_kwargs_list: VisKwargs | Sequence[VisKwargs] | None = None,
        fixed_input: bool = True,
        n_samples: int | None = 64,
        n_row: int | None = None,
        message_hub_vis_kwargs: str | VisKwargs | Sequence[str | VisKwargs] | None = None,
        save_at_test: bool = True,
        max_save_at_test: int | None = 100,
        test_vis_keys: str | Sequence[str] | None = None,
        show: bool = False,
        wait_time: float = 0,
        sampler_kwargs_list: VisKwargs | Sequence[VisKwargs] | None = None,
    ) -> None:
        given = {k: v for k, v in locals().items() if k != "self" and not k.startswith("_")}
        _refuse_wrong(given)
        defaults = {"fixed_input": fixed_input, "n_samples": n_samples, "n_row": n_row}
        listed = as_list(vis_kwargs_list) or as_list(sampler_kwargs_list)
        self.interval = interval
        self.entries = [entry_of(words, defaults, index) for index, words in enumerate(listed)]
        hub = [{"key": e} if isinstance(e, str) else e for e in as_list(message_hub_vis_kwargs)]
        self.hub_entries = [{"name": e["key"], "n_row": n_row, **e} for e in hub]
        self.save_at_test = save_at_test
        self.max_save_at_test = max_save_at_test
        self.test_style = Style(target_keys=tuple(as_list(test_vis_keys)))
        self.show = show
        self.wait_time = wait_time
        self._tested = 0

    def before_train(self, runner: Runner) -> None:
        """Refuse moving pictures where the visualizer takes none."""
        styles = [*(e.style for e in self.entries), *map(style_of, self.hub_entries)]
        moving = any(style.vis_mode == "gif" for style in styles)
        if moving and not isinstance(runner.visualizer, Visualizer):
            raise TypeError(
                f"VisualizationHook: {type(runner.visualizer).__module__} has no moving pictures: "
                "give the runner visualizer {type: Visualizer, vis_backends: [{type: VisBackend}]} "
                "of the harness, or leave vis_mode gif out"
            )

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draw every ``interval`` iterations of the run, however long its epochs are."""
        if self.every_n_train_iters(runner, self.interval):
            self.vis_sample(runner, batch_idx, data_batch, outputs)
            self.vis_from_message_hub(runner)

    @master_only  # type: ignore[untyped-decorator]
    def vis_sample(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draw each entry once."""
        for entry in self.entries:
            images = draw(entry, runner)
            self._add(runner, entry.name, images, entry.style, runner.iter + 1, entry.fps)

    @master_only  # type: ignore[untyped-decorator]
    def vis_from_message_hub(self, runner: Runner) -> None:
        """Draw the images that others left in the message hub."""
        for words in self.hub_entries:
            images = images_in(runner.message_hub.get_info(words["key"]))
            if images:
                style = style_of(words)
                self._add(runner, words["name"], images, style, runner.iter + 1, words.get("fps"))

    def before_test(self, runner: Runner) -> None:
        """Number a test's images from nought."""
        self._tested = 0

    @master_only  # type: ignore[untyped-decorator]
    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Write each image of a test under a number of its own."""
        if not self.save_at_test:
            return
        images = images_in(outputs)
        for index in range(max(map(len, images.values()), default=0)):
            if self.max_save_at_test is not None and self._tested >= self.max_save_at_test:
                return
            one = {key: values[index : index + 1] for key, values in images.items()}
            for key, picture in pictures(one, self.test_style).items():
                self._write(runner, f"test_{key}", picture, self._tested)
            self._tested += 1

    def _add(
        self,
        runner: Runner,
        name: str,
        images: Images,
        style: Style,
        step: int,
        fps: float | None,
    ) -> None:
        for key, picture in pictures(images, style).items():
            self._write(runner, title_of(name, key, images), picture, step, fps)

    def _write(
        self, runner: Runner, name: str, picture: Picture, step: int, fps: float | None = None
    ) -> None:
        speed = {"fps": fps} if picture.ndim == 4 else {}
        runner.visualizer.add_image(name, picture, step=step, **speed)
        if self.show:
            runner.visualizer.show(still(picture), win_name=name, wait_time=self.wait_time)


def _refuse_wrong(arguments: Mapping[str, Any]) -> None:
    problems = [*hook_problems(arguments)]
    for path, text in problems:
        if len(path) == 1:
            raise TypeError(f"VisualizationHook.{path[0]}: {text}")
    if problems:
        raise SpecError([f"{dotted(path)}: {text}" for path, text in problems])
