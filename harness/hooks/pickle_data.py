"""PickleDataHook: data of a model that is no weight, kept in files and in checkpoints."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from harness.files.pickles import (
    SAFETENSORS,
    load_pickled_data,
    numpy_form,
    to_safetensors,
    torch_form,
)
from harness.records.files import write_atomically
from harness.registry import HOOKS
from harness.structures import unwrapped

__all__ = ["PickleDataHook", "load_pickled_data"]

_FORMATS = ("pickle", "safetensors")
_MISSING = object()


@HOOKS.register_module()
class PickleDataHook(Hook):
    """Save attributes of the model, such as SinGAN's ``noise_weights`` and ``fixed_noises``.

    A file is named by the number of iterations done, holds the state after them, and is written
    whole or not at all, while training only: ``val()`` and ``test()`` write nothing. The same data
    stands in every checkpoint, under ``harness_pickle_data``; loading one sets the attributes.
    ``harness.files.pickles.load_pickled_data`` reads a file back.

    Args:
        output_dir: folder of the files, relative to the runner's ``work_dir``.
        data_name_list: the attributes' names. Their values are tensors, numbers, strings, None,
            and lists, tuples and dicts of them.
        interval: iterations between files; -1 writes none while training goes on.
        before_run: whether to write before the first iteration, after weights are initialised or
            a checkpoint is resumed.
        after_run: whether to write after the last iteration.
        filename_tmpl: the file's name; ``{}`` stands for the number of iterations.
        format: ``pickle`` (numpy arrays; bfloat16, which numpy lacks, becomes float32), or
            ``safetensors`` (exact; its suffix replaces the template's).

    Raises:
        ValueError: if an argument cannot be meant.
        AttributeError: before training, if the model lacks a name; says what there is.
        TypeError: at a save, before a file is touched, if a value cannot be kept.
    """

    # After the other hooks of an iteration, which may still change the data.
    priority = "LOW"

    def __init__(
        self,
        output_dir: str,
        data_name_list: Sequence[str],
        interval: int = -1,
        before_run: bool = False,
        after_run: bool = False,
        filename_tmpl: str = "iter_{}.pkl",
        format: str = "pickle",
    ) -> None:
        if isinstance(data_name_list, str) or not data_name_list:
            raise ValueError(f"data_name_list: {data_name_list!r} is not a list of names")
        if interval != -1 and interval < 1:
            raise ValueError(f"interval: {interval} is not -1 or at least 1")
        if filename_tmpl.format(1) == filename_tmpl.format(2):
            raise ValueError(f"filename_tmpl: {filename_tmpl!r} has no {{}} for the iteration")
        if format not in _FORMATS:
            raise ValueError(f"format: {format!r} is not one of {', '.join(_FORMATS)}")
        if format == "pickle" and filename_tmpl.endswith(SAFETENSORS):
            raise ValueError(f"filename_tmpl: {filename_tmpl!r} names no pickle; set format")
        self.output_dir = output_dir
        self.data_name_list = tuple(data_name_list)
        self.interval = interval
        self.filename_tmpl = filename_tmpl
        self.format = format
        self._save_before = before_run
        self._save_after = after_run
        self._training = False

    def before_run(self, runner: Runner) -> None:
        """Note that no training has begun: weights are neither initialised nor loaded yet."""
        self._training = False

    def before_train(self, runner: Runner) -> None:
        """Check the names; save the state that training begins with."""
        self._training = True
        self._values(runner)
        if self._save_before:
            self._pickle_data(runner)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Save at each ``interval``-th iteration."""
        if self.every_n_train_iters(runner, self.interval):
            self._pickle_data(runner, runner.iter + 1)

    def after_run(self, runner: Runner) -> None:
        """Save the trained state."""
        if self._training and self._save_after:
            self._pickle_data(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Put the data beside the weights."""
        values = self._values(runner)
        kept = checkpoint.setdefault("harness_pickle_data", {})
        kept.update({name: torch_form(value, name) for name, value in values.items()})

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Set the attributes as they were; parameters and buffers are the state dict's."""
        model = unwrapped(runner.model)
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        own = vars(model)
        for name, value in checkpoint.get("harness_pickle_data", {}).items():
            if name in self.data_name_list and name in own:
                setattr(model, name, _moved(value, device))

    def _pickle_data(self, runner: Runner, iterations: int | None = None) -> None:
        """Write one file, named by the iterations done."""
        if not is_main_process():
            return
        values = self._values(runner)
        name = self.filename_tmpl.format(runner.iter if iterations is None else iterations)
        path = Path(runner.work_dir) / self.output_dir / name
        if self.format == "safetensors":
            name = name.removesuffix(".pkl").removesuffix(SAFETENSORS) + SAFETENSORS
            write_atomically(path.with_name(name), to_safetensors(values))
        else:
            data = {name: self._get_numpy_data(v, name) for name, v in values.items()}
            write_atomically(path, pickle.dumps(data))

    def _get_numpy_data(self, data: Any, name: str = "data") -> Any:
        return numpy_form(data, name)

    def _values(self, runner: Runner) -> dict[str, Any]:
        model = unwrapped(runner.model)
        values = {name: getattr(model, name, _MISSING) for name in self.data_name_list}
        missing = [name for name, value in values.items() if value is _MISSING]
        if missing:
            raise AttributeError(
                f"data_name_list: {type(model).__name__} has no {', '.join(missing)}; it has "
                f"{', '.join(_names(model))}"
            )
        return values


def _names(model: nn.Module) -> list[str]:
    """Return the public names that a model has on top of what every module has."""
    every = {*vars(nn.Module()), "data_preprocessor", "init_cfg"}
    own = {*vars(model), *dict(model.named_buffers(recurse=False))}
    own |= dict(model.named_parameters(recurse=False)).keys()
    return sorted(name for name in own - every if not name.startswith("_"))


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _moved(v, device) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_moved(v, device) for v in value)
    return value
