"""Visualizer: mmengine's, which also draws samples and moving pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dist import master_only
from mmengine.visualization import Visualizer as MMEngineVisualizer

from harness.registry import VISUALIZERS
from harness.spec.vis_kwargs import as_list
from harness.structures import images_in
from harness.visuals.backends import FPS, Moving, as_bytes
from harness.visuals.pictures import Style, pictures


@VISUALIZERS.register_module()
class Visualizer(MMEngineVisualizer):
    """Draws samples as grids and hands them to its backends; on the main rank only.

    Args:
        name: of this visualizer.
        vis_backends: backends or their configs.
        save_dir: folder of backends that name none.
        fps: frames a second of moving pictures.
    """

    def __init__(
        self,
        name: str = "visualizer",
        vis_backends: Sequence[Any] | dict[str, Any] | None = None,
        save_dir: str | None = None,
        fps: float = FPS,
    ) -> None:
        super().__init__(name, vis_backends=vis_backends, save_dir=save_dir)
        self.fps = fps

    @master_only  # type: ignore[untyped-decorator]
    def add_datasample(
        self,
        name: str,
        *,
        gen_samples: Any,
        draw_gt: bool = False,
        target_keys: str | Sequence[str] | None = None,
        vis_mode: str | None = None,
        n_row: int | None = None,
        color_order: str = "rgb",
        target_mean: float | Sequence[float] = 127.5,
        target_std: float | Sequence[float] = 127.5,
        n_skip: int = 1,
        fps: float | None = None,
        show: bool = False,
        wait_time: float = 0,
        step: int = 0,
    ) -> None:
        """Draw samples, each name's images in a picture of their own.

        Args:
            name: of the picture; where samples hold images of several names, each is added to it.
            gen_samples: DataSamples, images NCHW or sequences NTCHW, or a dict of such.
            draw_gt: put each image's real one (``gt_...``) at its left.
            target_keys: names of images to show; by default every generated one.
            vis_mode: image or gif.
            n_row: images a row; by default the square root of their number.
            color_order: of the images given: rgb or bgr.
            target_mean: pixels in [0, 255] are image x ``target_std`` + ``target_mean``.
            target_std: see there.
            n_skip: of a gif, every n-th frame is kept.
            fps: frames a second of a gif.
            show: show it in a window as well.
            wait_time: seconds that it stays there.
            step: number of the picture.

        Raises:
            ValueError: if a key names no image, or there is none.
        """
        style = Style(
            target_keys=tuple(as_list(target_keys)),
            vis_mode=vis_mode or "image",
            draw_gt=draw_gt,
            n_row=n_row,
            color_order=color_order,
            target_mean=target_mean,
            target_std=target_std,
            n_skip=n_skip,
        )
        images = images_in(gen_samples)
        for key, picture in pictures(images, style).items():
            title = title_of(name, key, images)
            self.add_image(title, picture, step, fps)
            if show:
                self.show(still(picture), win_name=title, wait_time=wait_time)

    @master_only  # type: ignore[untyped-decorator]
    def add_image(
        self, name: str, image: np.ndarray[Any, Any], step: int = 0, fps: float | None = None
    ) -> None:
        """Hand a picture HWC, or a moving one THWC, in RGB and [0, 255], to every backend.

        Raises:
            TypeError: if a backend takes no moving pictures.
        """
        image = as_bytes(image)
        for backend in self._vis_backends.values():
            if image.ndim == 3:
                backend.add_image(name, image, step)
            elif isinstance(backend, Moving):
                backend.add_frames(name, image, step, fps or self.fps)
            else:
                raise TypeError(
                    f"{type(backend).__name__} takes no moving pictures: use VisBackend, "
                    "TensorboardVisBackend or WandbVisBackend of the harness"
                )


def title_of(name: str, key: str, images: dict[str, Any]) -> str:
    """Return a picture's name: ``name`` where all generated images go by one key."""
    generated = [k for k in images if not k.rpartition(".")[2].startswith("gt_")]
    return name if generated == [key] else f"{name}_{key}"


def still(picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a picture, or the last frame of a moving one."""
    return picture[-1] if picture.ndim == 4 else picture
