"""From a checkpoint's entries to a network, with strict=True and every disagreement named."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from harness.checkpoints.families import FAMILIES, Family, prefixes
from harness.checkpoints.reading import Checkpoint
from harness.errors import DataError, SpecError, printable
from harness.files.torch_files import listing, not_finite
from harness.registry import MODELS, register_all
from harness.spec.wording import shown

EMA, RAW = "generator_ema", "generator"
_COUNTER = "steps"
"""mmengine's averaged models count their updates beside the weights."""
_LARGEST = MappingProxyType(
    {"num_mlps": 99, "num_scales": 99, "num_layers": 99, "out_size": 2**14, "out_scale": 2**14}
)
"""Arguments that tell how many layers there are: far above any that was trained."""


def choose(checkpoint: Checkpoint, family: Family, wanted: str | None) -> tuple[str, list[str]]:
    """Return the name of one network of a family in a checkpoint, and the names of all.

    Args:
        wanted: its name; by default the average where there is one.

    Raises:
        DataError: if there is no such network; says what the checkpoint looks like.
    """
    found = prefixes(checkpoint.tensors, family)
    if not found:
        raise DataError(f"{checkpoint.path}: {_looks(checkpoint)}, not like {family.name}")
    if wanted == RAW and found == [""]:
        return "", found
    preferred = [wanted] if wanted else [EMA, RAW, *found]
    name = next((name for name in preferred if name in found), None)
    if name is None:
        held = ", ".join(name or "one without a name" for name in found)
        raise DataError(f"{checkpoint.path}: holds no network {wanted!r}; it holds {held}")
    return name, found


def entries(checkpoint: Checkpoint, network: str) -> dict[str, Tensor]:
    """Return the entries of one network by their names in it."""
    start = f"{network}." if network else ""
    return {
        name.removeprefix(start): value
        for name, value in checkpoint.tensors.items()
        if name.startswith(start) and name != start + _COUNTER
    }


def build(family: Family, arguments: Mapping[str, Any]) -> nn.Module:
    """Return a family's generator in evaluation mode, for weights to be loaded into.

    Raises:
        SpecError: if an argument is unknown or cannot be meant.
    """
    register_all()
    kind = MODELS.get(family.type)
    known = list(inspect.signature(kind).parameters)
    unknown = [name for name in arguments if name not in known]
    if unknown:
        raise SpecError(
            [f"{listing(unknown)}: no argument of {family.type}; it has {', '.join(known)}"]
        )
    if large := [name for name, most in _LARGEST.items() if _above(arguments.get(name), most)]:
        raise SpecError([f"{told(arguments)}: {name} is above {_LARGEST[name]}" for name in large])
    try:
        with torch.random.fork_rng(devices=[]):  # the first weights are drawn, to be overwritten
            network: nn.Module = kind(**arguments)
    except (TypeError, ValueError, RuntimeError, ArithmeticError, LookupError) as error:
        reason = printable(str(error), 100)
        raise SpecError([f"{family.type}({told(arguments)}): cannot be built ({reason})"]) from None
    return network.eval().requires_grad_(False)


def load(
    family: Family, held: Mapping[str, Tensor], given: Mapping[str, Any], origin: object
) -> tuple[dict[str, Any], nn.Module]:
    """Return the arguments that fit the entries, and the network with the entries in it.

    Args:
        held: the network's entries by name.
        given: arguments that go before what the shapes say.
        origin: the file, for messages.

    Raises:
        DataError: if entries are missing, unexpected, of another shape, or not finite.
        SpecError: if an argument is unknown or cannot be meant.
    """
    try:
        inferred = family.arguments({name: tuple(value.shape) for name, value in held.items()})
    except DataError as error:
        raise DataError(f"{origin}: {error}") from None
    arguments = {**inferred, **given}
    with torch.device("meta"):  # whatever the size: a few entries can tell of a giant
        expected = build(family, arguments).state_dict()
    if problems := differences(expected, held):
        what = f"{family.type}({told(arguments)})"
        raise DataError(f"{origin}: does not fit {what}: {'; '.join(problems)}")
    network = build(family, arguments)
    network.load_state_dict(held, strict=True)
    return arguments, network


def _above(value: object, most: int) -> bool:
    return isinstance(value, int | float) and not value <= most


def told(arguments: Mapping[str, Any]) -> str:
    """Return arguments as a call has them."""
    return ", ".join(f"{name}={shown(value)}" for name, value in arguments.items())


def differences(expected: Mapping[str, Tensor], held: Mapping[str, Tensor]) -> list[str]:
    """Return what keeps entries from being loaded with strict=True, a part for each kind."""
    both = [name for name in expected if name in held]
    shapes = [
        f"{name} {tuple(held[name].shape)} for {tuple(expected[name].shape)}"
        for name in both
        if held[name].shape != expected[name].shape
    ]
    kinds = {
        "missing": [name for name in expected if name not in held],
        "unexpected": [name for name in held if name not in expected],
        "of another shape": shapes,
        "not finite": not_finite({name: held[name] for name in both}),
    }
    return [f"{len(names)} {kind}: {listing(names)}" for kind, names in kinds.items() if names]


def _looks(checkpoint: Checkpoint) -> str:
    names = list(checkpoint.tensors)
    likely = [family.name for family in FAMILIES.values() if prefixes(names, family)]
    if likely:
        return f"looks like {' and '.join(likely)}"
    return f"its entries are those of no generator here ({listing(_firsts(names))})"


def _firsts(names: Iterable[str]) -> Sequence[str]:
    return list(dict.fromkeys(name.partition(".")[0] for name in names))
