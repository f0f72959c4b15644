"""How long does a run take to start, after the one before it has ended?

Within one `harness run`, one run at a time: from a run's `outcome.json` to the first iteration of
the next, as its records tell. On the digits, and on as many images as CIFAR-10 has, to see what
grows with the data.
"""

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from harness.bench.commands import environment
from harness.bench.finding import Finding, Goal
from harness.plan.expand import expand
from harness.records.store import RunFolder
from harness.spec.load import load

_IMAGES = 50_000
_RUNS = 6
_MOST_SEC = 1.0
_LOOK_SEC = 0.002
_WHAT = "from a run's end to the next one's first step"
_SPEC: dict[str, Any] = {
    "question": "How soon does a run begin?",
    "model": {
        "type": "PGGAN",
        "noise_size": 64,
        "base_channels": 256,
        "max_channels": 32,
        "transition_kimgs": 0.032,
    },
    "train": {"kimg": 0.128, "batch_size": 32, "log_every_kimg": 0.032},
    "evaluate": {"every_kimg": 0.128, "fake_images": 256, "metrics": ["fid"]},
    "observers": {"ema": {"m0.01": {"interp_cfg": {"momentum": 0.01}}}},
    "seeds": [*range(_RUNS)],
}
_CASES: Mapping[str, tuple[int, Mapping[str, str], str]] = {
    "the digits at 8 px": (8, {"type": "digits"}, "digits-cnn"),
    "a zip at 32 px": (32, {"type": "zip", "root": "images.zip"}, "random-conv-64"),
}


@dataclass(frozen=True)
class Starts(Finding):
    """Seconds from the end of a run to the first iteration of the next.

    Args:
        seconds: by what the runs were trained on.
    """

    seconds: Mapping[str, tuple[float, ...]]

    @property
    def goals(self) -> tuple[Goal, ...]:
        """A second for each."""
        return tuple(
            Goal(f"{_WHAT}, {name}", middle, low, high, "at most", _MOST_SEC, "s")
            for name, times in self.seconds.items()
            for low, middle, high in [statistics.quantiles(times, n=4)]
        )

    @property
    def sentence(self) -> str:
        """The finding, in one sentence."""
        parts = [f"{goal.value:.2f} s ({goal.what.rpartition(', ')[2]})" for goal in self.goals]
        return f"A run's first iteration ends {' and '.join(parts)} after the run before it."

    def csv(self) -> str:
        """A line a start."""
        lines = [f"{name},{sec!r}" for name, times in self.seconds.items() for sec in times]
        return "\n".join(["data,sec", *lines, ""])


def measure(device: str) -> Starts:
    """Run tiny specs, and watch their records.

    Raises:
        RuntimeError: if a run fails.
    """
    found = {}
    for name, (size, data, extractor) in _CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            if data["type"] == "zip":
                name = f"{_IMAGES} images of {name}"
                _write_images(Path(folder) / data["root"], size)
            found[name] = _starts(Path(folder), _spec(size, data, extractor), device)
    return Starts(found)


def _spec(size: int, data: Mapping[str, str], extractor: str) -> dict[str, object]:
    scales = [4 * 2**i for i in range(size.bit_length() - 2)]
    model = {**_SPEC["model"], "out_scale": size, "nkimgs_per_scale": dict.fromkeys(scales, 0.032)}
    evaluate = {**_SPEC["evaluate"], "extractor": extractor}
    return {**_SPEC, "data": dict(data), "model": model, "evaluate": evaluate}


def _write_images(path: Path, size: int) -> None:
    """Pack images of random blocks, PNG as they are found in the wild."""
    draws = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(_IMAGES):
            coarse = Image.fromarray(draws.integers(0, 256, (4, 4, 3), np.uint8))
            file = io.BytesIO()
            coarse.resize((size, size)).save(file, "PNG", compress_level=1)
            archive.writestr(f"{number:05}.png", file.getvalue())


def _starts(folder: Path, spec: Mapping[str, object], device: str) -> tuple[float, ...]:
    path = folder / "starts.yaml"
    path.write_text(yaml.safe_dump(spec))
    place = folder / "runs" / path.stem / "quick"
    runs = [place / run.name for run in expand(path.stem, "quick", load(path)).runs]
    arguments = ["run", path.name, "--jobs", "1", "--device", device]
    begun, ended = [], []
    with subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder,
        env=environment() | {"HARNESS_CACHE": str(folder / "cache")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        for run in runs:
            begun.append(_when(process, run / "rows.jsonl", b'"iteration": 1,'))
            ended.append(_when(process, run / "outcome.json", b"}"))
    if process.returncode or not all(RunFolder(run).columns().value for run in runs):
        raise RuntimeError(f"a run in {place} failed: {runs[0].name}")
    return tuple(first - last for first, last in zip(begun[1:], ended, strict=False))


def _when(process: "subprocess.Popen[bytes]", path: Path, sign: bytes) -> float:
    """Wait until a file holds a sign, and return the time."""
    while process.poll() is None:
        if os.path.exists(path) and sign in path.read_bytes():
            return time.perf_counter()
        time.sleep(_LOOK_SEC)
    raise RuntimeError(f"harness run ended before {path} was written")
