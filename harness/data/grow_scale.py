"""GrowScaleImgDataset: folders of images at several resolutions, for a network that grows.

Shape letters: H W pixels, s side of the current scale in px.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dataset import Compose
from mmengine.fileio import get_file_backend
from torch import Tensor
from torch.utils.data import Dataset

from harness.data import BrokenImageError, DataSource, UnfitImageError
from harness.data.decode import decode, fitted
from harness.data.sources import image_names
from harness.errors import DataError, SpecError
from harness.registry import DATASETS

_ATTEMPTS = 16
_LOCAL = (None, "disk", "local")


@DATASETS.register_module()
class GrowScaleImgDataset(Dataset[dict[str, Any]]):
    """Serve images of the current scale from the smallest root that is not below it.

    Items are ``inputs`` uint8 3ss, or what the pipeline makes of ``gt_path`` and ``curr_scale``;
    its ``inputs``, if a square image CHW larger than the scale, is area-averaged down to it.
    Files are taken in sorted order, suffixes in any case.

    A broken image is left out in training: the next file takes its place, a warning names it, and
    sixteen in a row are an error. The same is done where the pipeline returns None. With
    ``test_mode`` both are errors at once.

    Args:
        data_roots: folder by resolution in px, such as ``{'64': ..., '1024': ...}``.
        pipeline: mmengine transforms, configs or callables; None decodes as the harness does.
        len_per_stage: length at every scale: files are repeated in turn, or the first ones
            taken. Below 0 the number of files, which must be the same in every root.
        gpu_samples_per_scale: images in a batch by scale, such as ``{'32': 16}``.
        gpu_samples_base: images in a batch at all other scales.
        io_backend: mmengine's file backend; by default the one of the first root's prefix.
        file_lists: text file of one path a line, relative to the root; or one by resolution.
            Only the files it names are used.
        test_mode: refuse what cannot be read.

    Attributes:
        samples_per_gpu: images in a batch at the current scale, as PGGANFetchDataHook asks for.

    Raises:
        SpecError: if there is no root, a scale above the largest is asked for, or roots and lists
            do not go together.
        DataError: if images are missing, broken in ``test_mode``, or not square.
    """

    def __init__(
        self,
        data_roots: Mapping[str | int, str],
        pipeline: Sequence[dict[str, Any] | Callable[..., Any]] | None = None,
        len_per_stage: int = 1_000_000,
        gpu_samples_per_scale: Mapping[str | int, int] | None = None,
        gpu_samples_base: int = 32,
        io_backend: str | None = None,
        file_lists: str | Mapping[str | int, str] | None = None,
        test_mode: bool = False,
    ) -> None:
        if not data_roots:
            raise SpecError(["data_roots: none given; name at least one, such as {'64': 'images'}"])
        self.data_roots = {int(scale): str(root) for scale, root in sorted_by_scale(data_roots)}
        self.pipeline = None if pipeline is None else Compose(pipeline)
        self.gpu_samples_base = gpu_samples_base
        self.gpu_samples_per_scale = dict(sorted_by_scale(gpu_samples_per_scale or {}))
        for scale, count in {0: gpu_samples_base, **self.gpu_samples_per_scale}.items():
            if count < 1:
                raise SpecError([f"gpu_samples of scale {scale}: {count} is not at least 1"])
        self.test_mode = test_mode
        self.metainfo: dict[str, Any] = {}  # mmengine's loops look for it
        root = next(iter(self.data_roots.values()))
        self._backend = (
            get_file_backend(root)
            if io_backend in _LOCAL
            else get_file_backend(backend_args={"backend": io_backend})
        )
        self._files = self._listed(file_lists)
        self._length = self._checked_length(len_per_stage)
        self.curr_scale = min(self.data_roots)

    @property
    def samples_per_gpu(self) -> int:
        """Images in a batch at the current scale."""
        return self.gpu_samples_per_scale.get(self.curr_scale, self.gpu_samples_base)

    @property
    def data_root(self) -> str:
        """The folder that images of the current scale are taken from."""
        return self.data_roots[self._root_scale(self.curr_scale)]

    def update_annotations(self, curr_scale: int) -> bool:
        """Serve images of ``curr_scale`` px from now on; return whether that is a change.

        Raises:
            SpecError: if all roots are of smaller images.
        """
        self._root_scale(curr_scale)
        changed = curr_scale != self.curr_scale
        self.curr_scale = curr_scale
        return changed

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return image ``index`` of the current scale, or the next one that can be read."""
        if not 0 <= index < self._length:
            raise IndexError(f"image {index} of a set of {self._length}")
        problems = []
        for attempt in range(1 if self.test_mode else _ATTEMPTS):
            path = self.path((index + attempt) % self._length)
            try:
                item = self._item(path)
            except BrokenImageError as error:
                problems.append(f"{path} ({error})")
                continue
            if item is not None:
                for problem in problems:
                    warnings.warn(f"image left out: {problem}", stacklevel=2)
                return item
            problems.append(f"{path} (the pipeline gave None)")
        raise DataError(f"cannot be read: {', '.join(problems[:3])}; mend or remove such files")

    def path(self, index: int) -> str:
        """Return the file that image ``index`` is read from."""
        scale = self._root_scale(self.curr_scale)
        files = self._files[scale]
        path: str = self._backend.join_path(self.data_roots[scale], files[index % len(files)])
        return path

    def _item(self, path: str) -> dict[str, Any] | None:
        if self.pipeline is not None:
            item = self.pipeline({"gt_path": path, "curr_scale": self.curr_scale})
            return None if item is None else {**item, **_averaged(item, self.curr_scale)}
        try:
            data = self._backend.get(path)
        except OSError as error:
            raise BrokenImageError(error.strerror or "cannot be read") from error
        source = DataSource(type="image_folder", root=Path(path), resolution=self.curr_scale)
        try:
            return {"inputs": torch.from_numpy(fitted(decode(data), source))}
        except UnfitImageError as error:
            raise DataError(
                f"{path}: {error}; must be square and at least {self.curr_scale} px wide"
            ) from None

    def _root_scale(self, scale: int) -> int:
        large_enough = [known for known in self.data_roots if known >= scale]
        if not large_enough:
            raise SpecError(
                [f"scale {scale}: images of data_roots have at most {max(self.data_roots)} px"]
            )
        return min(large_enough)

    def _listed(self, file_lists: str | Mapping[str | int, str] | None) -> dict[int, list[str]]:
        if file_lists is None or isinstance(file_lists, str):
            lists = dict.fromkeys(self.data_roots, file_lists)
        else:
            lists = dict(sorted_by_scale(file_lists))
            if lists.keys() != self.data_roots.keys():
                given, known = (", ".join(map(str, keys)) for keys in (lists, self.data_roots))
                raise SpecError([f"file_lists: for scales {given}, but data_roots has {known}"])
        return {scale: self._names(root, lists[scale]) for scale, root in self.data_roots.items()}

    def _names(self, root: str, file_list: str | None) -> list[str]:
        try:
            found = set(self._backend.list_dir_or_file(root, list_dir=False, recursive=True))
            if file_list is None:
                return image_names(found, root)
            lines = self._backend.get_text(file_list).splitlines()
        except OSError as error:
            raise DataError(
                f"data_roots: {error.filename or root}: {error.strerror}; name folders of images"
            ) from None
        wanted = sorted({line.strip() for line in lines} - {""})
        missing = [name for name in wanted if name not in found]
        if missing or not wanted:
            what = f"{len(missing)} are not in {root}: {', '.join(missing[:3])}" if missing else "0"
            raise DataError(f"file_lists: {file_list}: of {len(wanted)} files {what}")
        return wanted

    def _checked_length(self, len_per_stage: int) -> int:
        counts = {scale: len(files) for scale, files in self._files.items()}
        if len_per_stage >= 0:
            if len_per_stage == 0:
                raise SpecError(["len_per_stage: 0 is neither a length nor below 0"])
            return len_per_stage
        if len(set(counts.values())) > 1:
            raise SpecError(
                [f"data_roots: different numbers of images {counts}; set len_per_stage to one"]
            )
        return next(iter(counts.values()))


def sorted_by_scale(mapping: Mapping[str | int, Any]) -> list[tuple[int, Any]]:
    """Return a config's scales, which it may write as words, in rising order."""
    return sorted((int(scale), value) for scale, value in mapping.items())


def _averaged(item: Mapping[str, Any], scale: int) -> dict[str, Tensor]:
    image = item.get("inputs")
    if not isinstance(image, Tensor) or image.ndim != 3 or image.shape[-1] <= scale:
        return {}
    if image.shape[-1] != image.shape[-2]:
        return {}
    small = F.adaptive_avg_pool2d(image.float(), scale)
    return {"inputs": small if image.is_floating_point() else small.round().to(image.dtype)}
