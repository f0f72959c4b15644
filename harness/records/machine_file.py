"""machine.json read back, and what a resumed run adds to it."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import RecordsError
from harness.records.files import read_json
from harness.records.machine import kind

_LARGEST_BYTES = 2**27
"""Where runs had several machines, or were resumed, each of 100,000 is named."""


def read_machine(path: Path) -> dict[str, Any]:
    """Return what ``describe`` said when ``path`` was written, with other machines under ``also``.

    Raises:
        RecordsError: if it is missing, torn, of a newer format, or a field is of another type.
    """
    content = read_json(path, _LARGEST_BYTES)
    del content["format"]
    others = content.get("also", [])
    machines = [content, *others] if isinstance(others, list) else [content, None]
    for machine in machines:
        if not isinstance(machine, dict) or not all(map(_fits, machine, machine.values())):
            raise RecordsError(f"{path}: does not describe a machine")
    return content


def _fits(name: str, value: Any) -> bool:
    if name in {"source", "libraries", "data_libraries", "kernels"}:
        return value is None or _is_flat(value)
    if name == "resumed":
        return isinstance(value, list) and all(map(_is_flat, value))
    if name == "shared":
        return isinstance(value, list) and all(map(_is_place, value))
    if name == "runs":
        return isinstance(value, list) and all(isinstance(run, str) for run in value)
    return name == "also" or _plain(value)


def _is_flat(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_plain, value.values()))


def _is_place(value: Any) -> bool:
    """Tell whether a value says where a run branched from another: ``branches.Place``."""
    if not (_is_flat(value) and isinstance(value.get("trunk"), str)):
        return False
    numbers = [value.get(name) for name in ("iteration", "kimg", "sec")]
    return all(type(number) in (int, float) and 0 <= number < math.inf for number in numbers)


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def resumed(here: Mapping[str, Any], earlier: Mapping[str, Any], iteration: int) -> dict[str, Any]:
    """Return the machine of a run that goes on, with each place where it did under ``resumed``.

    What it shares with runs that it branched from stays.

    Args:
        here: what it goes on with.
        earlier: the run's machine so far.
        iteration: iterations done by then.
    """
    source, before = (m.get("source", {}).get("digest") for m in (here, earlier))
    place = {
        "iteration": iteration,
        "same_kind": kind(here) == kind(earlier),
        "same_source": source == before,
    }
    shared = {name: earlier[name] for name in ("shared",) if name in earlier}
    return {**here, **shared, "resumed": [*earlier.get("resumed", []), place]}
