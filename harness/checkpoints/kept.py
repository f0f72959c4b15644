"""A generator in a file of its own: safetensors with its type and arguments beside the weights.

One JSON object in the metadata, under ``gan_harness``, says what to build; nothing is unpickled.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from harness.checkpoints.families import FAMILIES
from harness.checkpoints.loading import load
from harness.errors import DataError

FILE = "generator.safetensors"
_KEY = "gan_harness"
_FORMAT = 1
_FIELDS = ("family", "arguments", "stage", "noise_weights", "source")
_NOISE = "fixed_noises."
"""Begins the names of SinGAN's noise maps, which lie beside its weights."""


@dataclass(frozen=True)
class Generator:
    """A generator that can be drawn from.

    Args:
        family: a name of ``FAMILIES``.
        arguments: what its class was called with.
        network: in evaluation mode, with its weights.
        stage: ``curr_scale`` in px and ``transition_weight``, where growth had not ended.
        source: where the weights come from.
        noise_weights: SinGAN's sigma of each scale.
        fixed_noises: SinGAN's noise maps of each scale, 1CHW, which reconstruct the image.
    """

    family: str
    arguments: Mapping[str, Any]
    network: nn.Module
    stage: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    noise_weights: tuple[float, ...] = ()
    fixed_noises: tuple[Tensor, ...] = ()


def to_bytes(generator: Generator) -> bytes:
    """Return the file of a generator; the same generator gives the same bytes."""
    tensors = dict(generator.network.state_dict())
    tensors |= {f"{_NOISE}{scale}": noise for scale, noise in enumerate(generator.fixed_noises)}
    about = {
        "format": _FORMAT,
        "family": generator.family,
        "type": FAMILIES[generator.family].type,
        "arguments": dict(generator.arguments),
        "stage": dict(generator.stage),
        "noise_weights": list(generator.noise_weights),
        "source": dict(generator.source),
    }
    return save({k: v.contiguous() for k, v in tensors.items()}, {_KEY: json.dumps(about)})


def is_kept(path: Path) -> bool:
    """Tell whether a file is what ``to_bytes`` made."""
    try:
        with safe_open(path, "pt") as file:
            return _KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def from_file(path: Path) -> Generator:
    """Read what ``to_bytes`` made.

    Raises:
        DataError: if it is damaged, of a newer format, or no such file.
    """
    about = _about(path)
    held = load_file(path)
    noises = [name for name in held if name.startswith(_NOISE)]
    maps = tuple(held.pop(f"{_NOISE}{scale}") for scale in range(len(noises)))
    weights = tuple(map(float, about["noise_weights"]))
    family = FAMILIES[about["family"]]
    arguments, network = load(family, held, about["arguments"], path)
    stage, source = about["stage"], about["source"]
    return Generator(family.name, arguments, network, stage, source, weights, maps)


def _about(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_KEY)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: cannot be read as safetensors ({error})") from None
    if text is None:
        raise DataError(f"{path}: does not say which network it is: `harness import` it first")
    try:
        about: dict[str, Any] = json.loads(text)
        if about["format"] != _FORMAT or about["family"] not in FAMILIES:
            raise DataError(
                f"{path}: is of format {about['format']} and holds a {about['family']}; this "
                f"harness reads format {_FORMAT} of {', '.join(FAMILIES)}: update gan-harness"
            )
        return {name: about[name] for name in _FIELDS}
    except (ValueError, TypeError, KeyError):
        raise DataError(f"{path}: is damaged: `harness import` the checkpoint anew") from None
