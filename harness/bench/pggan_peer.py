"""How much faster than MMagic does PGGAN train at 32 px on a CPU?

MMagic trains on its own Runner, in a process under a Python of its own (``HARNESS_MMAGIC_PYTHON``);
the harness on its own, with all hooks of a run and one shadow of the generator, as MMagic has one.
Networks, batch, images and threads are the same; one computes while the other waits.
"""

import json
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import Runner

from harness.bench.counting import CONVOLUTIONS, PRODUCTS, Count, ceilings
from harness.bench.peer import mmagic_pggan
from harness.bench.peer.asked import Asked, python_of_mmagic
from harness.bench.pggan_speed import Speeds
from harness.bench.random_images import write_images
from harness.bench.steps import at_work, step
from harness.bench.timing import seconds
from harness.errors import SpecError
from harness.launch.memory import keep_freed

_SCALE, _BATCH, _THREADS = 32, 16, 2
_CHANNELS = {"noise_size": 64, "base_channels": 1024, "max_channels": 64}
_LR = 0.001
_IMAGES = 256
_TURNS, _CALLS, _WARM_UP = 11, 2, 5
_CLOSE = 1e-3
"""Outputs of both differ by no more than this share of the largest."""
_FAST = "{channels_last: true, shared_pass: true, written_gradients: true}"


def measure(device: str) -> Speeds:
    """Time both Runners in turns.

    Raises:
        SpecError: the device is not a CPU.
        NotHereError: no Python that has MMagic is named.
        RuntimeError: the networks do not compute the same.
    """
    if device != "cpu":
        raise SpecError([f"pggan_peer is about a CPU, not {device}: give --device cpu"])
    python = python_of_mmagic()
    keep_freed()  # as every run's process does
    torch.set_num_threads(_THREADS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "images", _IMAGES, _SCALE)
        command = [python, mmagic_pggan.__file__, *map(str, (folder / "images", folder / "work"))]
        with Asked([*command, json.dumps(_settings())], folder / "log") as peer:
            return _in_turns(peer, folder)


def _settings() -> dict[str, Any]:
    own = {"scale": _SCALE, "batch": _BATCH, "lr": _LR, "threads": _THREADS}
    return own | _CHANNELS


def _runner(folder: Path, name: str, *overrides: str) -> Runner:
    """Return the harness's runner, past its smaller scales and the last one's fading in."""
    stages = {4 * 2**level: _BATCH / 1000 for level in range((_SCALE // 4).bit_length() - 1)}
    runner = at_work(
        folder / name,
        "cpu",
        *(f"model.{key}={value}" for key, value in _CHANNELS.items()),
        f"model.out_scale={_SCALE}",
        "model.paper_form=false",
        f"model.nkimgs_per_scale={json.dumps(stages | {_SCALE: 12000})}".replace('"', ""),
        f"model.transition_kimgs={_BATCH / 1000}",
        f"data={{type: image_folder, root: {json.dumps(str(folder / 'images'))}}}",
        "train.kimg=12000",
        f"train.batch_size={_BATCH}",
        f"train.optimizer.lr={_LR}",
        "train.loss.drift=both",
        "evaluate.every_kimg=12000",
        "evaluate.extractor=random-conv-64",
        "evaluate.metrics=[fid]",
        "observers.ema={m0.0002: {interp_mode: lerp, interp_cfg: {momentum: 0.0002}}}",
        *overrides,
    )
    for _ in range(_WARM_UP):
        step(runner)
    return runner


def _in_turns(peer: Asked, folder: Path) -> Speeds:
    default = _runner(folder, "default")
    check_the_same(peer, default.model, folder)
    fast = _runner(folder, "fast", f"train.fast={_FAST}")
    with Count() as count:
        step(default)
    per_image = sum(work.flop for work in count.work.values()) / _BATCH
    peer.ask(train=_WARM_UP)
    turns = []
    for _ in range(_TURNS):
        theirs = peer.ask(train=_CALLS)["seconds"] / _CALLS
        own = seconds(partial(step, default), _CALLS), seconds(partial(step, fast), _CALLS)
        turns.append((theirs, *own))
    rate, _ = ceilings(torch.device("cpu"))
    return Speeds(tuple(turns), _BATCH, _FAST, per_image, rate, heavy_share(fast))


def heavy_share(runner: Runner) -> float:
    """Return what share of a step convolutions and products take: the median of a few steps."""
    found = []
    for _ in range(_CALLS + 1):
        with Count() as count:
            whole = seconds(partial(step, runner))
        found.append(sum(count.seconds[name] for name in (CONVOLUTIONS, PRODUCTS)) / whole)
    return statistics.median(found)


def check_the_same(peer: Asked, model: Any, folder: Path) -> None:
    """Have both sides' networks answer fresh input with the same weights.

    Raises:
        RuntimeError: the answers differ.
    """
    networks = {"generator": model.generator, "discriminator": model.discriminator}
    given: dict[str, Any] = {name: network.state_dict() for name, network in networks.items()}
    given["noise"] = torch.randn(_BATCH, _CHANNELS["noise_size"])
    given["images"] = torch.randn(_BATCH, 3, _SCALE, _SCALE)
    file = folder / "outputs.pt"
    torch.save(given, file)
    peer.ask(outputs=str(file))
    theirs = torch.load(file, weights_only=True)
    for name, inputs in (("generator", given["noise"]), ("discriminator", given["images"])):
        with torch.no_grad():
            own = networks[name](inputs)
        apart = float((own - theirs[name]).abs().max() / own.abs().max())
        if not apart <= _CLOSE:
            raise RuntimeError(f"the peer's {name} differs by {apart:.3g} on the same weights")
