"""VisualizationHook: pictures of what a model draws, without touching its training."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from harness.errors import SpecError
from harness.images import to_uint8
from harness.registry import HOOKS
from harness.structures import images_of
from harness.visuals.grids import grid
from harness.visuals.samplers import NoiseSampler, sampler_name

VisKwargs = Mapping[str, Any]
_ENTRY = frozenset(
    {"type", "name", "n_samples", "n_row", "fixed_input", "sample_model", "target_keys", "vis_mode"}
)


@HOOKS.register_module()
class VisualizationHook(Hook):
    """Draw grids during training and single images during a test, through runner.visualizer.

    Latents come from a stream of their own, and the model's train or eval mode is put back as it
    was, so training gives the same bits with and without this hook. Each entry draws once.

    Args:
        interval: training iterations between visualizations.
        vis_kwargs_list: one entry or several: ``type`` (GAN or Noise), and optionally ``name`` of
            the pictures, ``sample_model`` (networks joined by '/'), ``target_keys`` of the
            model's answer to show, ``n_samples``, ``n_row``, ``fixed_input``.
        fixed_input: the same latents each time, where an entry does not say.
        n_samples: images a picture, likewise.
        n_row: images a row of it; by default the square root of their number.
        message_hub_vis_kwargs: keys of the runner's message hub that hold images NCHW in [-1, 1],
            a name, names, or entries with ``key`` and ``name``, drawn at the same interval.
        save_at_test: write images of a test.
        max_save_at_test: at most that many; None for all.
        test_vis_keys: keys of the model's answer to write; by default every one.
        show: show pictures in a window as well.
        wait_time: seconds that a shown picture stays.

    Raises:
        SpecError: for an entry that cannot be drawn.
    """

    priority = "NORMAL"

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
    ) -> None:
        self.interval = interval
        self.entries = [
            {"fixed_input": fixed_input, "n_samples": n_samples, "n_row": n_row, **entry}
            for entry in _as_list(vis_kwargs_list)
        ]
        for entry in self.entries:
            _check(entry)
        self.hub_entries = [
            {"key": entry, "name": entry} if isinstance(entry, str) else dict(entry)
            for entry in _as_list(message_hub_vis_kwargs)
        ]
        self.save_at_test = save_at_test
        self.max_save_at_test = max_save_at_test
        self.test_vis_keys = _as_list(test_vis_keys)
        self.show = show
        self.wait_time = wait_time
        self._tested = 0

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
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for index, entry in enumerate(self.entries):
            sampler = self._sampler(model, entry, index)
            with _evaluating(model):
                drawn = [
                    images_of(model.val_step({"inputs": inputs}))
                    for inputs in sampler.inputs(runner.iter + 1)
                ]
            for key in _as_list(entry.get("target_keys")) or list(drawn[0]):
                images = torch.cat([batch[key] for batch in drawn])
                name = str(entry.get("name", entry["type"]))
                name += "" if len(drawn[0]) == 1 else f"_{key}"
                self._add(runner, name, images, entry)

    @master_only  # type: ignore[untyped-decorator]
    def vis_from_message_hub(self, runner: Runner) -> None:
        """Draw the images that others left in the message hub."""
        for entry in self.hub_entries:
            images = runner.message_hub.get_info(entry["key"])
            if images is not None:
                self._add(runner, str(entry.get("name", entry["key"])), images, entry)

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
        images = images_of(outputs)
        count = len(next(iter(images.values())))
        for index in range(count):
            if self.max_save_at_test is not None and self._tested >= self.max_save_at_test:
                return
            for key in self.test_vis_keys or images:
                one = images[key][index : index + 1]
                runner.visualizer.add_image(f"test_{key}", grid(to_uint8(one)), step=self._tested)
            self._tested += 1

    def _add(self, runner: Runner, name: str, images: Tensor, entry: VisKwargs) -> None:
        picture = grid(to_uint8(images.detach().float().cpu()), entry.get("n_row"))
        runner.visualizer.add_image(name, picture, step=runner.iter + 1)
        if self.show:
            runner.visualizer.show(picture, win_name=name, wait_time=self.wait_time)

    def _sampler(self, model: Any, entry: VisKwargs, index: int) -> NoiseSampler:
        device = next(model.parameters()).device
        return NoiseSampler(
            noise_size=int(model.noise_size),
            n_samples=entry["n_samples"] or 64,
            fixed_input=entry["fixed_input"],
            batch_size=64,
            sample_model=entry.get("sample_model", "orig"),
            seed=getattr(model, "seed", 0),
            name=f"{index} {entry.get('name', entry['type'])}",
            device=device,
        )


def _check(entry: VisKwargs) -> None:
    if "type" not in entry:
        raise SpecError(["vis_kwargs_list: an entry has no type, such as GAN"])
    sampler_name(entry["type"])
    unknown = sorted(set(entry) - _ENTRY)
    if unknown:
        known = ", ".join(sorted(_ENTRY))
        raise SpecError([f"vis_kwargs_list.{unknown[0]}: is not known; known: {known}"])
    if entry.get("vis_mode", "image") != "image":
        raise SpecError([f"vis_kwargs_list.vis_mode: {entry['vis_mode']!r} is not 'image'"])


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return [value] if isinstance(value, str | Mapping) else list(value)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every module's own mode is put back, whatever happens."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True
