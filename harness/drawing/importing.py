"""`harness import`: a checkpoint is read safely, recognised, checked, and its generator kept."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.checkpoints.families import FAMILIES
from harness.checkpoints.kept import FILE, Generator, check_noises, is_kept, to_bytes
from harness.checkpoints.loading import choose, entries, load, told
from harness.checkpoints.reading import Checkpoint, read
from harness.drawing.drawers import drawer
from harness.drawing.files import write_new
from harness.drawing.pictures import grid_png
from harness.errors import DataError, SpecError
from harness.files.pickles import load_pickled_data
from harness.spec.yaml_text import Unreadable, parse

SAMPLES = "samples.png"
_STAGE = ("curr_scale", "transition_weight")


def import_checkpoint(
    path: Path,
    model: str,
    network: str | None,
    overrides: Sequence[str],
    noises: Path | None,
    out: Path | None,
) -> int:
    """Keep a checkpoint's generator as safetensors, with a grid of 16 samples beside it.

    Args:
        path: the checkpoint; torch's, mmcv's or mmengine's format, or safetensors.
        model: a name of ``FAMILIES``.
        network: whose weights; by default ``generator_ema`` where there is one.
        overrides: arguments of the network, NAME=VALUE, which go before what the shapes say.
        noises: SinGAN's pickle of noise weights and fixed noises.
        out: the folder; by default imported/CHECKPOINT-NETWORK.

    Raises:
        HarnessError: if the checkpoint is not what it has to be; nothing is written then.
    """
    if noises is not None and model != "singan":
        raise SpecError([f"--noises: a {model} has none; leave it out"])
    if path.is_file() and is_kept(path):
        raise DataError(f"{path}: was imported already: `harness sample {path}` draws from it")
    given = dict(_argument(override) for override in overrides)
    checkpoint = read(path)
    family = FAMILIES[model]
    name, others = choose(checkpoint, family, network)
    stage = {key: given.pop(key) for key in _STAGE if key in given} or _stage(checkpoint)
    arguments, module = load(family, entries(checkpoint, name), given, path)
    name = name or "generator"
    source = {"file": path.name, "sha256": checkpoint.sha256, "network": name}
    weights, maps = _noises(checkpoint, noises, arguments) if model == "singan" else ((), ())
    generator = Generator(model, arguments, module, stage, source, weights, maps)
    images = _samples(generator, path)
    folder = out or Path("imported") / f"{path.stem}-{name}"
    write_new(folder, {FILE: to_bytes(generator), SAMPLES: grid_png(images)})
    _tell(generator, checkpoint, [other for other in others if other != name], images)
    print(f"  written    {folder / FILE}, {SAMPLES}")
    return 0


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    try:
        if equals and name.isidentifier():
            return name, parse(value)[0]
    except Unreadable:
        pass
    raise SpecError([f"{text!r} is no argument: write NAME=VALUE, as out_size=256"])


def _samples(generator: Generator, path: Path) -> Tensor:
    """Draw 16 images, fewer of large ones: uint8 N3HW."""
    draw = drawer(generator)
    first = draw.image(draw.code(0))
    count = 16 if first.shape[-1] <= 256 else 4
    images = torch.stack([first, *(draw.image(draw.code(seed)) for seed in range(1, count))])
    if bool((images == images[:1]).all()):
        raise DataError(f"{path}: draws the same image from every latent: it is not trained")
    return images


def _stage(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return where growth stood, as MMagic's GANs that grow keep it; nothing at full size."""
    scale = checkpoint.tensors.get("_curr_scale_int")
    weight = checkpoint.tensors.get("_curr_transition_weight")
    if scale is None or weight is None:
        return {}
    try:
        return {"curr_scale": int(scale), "transition_weight": float(weight)}
    except (RuntimeError, ValueError, OverflowError):
        raise DataError(
            f"{checkpoint.path}: _curr_scale_int and _curr_transition_weight are no finite numbers"
        ) from None


def _noises(
    checkpoint: Checkpoint, path: Path | None, arguments: Mapping[str, Any]
) -> tuple[tuple[float, ...], tuple[Tensor, ...]]:
    """Return SinGAN's noise weights and maps, from the file beside or the checkpoint itself."""
    held = checkpoint.data if path is None else load_pickled_data(path)
    if not {"noise_weights", "fixed_noises"} <= held.keys():
        raise DataError(
            f"{path or checkpoint.path}: holds no noise_weights and fixed_noises, without which a "
            "SinGAN cannot draw: name the pickle beside the checkpoint with --noises"
        )
    try:
        weights = tuple(float(weight) for weight in held["noise_weights"])
        maps = tuple(torch.as_tensor(noise).float() for noise in held["fixed_noises"])
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise DataError(
            f"{path or checkpoint.path}: noise_weights and fixed_noises are no numbers"
        ) from None
    check_noises(weights, maps, arguments, path or checkpoint.path)
    return weights, maps


def _tell(
    generator: Generator, checkpoint: Checkpoint, others: Sequence[str], images: Tensor
) -> None:
    count = sum(entry.numel() for entry in generator.network.state_dict().values())
    also = f" (also there: {', '.join(others)})" if others else ""
    number, _, height, width = images.shape
    print(f"{checkpoint.path}: {generator.family}, {generator.source['network']}{also}")
    print(f"  arguments  {told({**generator.arguments, **generator.stage})}")
    print(f"  checked    {count / 1e6:.2f} million numbers, all finite")
    print(f"             {number} images of {width} x {height} px, all finite")
    print(f"  sha256     {checkpoint.sha256}{_as_named(checkpoint)}")


def _as_named(checkpoint: Checkpoint) -> str:
    """Compare with the eight digits that published files have at the end of their names."""
    named = re.search(r"-([0-9a-f]{8})$", checkpoint.path.stem)
    if named is None:
        return ""
    same = checkpoint.sha256.startswith(named[1])
    return ", as its name says" if same else f", BUT its name says {named[1]}"
