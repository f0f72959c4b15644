"""``harness singan RUN_FOLDER TASK``: pictures from a run that was trained on one image."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import imageio.v3 as iio
import numpy as np
import torch
from torch import Tensor, nn

from harness.data import Pixels, photograph
from harness.engine.weights import networks_of, trained
from harness.errors import OutputError, RecordsError, SpecError
from harness.gans.singan import SinGAN
from harness.gans.singan_tasks import animated, checked_size, injected, super_resolved
from harness.images import to_float, to_uint8
from harness.records import samples
from harness.seeding import generator

_FRAMES = 40
_FRAME_MSEC = 80
_FINE = 3
"""Scales above the one that harmonization begins at: the paper finds 2 to 4 to be a good balance
between the object's structure and the background's texture."""


@dataclass(frozen=True)
class Request:
    """What a user asked for, on the device.

    Args:
        model: trained.
        network: the arm's.
        image: to begin with, 13HW in [-1, 1], or None.
        mask: 11HW in [0, 1], or None.
        scale: the first scale that is not given, or None for the task's own.
        size: H and W in px, or None.
        factor: of super-resolution.
        count: images or frames, or None for the task's own.
        seed: of every draw.
    """

    model: SinGAN
    network: nn.Module
    image: Tensor | None
    mask: Tensor | None
    scale: int | None
    size: tuple[int, int] | None
    factor: float
    count: int | None
    seed: int

    def seeds(self) -> tuple[Tensor, ...]:
        """Return the seed of each image, int64 (1,)."""
        random = generator(self.seed, "singan task")
        return self.model.latents(self.count or 1, random).split(1)


def run(options: argparse.Namespace) -> int:
    """Do one task and write its pictures.

    Raises:
        HarnessError: if the run, the task or an image is not as it has to be.
    """
    task = TASKS[options.task]
    _check(options)
    request = _request(options)
    out: Path = options.out or options.folder / options.task
    for path in _written(out, options.task, task(request)):
        print(path)
    return 0


def _sampled(request: Request) -> Iterable[Tensor]:
    settings = {"size": request.size, "start_scale": request.scale or 0}
    for seed in request.seeds():
        yield request.model.draw(request.network, seed, settings)


def _super_resolved(request: Request) -> Iterable[Tensor]:
    assert request.image is not None
    for number in range(request.count or 1):
        yield super_resolved(
            request.model, request.network, request.image, request.factor, request.seed + number
        )


def _injected_at(scale: Callable[[int], int]) -> Callable[[Request], Iterable[Tensor]]:
    """Return the task that injects an image at a scale of its own, by the finest one's number."""

    def task(request: Request) -> Iterable[Tensor]:
        assert request.image is not None
        own = max(1, scale(len(request.model.sizes) - 1))
        start = own if request.scale is None else request.scale
        for seed in request.seeds():
            yield injected(request.model, request.network, request.image, seed, start, request.mask)

    return task


def _animated(request: Request) -> Iterable[Tensor]:
    count = request.count or _FRAMES
    frames = animated(request.model, request.network, count, request.seed, request.scale or 0)
    yield torch.cat([*frames])


TASKS: Mapping[str, Callable[[Request], Iterable[Tensor]]] = MappingProxyType(
    {
        "sample": _sampled,
        "super-resolution": _super_resolved,
        "paint-to-image": _injected_at(lambda finest: 1),
        "harmonization": _injected_at(lambda finest: finest - _FINE),
        "editing": _injected_at(lambda finest: 2 if finest > 4 else 1),
        "animation": _animated,
    }
)
"""What can be done; each yields N3HW in [-1, 1], of which more than one are frames."""

NEED_IMAGE = MappingProxyType(
    {
        "paint-to-image": "a rough painting in the colours of the photograph",
        "harmonization": "the photograph with something pasted in",
        "editing": "the photograph with parts moved about",
    }
)
"""Tasks that begin with an image, and which."""


USED = MappingProxyType(
    {
        "image": {"super-resolution", *NEED_IMAGE},
        "mask": {*NEED_IMAGE},
        "scale": {"sample", "animation", *NEED_IMAGE},
        "size": {"sample"},
        "factor": {"super-resolution"},
    }
)
"""Which tasks take an option; all others are for every task."""


def _check(options: argparse.Namespace) -> None:
    task = options.task
    if task in NEED_IMAGE and options.image is None:
        raise SpecError([f"{task} needs --image: {NEED_IMAGE[task]}"])
    given = [name for name in USED if getattr(options, name) is not None]
    problems = [
        f"--{name} is not used by {task}, but by {', '.join(sorted(USED[name]))}"
        for name in given
        if task not in USED[name]
    ]
    if problems:
        raise SpecError(problems)


def _request(options: argparse.Namespace) -> Request:
    device = torch.device("cuda" if options.device == "cuda" else "cpu")
    spec, model = trained(options.folder, device)
    if not isinstance(model, SinGAN):
        raise SpecError([f"{options.folder}: is a run of {spec.model.type}, not of SinGAN"])
    arms = networks_of(spec)
    if options.arm not in arms:
        raise SpecError([f"--arm {options.arm!r} is not one of {', '.join(arms)}"])
    first, last = int(options.task in NEED_IMAGE), len(model.sizes) - 1
    if options.scale is not None and not first <= options.scale <= last:
        raise SpecError([f"--scale {options.scale} is not one of {first} to {last}"])
    return Request(
        model=model,
        network=model.network(arms[options.arm]),
        image=_image(options, device),
        mask=None if options.mask is None else _mask(options.mask).to(device),
        scale=options.scale,
        size=None if options.size is None else checked_size(*options.size),
        factor=4.0 if options.factor is None else options.factor,
        count=options.count,
        seed=options.seed,
    )


def _image(options: argparse.Namespace, device: torch.device) -> Tensor | None:
    """Return the image to begin with; super-resolution's own is the one that was trained on."""
    if options.image is not None:
        pixels = photograph.read(options.image)
    elif options.task == "super-resolution":
        pixels = _trained_on(options.folder)
    else:
        return None
    return to_float(torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None]).to(device)


def _trained_on(folder: Path) -> Pixels:
    real = samples.read(folder).get("real")
    if real is None or real.dtype != np.uint8 or real.shape[:1] != (1,) or real.shape[3:] != (3,):
        path = folder / samples.FILE
        raise RecordsError(f"{path}: holds no image any more; name one by --image")
    return real[0]


def _mask(root: str) -> Tensor:
    pixels = photograph.read(root).max(axis=2)
    return torch.from_numpy(pixels / np.float32(255))[None, None]


def _written(out: Path, task: str, results: Iterable[Tensor]) -> Iterable[Path]:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for number, images in enumerate(results):
            pixels = to_uint8(images).permute(0, 2, 3, 1).cpu().numpy()
            if task == "animation":
                path = out / f"{task}.gif"
                iio.imwrite(path, pixels, duration=_FRAME_MSEC, loop=0)
            else:
                path = out / f"{task}-{number:03}.png"
                iio.imwrite(path, pixels[0])
            yield path
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror}); name --out") from None
