"""What a question's runs ran on: one machine and source, or each with its runs."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.records.files import read_record
from harness.records.machine import kind
from harness.records.machine_file import read_machine
from harness.records.store import RunFolder


def machine_of(folders: Iterable[RunFolder]) -> dict[str, Any]:
    """Return the first run's machine, with the other machines and sources under ``also``.

    Where there are several, each names its runs under ``runs``. Each place where a run went on
    stands under ``resumed``, with the run's name.
    """
    groups: dict[tuple[str, Any], dict[str, Any]] = {}
    resumed: list[dict[str, Any]] = []
    read: dict[str, dict[str, Any]] = {}
    for folder in folders:
        path = folder.path / "machine.json"
        if not os.path.lexists(path):
            continue
        machine = dict(_read(path, read))
        resumed += [{"run": folder.path.name, **at} for at in machine.pop("resumed", [])]
        source = (machine.get("source") or {}).get("digest")
        groups.setdefault((kind(machine), source), {**machine, "runs": []})["runs"] += [
            folder.path.name
        ]
    if len(groups) == 1:
        del next(iter(groups.values()))["runs"]
    first, *others = groups.values() or [{}]
    more: dict[str, Any] = {"also": others, "resumed": resumed}
    return first | {name: entries for name, entries in more.items() if entries}


def _read(path: Path, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a machine; a text that was read before is not parsed again."""
    text = read_record(path)
    if text not in known:
        known[text] = read_machine(path)
    return known[text]
