"""What does a second process bring? A run's steps in one process, and divided by torchrun.

Both sides are `harness run` as a user starts it, on the same images with the same draws. A step's
seconds are those between rows at the final resolution: starts and evaluations do not count. On a
CPU two processes, with a thread each, stand beside one; on GPUs all of the machine's beside one.
"""

import math
import os
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

from harness.bench.commands import output_of_python
from harness.bench.peer.asked import NotHereError
from harness.bench.random_images import write_images
from harness.bench.timing import Comparison, Comparisons
from harness.records.store import RunFolder

_BATCH, _SIZE, _IMAGES, _TURNS = 32, 32, 256, 5
_WARM, _LAST = 5, 13
"""Iterations between which steps are timed; the smaller resolutions of PGGAN are past by then."""
_LEAST_SHARE = 0.75
"""Of what so many processes could bring if nothing had to be told: the goal."""
_COMPARED, _CLOSE = 2, 1e-4
"""Iterations whose losses have to be alike, and how nearly: rounding soon grows in float32."""
_WIDTHS = {"noise_size": 64, "base_channels": 1024, "max_channels": 64}
_MODELS: Mapping[str, Mapping[str, Any]] = {
    "PGGAN": {"type": "PGGAN", "transition_kimgs": 0, **_WIDTHS},
    "StyleGAN2": {"type": "StyleGAN2", **_WIDTHS},
}


def measure(device: str) -> Comparisons:
    """Train every model in one process and in several, in turns.

    Raises:
        NotHereError: if the machine has one core, or one GPU.
        RuntimeError: if a run fails, or the two sides' losses are not the same.
    """
    count = torch.cuda.device_count() if device == "cuda" else min(2, os.cpu_count() or 1)
    if count < 2:
        raise NotHereError(f"ranks: this machine has one {'GPU' if device == 'cuda' else 'core'}")
    with tempfile.TemporaryDirectory() as name:
        write_images(Path(name) / "images", _IMAGES, _SIZE)
        return Comparisons(
            {
                f"{model}, {_SIZE} px": _compared(Path(name), model, device, count)
                for model in _MODELS
            }
        )


def _compared(folder: Path, model: str, device: str, count: int) -> Comparison:
    path = folder / f"{model}.yaml"
    path.write_text(yaml.safe_dump(_spec(model)))
    trained = partial(_trained, folder, path.name, device)
    pairs = []
    for turn in range(_TURNS):
        order = (count, 1) if turn % 2 else (1, count)
        found = {ranks: trained(ranks, f"runs-{model}-{turn}-{ranks}") for ranks in order}
        (several, *losses), (one, *expected) = found[count], found[1]
        if not all(_close(*pair) for pair in zip(losses, expected, strict=True)):
            raise RuntimeError(f"{model}: {count} processes have losses {losses}, one {expected}")
        pairs.append((several, one))
    ours = f"steps of {model} at {_SIZE} px with {_BATCH} images in {count} processes"
    bound = 1 / (_LEAST_SHARE * count)
    return Comparison(ours, "steps in one process", "a step", tuple(pairs), bound)


def _close(loss: float, other: float) -> bool:
    return math.isclose(loss, other, rel_tol=_CLOSE, abs_tol=_CLOSE)


def _trained(folder: Path, spec: str, device: str, ranks: int, runs: str) -> tuple[float, ...]:
    """Return the seconds of a step of a new run, then its first losses."""
    starter = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks))
    output_of_python(
        folder,
        *(starter if ranks > 1 else ()),
        *("-m", "harness", "run", spec, "--device", device),
        *("--runs", runs, "--results", f"{runs}-results"),
        cache=folder / "cache",
    )
    (path,) = (folder / runs).rglob("rows.jsonl")
    rows = [row for row in RunFolder(path.parent).rows() if row.quantity.startswith("loss/")]
    at = {row.iteration: row.sec for row in rows}
    losses = (row.value for row in rows if row.iteration <= _COMPARED)
    return (at[_LAST] - at[_WARM]) / (_LAST - _WARM), *losses


def _spec(model: str) -> dict[str, object]:
    settings, step = dict(_MODELS[model]), _BATCH / 1000
    if model == "PGGAN":
        scales = [2**power for power in range(2, _SIZE.bit_length())]
        settings["nkimgs_per_scale"] = dict.fromkeys(scales, step)
    return {
        "question": "What does a second process bring?",
        "model": {"out_scale": _SIZE, **settings},
        "data": {"type": "image_folder", "root": "images"},
        "train": {"kimg": _LAST * step, "batch_size": _BATCH, "log_every_kimg": step},
        "evaluate": {
            "every_kimg": _LAST * step,
            "fake_images": _BATCH,
            "extractor": "random-conv-64",
            "metrics": ["fid"],
        },
        "observers": {"ema": {"m0.01": {"interp_cfg": {"momentum": 0.01}}}},
        "seeds": [0],
    }
