"""What can be drawn from: an imported generator, or the networks of a run."""

import os
from pathlib import Path

import torch

from harness.checkpoints.kept import FILE, Generator, from_file
from harness.engine import weights
from harness.engine.weights import networks_of, trained
from harness.errors import DataError, SpecError
from harness.gans.growing import GrowingGAN
from harness.gans.singan import SinGAN
from harness.spec.vocabulary import RAW


def open_subject(path: Path, arm: str | None) -> tuple[Generator, str]:
    """Return a generator and a name for the folder of its pictures.

    Args:
        path: an imported ``generator.safetensors`` or its folder, or the folder of a run.
        arm: of a run, ``raw`` or a shadow's name; ``raw`` by default.

    Raises:
        DataError: if there is no generator.
        SpecError: if there is no such arm.
    """
    if os.path.exists(path / weights.FILE):
        return _of_run(path, arm or RAW), f"{path.name}-{arm or RAW}"
    file = path / FILE if os.path.isdir(path) else path
    if not os.path.isfile(file):
        raise DataError(
            f"{path}: is neither a generator's file nor a folder with {FILE}, as `harness import` "
            f"writes it, or with {weights.FILE}, as a finished run has it"
        )
    if arm is not None:
        raise SpecError([f"--arm {arm}: {file} holds one network; leave it out"])
    return from_file(file), file.parent.resolve().name if file.name == FILE else file.stem


def _of_run(folder: Path, arm: str) -> Generator:
    spec, model = trained(folder, torch.device("cpu"))
    arms = networks_of(spec)
    if arm not in arms:
        raise SpecError([f"--arm {arm}: {folder} holds the weights of {', '.join(arms)}"])
    network = model.network(arms[arm]).eval().requires_grad_(False)
    stage = {
        "curr_scale": model.stage.scale,
        "transition_weight": model.stage.transition_weight,
    }
    one_image = isinstance(model, SinGAN)
    return Generator(
        spec.model.type.lower(),
        {},
        network,
        stage if isinstance(model, GrowingGAN) else {},
        noise_weights=tuple(model.noise_weights) if one_image else (),
        fixed_noises=tuple(model.fixed_noises) if one_image else (),
    )
