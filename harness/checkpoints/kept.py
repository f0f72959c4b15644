"""A generator in a file of its own: safetensors with its type and arguments beside the weights.

One JSON object in the metadata, under ``gan_harness``, says what to build; nothing is unpickled.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from harness.checkpoints.families import FAMILIES
from harness.checkpoints.loading import load
from harness.errors import DataError, SpecError, printable
from harness.files import plain
from harness.spec.wording import shown

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
    try:
        maps = tuple(held.pop(f"{_NOISE}{scale}") for scale in range(len(noises)))
        weights = tuple(map(float, about["noise_weights"]))
    except (KeyError, ValueError, TypeError, OverflowError):
        raise _damaged(path) from None
    family = FAMILIES[about["family"]]
    try:
        arguments, network = load(family, held, about["arguments"], path)
    except SpecError as error:  # nobody gave arguments but the file
        raise DataError(f"{path}: {'; '.join(error.problems)}") from None
    stage, source = about["stage"], about["source"]
    if family.name == "singan":
        check_noises(weights, maps, arguments, path)
    return Generator(family.name, arguments, network, stage, source, weights, maps)


def check_noises(
    weights: Sequence[float], maps: Sequence[Tensor], arguments: Mapping[str, Any], path: Path
) -> None:
    """Find out whether SinGAN's noises fit its network.

    Raises:
        DataError: if they do not, or are not finite.
    """
    scales = arguments["num_scales"] + 1
    channels = {1, arguments["in_channels"]}
    shaped = all(m.ndim == 4 and m.shape[1] in channels and _is_held(m) for m in maps)
    if len(weights) != scales or len(maps) != scales or not shaped:
        raise DataError(
            f"{path}: {len(weights)} noise weights and {len(maps)} noise maps "
            f"(NCHW) for a generator of {scales} scales"
        )
    if not all(bool(m.isfinite().all()) for m in (*maps, torch.tensor(weights))):
        raise DataError(f"{path}: noise weights or maps are not finite")


def _is_held(noise: Tensor) -> bool:
    # A few bytes can be laid out as a map larger than any memory.
    size = noise.numel() * noise.element_size()
    return len(noise) == 1 and 0 < size <= noise.untyped_storage().nbytes()


def _damaged(path: Path) -> DataError:
    return DataError(f"{path}: is damaged: `harness import` the checkpoint anew")


def _about(path: Path) -> dict[str, Any]:
    try:
        with plain.opened(path), safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_KEY)
    except (SafetensorError, OSError) as error:
        reason = printable(str(error), 100)
        raise DataError(f"{path}: cannot be read as safetensors ({reason})") from None
    if text is None:
        raise DataError(f"{path}: does not say which network it is: `harness import` it first")
    try:
        about: dict[str, Any] = json.loads(text)
        if about["format"] != _FORMAT or about["family"] not in FAMILIES:
            raise DataError(
                f"{path}: is of format {shown(about['format'])} and holds "
                f"{shown(about['family'])}; this harness reads format {_FORMAT} of "
                f"{', '.join(FAMILIES)}: update gan-harness"
            )
        if any(not isinstance(about[name], dict) for name in ("arguments", "stage", "source")):
            raise _damaged(path)
        return {name: about[name] for name in _FIELDS}
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _damaged(path) from None
