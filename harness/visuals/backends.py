"""Where pictures and numbers go: files, TensorBoard, Weights & Biases; all in RGB, all by step.

tensorboard and wandb are asked for when they are first used, not before.
"""

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import imageio.v3 as iio
import numpy as np
from mmengine.visualization import LocalVisBackend
from mmengine.visualization import TensorboardVisBackend as MMEngineTensorboard
from mmengine.visualization import WandbVisBackend as MMEngineWandb
from mmengine.visualization.vis_backend import force_init_env

from harness.errors import SpecError
from harness.records.files import write_atomically
from harness.registry import VISBACKENDS
from harness.visuals.pictures import Picture

FPS = 10.0


@runtime_checkable
class Moving(Protocol):
    """A backend that takes moving pictures."""

    def add_frames(self, name: str, frames: Picture, step: int = 0, fps: float = FPS) -> None:
        """Keep a moving picture THWC."""


def gif(frames: Picture, fps: float = FPS) -> bytes:
    """Return frames THWC uint8 as a GIF that repeats.

    A GIF counts hundredths of a second: a frame stays for 1000 / fps ms, rounded to 10, and no
    less than 20, below which viewers slow down.
    """
    duration_ms = max(20, round(100 / fps) * 10)
    content: bytes = iio.imwrite(
        "<bytes>", frames, plugin="pillow", extension=".gif", duration=duration_ms, loop=0
    )
    return content


@VISBACKENDS.register_module()
class VisBackend(LocalVisBackend):
    """Files: ``NAME_STEP.png``, ``NAME_STEP.gif``, numbers as JSON lines, the config.

    A '/' in a name makes a folder. Arguments as of mmengine's LocalVisBackend.
    """

    @force_init_env  # type: ignore[untyped-decorator]
    def add_image(self, name: str, image: Picture, step: int = 0) -> None:
        """Write a picture HWC, or a moving one THWC; uint8 in RGB."""
        if image.ndim == 4:
            self.add_frames(name, image, step)
        else:
            png: bytes = iio.imwrite("<bytes>", image, plugin="pillow", extension=".png")
            write_atomically(Path(self._img_save_dir) / f"{name}_{step}.png", png)

    @force_init_env  # type: ignore[untyped-decorator]
    def add_frames(self, name: str, frames: Picture, step: int = 0, fps: float = FPS) -> None:
        """Write a moving picture THWC, uint8 in RGB."""
        write_atomically(Path(self._img_save_dir) / f"{name}_{step}.gif", gif(frames, fps))


@VISBACKENDS.register_module()
class TensorboardVisBackend(MMEngineTensorboard):
    """TensorBoard events; needs the extra ``gan-harness[tensorboard]``."""

    def _init_env(self) -> None:
        _need("tensorboard")
        super()._init_env()

    @force_init_env  # type: ignore[untyped-decorator]
    def add_image(self, name: str, image: Picture, step: int = 0) -> None:
        """Write a picture HWC, or a moving one THWC; uint8 in RGB."""
        if image.ndim == 4:
            self.add_frames(name, image, step)
        else:
            self._tensorboard.add_image(name, image, step, dataformats="HWC")

    @force_init_env  # type: ignore[untyped-decorator]
    def add_frames(self, name: str, frames: Picture, step: int = 0, fps: float = FPS) -> None:
        """Write a moving picture as a GIF, which TensorBoard plays; no video library is needed."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        height, width = frames.shape[1:3]
        image = Summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=gif(frames, fps)
        )
        summary = Summary(value=[Summary.Value(tag=name, image=image)])
        self._tensorboard._get_file_writer().add_summary(summary, step)


@VISBACKENDS.register_module()
class WandbVisBackend(MMEngineWandb):
    """Weights & Biases; needs the extra ``gan-harness[wandb]``.

    Each value is logged together with its ``step``, which all charts take as their axis: a test
    counts its images anew, and W&B drops values whose own step goes back.
    """

    def _init_env(self) -> None:
        _need("wandb")
        super()._init_env()
        self._wandb.define_metric("*", step_metric="step")

    @force_init_env  # type: ignore[untyped-decorator]
    def add_image(self, name: str, image: Picture, step: int = 0) -> None:
        """Log a picture HWC, or a moving one THWC; uint8 in RGB."""
        if image.ndim == 4:
            self.add_frames(name, image, step)
        else:
            self._log({name: self._wandb.Image(image)}, step)

    @force_init_env  # type: ignore[untyped-decorator]
    def add_frames(self, name: str, frames: Picture, step: int = 0, fps: float = FPS) -> None:
        """Log a moving picture THWC, uint8 in RGB."""
        video = self._wandb.Video(io.BytesIO(gif(frames, fps)), format="gif")
        self._log({name: video}, step)

    @force_init_env  # type: ignore[untyped-decorator]
    def add_scalar(self, name: str, value: float, step: int = 0) -> None:
        """Log a number."""
        self._log({name: value}, step)

    @force_init_env  # type: ignore[untyped-decorator]
    def add_scalars(
        self, scalar_dict: dict[str, Any], step: int = 0, file_path: str | None = None
    ) -> None:
        """Log numbers; ``file_path`` is for backends that write files."""
        self._log(dict(scalar_dict), step)

    def _log(self, values: dict[str, Any], step: int) -> None:
        self._wandb.log({**values, "step": step}, commit=self._commit)


def as_bytes(image: np.ndarray[Any, Any]) -> Picture:
    """Return an image's pixels in [0, 255] as uint8: rounded and clamped, never wrapped around."""
    if image.dtype == np.uint8:
        return image
    return np.nan_to_num(np.rint(image)).clip(0, 255).astype(np.uint8)


def _need(library: str) -> None:
    if find_spec(library) is None:
        raise SpecError(
            [f"vis_backends: {library} is not installed: pip install 'gan-harness[{library}]'"]
        )
