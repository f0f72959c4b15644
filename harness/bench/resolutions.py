"""How do time and memory of a training step grow with the resolution?

Every resolution is trained in a process of its own, so that peak memory is its own. Widths are the
same at every level: an image then costs as much as it has pixels, where operations decide.
"""

import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from harness.bench.finding import Finding
from harness.bench.steps import on_noise, step
from harness.bench.timing import seconds
from harness.spec.load import load

MODELS = {"PGGAN": "pggan-ema", "StyleGAN2": "stylegan2-ema"}
_SIDES = tuple(2**power for power in range(3, 11))
_SHAPE = {"cpu": (8, 1), "cuda": (64, 4)}
"""Channels of every level, and images of a batch."""
_MODEL_SEC = 50.0
"""For all resolutions of a model; one that is predicted to take more than is left is skipped."""
_GROWS = 4
"""Times the pixels, from one resolution to the next."""
_MIB = 2**20


@dataclass(frozen=True)
class Point:
    """A training step at one resolution.

    Args:
        model: which one's.
        side: in px.
        sec: of an image.
        mib: peak memory in MiB of networks, optimizers and step.
    """

    model: str
    side: int
    sec: float
    mib: float


@dataclass(frozen=True)
class Growth(Finding):
    """Steps at rising resolutions.

    Args:
        points: of all models, sides rising.
        skipped: model and side of what would have taken too long.
        shape: channels of every level, and images of a batch.
    """

    points: tuple[Point, ...]
    skipped: tuple[tuple[str, int], ...]
    shape: tuple[int, int]

    def of(self, model: str) -> list[Point]:
        """Return one model's points."""
        return [point for point in self.points if point.model == model]

    @property
    def sentence(self) -> str:
        """The finding, a clause a model."""
        width, batch = self.shape
        parts = [
            f"From {first.side} to {last.side} px, {(last.side / first.side) ** 2:.0f} times the "
            f"pixels, an image of {model} takes {last.sec / first.sec:.0f} times the time "
            f"({first.sec:.3g} to {last.sec:.3g} s), and a step {last.mib:.0f} MiB"
            for model in MODELS
            for first, last in [(self.of(model)[0], self.of(model)[-1])]
        ]
        left_out = [f"{model} at {side} px" for model, side in self.skipped]
        end = f" Left out, as too slow: {', '.join(left_out)}." if left_out else ""
        return f"{'; '.join(parts)}; {width} channels everywhere, batches of {batch}.{end}"

    def csv(self) -> str:
        """A line a point."""
        lines = ["model,side_px,sec_per_image,images_per_sec,peak_mib"]
        for p in self.points:
            lines.append(f"{p.model},{p.side},{p.sec!r},{1 / p.sec!r},{p.mib!r}")
        return "\n".join([*lines, ""])

    @property
    def pictures(self) -> dict[str, tuple[str, bytes]]:
        """Time of an image and memory of a step, over the resolution."""
        caption = "Time and memory over the resolution; grey is proportional to the pixels"
        return {"resolutions.png": (caption, _picture(self))}


def measure(device: str) -> Growth:
    """Train a few steps at each resolution whose time is not predicted to be too long.

    Raises:
        RuntimeError: if a process ends without an answer.
    """
    points: list[Point] = []
    skipped: list[tuple[str, int]] = []
    for model in MODELS:
        left, last = _MODEL_SEC, 0.0
        for side in _SIDES:
            if _GROWS * last > left:
                skipped.append((model, side))
                continue
            sec, mib, last = _apart(model, side, device)
            left -= last
            points.append(Point(model, side, sec / _SHAPE[device][1], mib))
    return Growth(tuple(points), tuple(skipped), _SHAPE[device])


def train(answer: Connection, model: str, side: int, device: str) -> None:
    """Send seconds of a step, peak memory in MiB, and seconds of all; from a process of its own."""
    begin = time.perf_counter()
    torch.set_num_threads(1)
    multiprocessing.set_start_method("fork", force=True)  # as mmengine does, with a warning
    width, batch = _SHAPE[device]
    overrides = [
        *("seeds=[0]", "hooks=[]", "data={type: image_folder, root: none}"),
        *("evaluate.extractor=random-conv-64", "evaluate.metrics=[fid]"),
        *(f"model.out_scale={side}", f"train.batch_size={batch}"),
        *(f"model.base_channels={width * side}", f"model.max_channels={width}"),
    ]
    if model == "PGGAN":
        scales = [4, *(other for other in _SIDES if other <= side)]
        stages = ", ".join(f"{scale}: 1" for scale in scales)
        overrides += [f"model.nkimgs_per_scale={{{stages}}}", "model.transition_kimgs=0"]
    spec = load(Path(f"experiments/{MODELS[model]}.yaml"), overrides=overrides)
    before = _peak(device)
    with tempfile.TemporaryDirectory() as folder:
        runner = on_noise(Path(folder, Path(folder).name), device, spec, side, images=2 * batch)
        once = seconds(lambda: step(runner))
        more = [seconds(lambda: step(runner)) for _ in range(min(10, int(0.5 / once)))]
        sec = statistics.median([once, *more])
    answer.send((sec, (_peak(device) - before) / _MIB, time.perf_counter() - begin))


def _apart(model: str, side: int, device: str) -> tuple[float, float, float]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["harness.launch.preload", __name__])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=train, args=(theirs, model, side, device))
    process.start()
    theirs.close()
    try:
        sec, mib, whole = ours.recv()
    except EOFError:
        raise RuntimeError(f"{model} at {side} px: its process ended without an answer") from None
    finally:
        process.join()
    return sec, mib, whole


def _peak(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _picture(found: Growth) -> bytes:
    from harness.report.canvas import GREY, figure, legend, look, plain_log, png

    drawing, [[times, memory]] = figure((1.0, 1.0), share_y=False)
    sides = sorted({point.side for point in found.points})
    for index, model in enumerate(MODELS):
        points, style = found.of(model), look(index)
        for axes, values in ((times, [p.sec for p in points]), (memory, [p.mib for p in points])):
            axes.plot(
                [p.side for p in points], values, style.marker, ls="-", c=style.color, label=model
            )
            last = values[-1] / points[-1].side ** 2
            axes.plot(sides, [last * s**2 for s in sides], c=GREY, ls=":", label="as the pixels")
    for axes, label in ((times, "seconds of an image"), (memory, "peak memory of a step (MiB)")):
        axes.set(xscale="log", yscale="log", xlabel="resolution (px)", ylabel=label)
        axes.set_ylim(bottom=0.5 * min(_measured(found, axes is times)))
        plain_log(axes, "y")
        axes.set_xticks(sides, [str(side) for side in sides])
        axes.minorticks_off()
    legend(drawing, [*MODELS, "as the pixels"])
    return png(drawing)


def _measured(found: Growth, of_time: bool) -> Iterator[Any]:
    return (point.sec if of_time else point.mib for point in found.points)
