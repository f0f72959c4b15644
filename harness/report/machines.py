"""What a question's runs ran on: one machine and source, or each with its runs."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.records.files import read_record
from harness.records.machine import kind
from harness.records.machine_file import read_machine
from harness.records.store import RunFolder

_OF_A_RUN = frozenset({"resumed", "shared", "node"})
"""Said by run, or of no account: which machine of its kind it was decides nothing."""


def machine_of(folders: Iterable[RunFolder]) -> dict[str, Any]:
    """Return the first run's machine, with the other machines and sources under ``also``.

    Where there are several, each names its runs under ``runs``. Each place where a run went on
    stands under ``resumed``, and the latest where it left another under ``shared``, with the run's
    name.
    """
    groups: dict[tuple[str, Any], dict[str, Any]] = {}
    resumed: list[dict[str, Any]] = []
    shared: list[dict[str, Any]] = []
    read: dict[str, tuple[dict[str, Any], tuple[str, Any]]] = {}
    for folder in folders:
        path = folder.path / "machine.json"
        if not os.path.lexists(path):
            continue
        machine, alike = _read(path, read)
        name, branched = folder.path.name, machine.get("shared", [])
        shared += [{"run": name, **at} for at in branched[-1:]]
        places = machine.get("resumed", [])
        resumed += [{"run": name, **at} for at in places if not _began_there(at, branched)]
        if alike not in groups:
            own = {n: v for n, v in machine.items() if n not in _OF_A_RUN}
            groups[alike] = {**own, "runs": []}
        groups[alike]["runs"].append(name)
    if len(groups) == 1:
        del next(iter(groups.values()))["runs"]
    first, *others = groups.values() or [{}]
    more: dict[str, Any] = {"also": others, "resumed": resumed, "shared": shared}
    return first | {name: entries for name, entries in more.items() if entries}


def _began_there(place: Mapping[str, Any], branched: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a branch did no more than begin, on its trunk's kind of machine."""
    exact = place.get("same_kind") and place.get("same_source")
    return bool(exact) and any(at["iteration"] == place.get("iteration") for at in branched)


def _read(
    path: Path, known: dict[str, tuple[dict[str, Any], tuple[str, Any]]]
) -> tuple[dict[str, Any], tuple[str, Any]]:
    """Return a machine, and its kind and source; a text read before is not parsed again."""
    text = read_record(path)
    if text not in known:
        machine = read_machine(path)
        known[text] = machine, (kind(machine), (machine.get("source") or {}).get("digest"))
    return known[text]
