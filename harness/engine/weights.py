"""A run's trained networks on disk: one safetensors file with all that drawing from them needs.

Counters, SinGAN's noises and amplitudes: what modules keep beside their tensors is in it, too.
"""

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from harness.engine.families import gan
from harness.errors import DataError, RecordsError, printable
from harness.files.pickles import load_pickled_data, to_safetensors
from harness.files.plain import NoText, read_text
from harness.files.torch_files import listing, not_finite
from harness.gans.base import GAN
from harness.spec.load import validated
from harness.spec.pyramid import Pyramid
from harness.spec.schema import SinGAN, Spec
from harness.spec.vocabulary import RAW
from harness.spec.yaml_text import Unreadable, parse

FILE = "weights.safetensors"
_LARGEST_SPEC_BYTES = 2**20
_COUNTERS = "_extra_state"
"""Where the model's own counters stand in its state dict."""


def attribute(shadow: str) -> str:
    """Return a shadow's name in the model, before ``_ema``."""
    # Submodules cannot have dots in their names; no two shadows may share one.
    return "shadow_" + shadow.replace("_", "__").replace(".", "_d").replace("-", "_h")


def networks_of(spec: Spec) -> dict[str, str]:
    """Return the network of ``GAN.networks`` that each arm is, in the spec's order."""
    return {RAW: "orig"} | {name: f"{attribute(name)}_ema" for name in spec.observers.ema}


def packed(model: GAN) -> bytes:
    """Return a file of a model's whole state; nothing in it is pickled."""
    return to_safetensors(model.state_dict())


def trained(folder: Path, device: torch.device) -> tuple[Spec, GAN]:
    """Return what a finished run asked and its model, as it was at the end of training.

    Args:
        folder: the run's.
        device: where the networks are put.

    Raises:
        RecordsError: the folder holds no finished run, or not what its spec says.
    """
    spec, seed = _spec(folder / "spec.yaml")
    state = _state(folder / FILE)
    _without_image(folder, spec, state)
    model = gan(spec, seed).to(device)
    held = {key.partition(".")[0] for key in state}
    for name in networks_of(spec).values():
        if name in held and name.endswith("_ema"):
            setattr(model, name, copy.deepcopy(model.generator))
    try:
        model.load_state_dict(state)
    except (RuntimeError, LookupError, AttributeError, TypeError, ValueError) as error:
        reason = printable(" ".join(str(error).split()), 300)
        raise RecordsError(f"{folder}: weights and spec.yaml do not fit: {reason}") from None
    return spec, model


def _state(path: Path) -> dict[str, Any]:
    if not os.path.exists(path):
        raise RecordsError(f"{path}: is missing: name the folder of a finished run")
    try:
        state = load_pickled_data(path)
    except DataError:
        state = {}
    if _COUNTERS not in state:
        raise RecordsError(f"{path}: is not a whole file of weights")
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    if wrong := not_finite(tensors):
        raise RecordsError(f"{path}: holds NaN or infinite values in {listing(wrong)}")
    return state


def _spec(path: Path) -> tuple[Spec, int]:
    try:
        settings = parse(read_text(path, _LARGEST_SPEC_BYTES))[0]
        seed = settings["seed"]
    except NoText as error:
        reason = f"{path}: {error}; name the folder of a run, as runs/NAME/TIER/seed0-ID"
        raise RecordsError(reason) from None
    except (Unreadable, KeyError, TypeError):
        raise RecordsError(f"{path}: is not the spec of one run; name a run's folder") from None
    own = {name: settings[name] for name in settings if name not in ("level", "seed", "reduce_lr")}
    return validated({"question": "", "seeds": [seed], **own}, str(path)), seed


def _without_image(folder: Path, spec: Spec, state: Mapping[str, Any]) -> None:
    """Take SinGAN's sizes from its noises where the image is no longer what was trained on."""
    if not isinstance(spec.model, SinGAN):
        return
    try:
        noises = state[_COUNTERS]["fixed_noises"]
        sizes = tuple((noise.shape[-2], noise.shape[-1]) for noise in noises)
        smallest, largest = min(sizes[0]), min(sizes[-1])
    except (LookupError, TypeError, AttributeError):
        raise RecordsError(f"{folder / FILE}: holds no noises of a SinGAN") from None
    try:
        if spec.pyramid.sizes == sizes:
            return
    except DataError:
        pass
    factor = (smallest / max(largest, 1)) ** (1 / max(len(sizes) - 1, 1))
    vars(spec)["pyramid"] = Pyramid(sizes, factor)  # where cached_property looks first
