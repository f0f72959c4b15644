"""A run's trained networks on disk: one safetensors file with all that drawing from them needs.

Tensors stand in the file under their names in the state dict. What modules keep beside them (extra
state: counters, SinGAN's noises and amplitudes) stands in its metadata, as JSON in which
``{"$tensor": NAME}`` is a tensor of the file. Nothing is pickled.
"""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from harness.engine.families import gan
from harness.errors import DataError, RecordsError
from harness.gans.base import GAN
from harness.spec.load import validated
from harness.spec.pyramid import Pyramid
from harness.spec.schema import SinGAN, Spec
from harness.spec.vocabulary import RAW
from harness.spec.yaml_text import Unreadable, parse

FILE = "weights.safetensors"
_EXTRA = "extra_state"
_TENSOR = "$tensor"


def attribute(shadow: str) -> str:
    """Return a shadow's name in the model, before ``_ema``."""
    # Submodules cannot have dots in their names; no two shadows may share one.
    return "shadow_" + shadow.replace("_", "__").replace(".", "_d").replace("-", "_h")


def networks_of(spec: Spec) -> dict[str, str]:
    """Return the network of ``GAN.networks`` that each arm is, in the spec's order."""
    return {RAW: "orig"} | {name: f"{attribute(name)}_ema" for name in spec.observers.ema}


def packed(model: GAN) -> bytes:
    """Return a file of a model's whole state."""
    tensors: dict[str, torch.Tensor] = {}
    extra: dict[str, Any] = {}
    for name, value in model.state_dict().items():
        if torch.is_tensor(value):
            tensors[name] = value.contiguous()
        else:
            extra[name] = _plain(value, name, tensors)
    return save(tensors, {_EXTRA: json.dumps(extra)})


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
    _without_image(spec, state)
    model = gan(spec, seed).to(device)
    for name in dict.fromkeys(key.partition(".")[0] for key in state):
        if name.endswith("_ema"):
            setattr(model, name, copy.deepcopy(model.generator))
    try:
        model.load_state_dict(state)
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise RecordsError(f"{folder}: weights and spec.yaml do not fit: {reason}") from None
    return spec, model


def _plain(value: Any, at: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Return a value for JSON, its tensors put into ``tensors`` by their places."""
    match value:
        case torch.Tensor():
            tensors[at] = value.contiguous()
            return {_TENSOR: at}
        case Mapping():
            return {key: _plain(item, f"{at}.{key}", tensors) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item, f"{at}.{i}", tensors) for i, item in enumerate(value)]
    return value


def _restored(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Undo ``_plain``; takes the tensors it needs out of ``tensors``."""
    match value:
        case {"$tensor": str(at)}:
            return tensors.pop(at)
        case dict():
            return {key: _restored(item, tensors) for key, item in value.items()}
        case list():
            return [_restored(item, tensors) for item in value]
    return value


def _state(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            extra = json.loads((file.metadata() or {})[_EXTRA])
        return _restored(extra, tensors) | tensors
    except FileNotFoundError:
        raise RecordsError(f"{path}: is missing: name the folder of a finished run") from None
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise RecordsError(f"{path}: is not a whole file of weights ({reason})") from None


def _spec(path: Path) -> tuple[Spec, int]:
    try:
        settings = parse(path.read_text(encoding="utf-8"))[0]
        seed = settings["seed"]
    except OSError as error:
        reason = f"{path}: {error.strerror}; name the folder of a run, as runs/NAME/TIER/seed0-ID"
        raise RecordsError(reason) from None
    except (Unreadable, UnicodeDecodeError, KeyError, TypeError):
        raise RecordsError(f"{path}: is not the spec of one run; name a run's folder") from None
    own = {name: settings[name] for name in settings if name not in ("level", "seed", "reduce_lr")}
    return validated({"question": "", "seeds": [seed], **own}, str(path)), seed


def _without_image(spec: Spec, state: Mapping[str, Any]) -> None:
    """Take SinGAN's sizes from its noises where the image is no longer what was trained on."""
    if not isinstance(spec.model, SinGAN):
        return
    noises = state["_extra_state"]["fixed_noises"]
    sizes = tuple((noise.shape[-2], noise.shape[-1]) for noise in noises)
    try:
        if spec.pyramid.sizes == sizes:
            return
    except DataError:
        pass
    factor = (min(sizes[0]) / min(sizes[-1])) ** (1 / max(len(sizes) - 1, 1))
    vars(spec)["pyramid"] = Pyramid(sizes, factor)  # where cached_property looks first
