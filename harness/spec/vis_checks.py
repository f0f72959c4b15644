"""Checks of VisualizationHook's and PickleDataHook's arguments.

Nothing here imports torch: a spec that asks for a picture no hook could draw is refused before a
run starts, in the words that the hook's constructor has for it.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from types import NoneType
from typing import Any

from harness.spec.vis_kwargs import (
    ENTRY_KINDS,
    HOOK_KINDS,
    HUB_KINDS,
    PICKLE_KINDS,
    SAMPLER_TYPES,
    VIS_KWARGS_MAPPING,
    Kinds,
    as_list,
    full_type,
)
from harness.spec.wording import Problem, shown

_CHOICES = {"vis_mode": ("image", "gif"), "color_order": ("rgb", "bgr")}
_POSITIVE = frozenset({"n_samples", "num_samples", "num_batches", "n_row", "n_skip", "fps"})
_TEMPLATE = re.compile(r"[^{}/\0]*\{(:0?\d{0,2}d?)?\}[^{}/\0]*")
_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Mapping: "a mapping",
    list: "a list",
    NoneType: "null",
}


def hook_problems(arguments: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with arguments of VisualizationHook, at their paths."""
    wrong = [*_wrong(arguments, HOOK_KINDS)]
    yield from wrong
    wrong_names = {path[0] for path, _ in wrong}
    for name in ("vis_kwargs_list", "sampler_kwargs_list"):
        if name not in wrong_names:
            yield from _listed(name, arguments.get(name), entry_problems)
    hub = "message_hub_vis_kwargs"
    if hub not in wrong_names:
        entries = [{"key": e} if isinstance(e, str) else e for e in as_list(arguments.get(hub))]
        yield from _listed(hub, entries, _hub_problems)
    if arguments.get("vis_kwargs_list") and arguments.get("sampler_kwargs_list"):
        yield ("sampler_kwargs_list",), "is another name of vis_kwargs_list: give one of them"


def pickle_problems(arguments: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with arguments of PickleDataHook, at their paths."""
    wrong = [*_wrong(arguments, PICKLE_KINDS)]
    yield from wrong
    given = {name: value for name, value in arguments.items() if (name,) not in dict(wrong)}
    if not _stays_inside(given.get("output_dir", "")):
        yield ("output_dir",), f"{shown(given['output_dir'])} is not a folder inside the run's"
    template = given.get("filename_tmpl", "{}")
    if not _TEMPLATE.fullmatch(template):
        yield (
            ("filename_tmpl",),
            f"{shown(template)} is not a file's name with one {{}}, the iteration",
        )
    for name in ("output_dir", "data_name_list"):
        if name not in arguments:
            yield (name,), "is missing: PickleDataHook needs a folder and the attributes' names"


def entry_problems(entry: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with one entry of ``vis_kwargs_list``."""
    yield from _words(entry, ENTRY_KINDS)
    if "type" not in entry:
        yield ("type",), "an entry has no type, such as GAN"
    elif isinstance(entry["type"], str) and full_type(entry["type"]) is None:
        known = ", ".join(dict.fromkeys((*VIS_KWARGS_MAPPING, *SAMPLER_TYPES)))
        yield ("type",), f"{shown(entry['type'])} is not one of {known}"
    if "n_samples" in entry and "num_samples" in entry:
        yield ("num_samples",), "is another name of n_samples: give one of them"


def _hub_problems(entry: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _words(entry, HUB_KINDS)
    if "key" not in entry:
        yield ("key",), "an entry has no key, the images' name in the message hub"


def _listed(name: str, entries: Any, check: Any) -> Iterator[Problem]:
    alone = isinstance(entries, Mapping)
    for index, entry in enumerate(as_list(entries)):
        at: tuple[str | int, ...] = (name,) if alone else (name, index)
        if isinstance(entry, Mapping):
            yield from (((*at, *path), text) for path, text in check(entry))
        else:
            yield at, f"{shown(entry)} is not a mapping"


def _words(entry: Mapping[str, Any], kinds: Mapping[str, Kinds]) -> Iterator[Problem]:
    for name in sorted(set(entry) - set(kinds), key=str):
        yield (name,), f"is not known; known: {', '.join(sorted(kinds))}"
    wrong = [*_wrong(entry, kinds)]
    yield from wrong
    for name in sorted(set(entry) & set(kinds) - {path[0] for path, _ in wrong}):
        yield from _range(name, entry[name])


def _range(name: str, value: Any) -> Iterator[Problem]:
    allowed = _CHOICES.get(name)
    if allowed and value is not None and value not in allowed:
        yield (name,), f"{shown(value)} is not {' or '.join(map(repr, allowed))}"
    if name in _POSITIVE and value is not None and value <= 0:
        yield (name,), f"{value} is not above 0"
    if name == "name" and not _stays_inside(value):
        yield (name,), f"{shown(value)} is not a name that stays in the folder of the pictures"
    if name in {"target_mean", "target_std"}:
        numbers = list(value) if isinstance(value, Sequence) else [value]
        if len(numbers) not in (1, 3) or not all(isinstance(n, int | float) for n in numbers):
            yield (name,), f"{shown(value)} is not a number or three, one a channel"
        elif name == "target_std" and min(numbers) <= 0:
            yield (name,), f"{shown(value)} is not above 0"


def _wrong(values: Mapping[str, Any], kinds: Mapping[str, Kinds]) -> Iterator[Problem]:
    for name in sorted(set(values) & set(kinds)):
        if not _fits(values[name], kinds[name]):
            allowed = [_NAMES[kind] for kind in kinds[name] if kind in _NAMES]
            yield (name,), f"{shown(values[name])} is not {' or '.join(allowed)}"


def _stays_inside(name: str) -> bool:
    """Return whether a name, which may make folders, leads no further up than it began."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and name.isprintable()


def _fits(value: Any, kinds: Kinds) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, kinds) or (float in kinds and isinstance(value, int))
