"""How a number was measured: flat facts, and a fingerprint that is equal where all of them are.

Numbers of different fingerprints are never compared. Which weights were sampled is the row's arm;
seeds, and sizes of batches that change no number, are no facts.
"""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import RecordsError
from harness.records.files import read_json, write_json
from harness.records.quantities import lookup
from harness.records.rows import Columns
from harness.spec.identity import digest_of, texts

FILE = "protocols.json"
"""Of a run's folder, written before its first row; and of a results folder."""
Fact = str | int | float | bool | None
Facts = Mapping[str, Fact]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MARK = re.compile(r"\[protocol=\w+\]$|;protocol=\w+(?=\]$)")
_FURTHER = re.compile(r"^fresh[1-9][0-9]*/")
"""Before a quantity that is measured again on further latents, by the same protocol."""
_TOLD = 4
"""Facts of one difference that are named."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Protocol:
    """How one quantity was measured.

    Args:
        facts: by their names, in the order that a reader wants them.
    """

    facts: Facts

    @cached_property
    def fingerprint(self) -> str:
        """10 hexadecimal digits of the sha256 of the facts as JSON, whatever their order."""
        return digest_of(texts(self.facts))


def differing(first: Protocol, second: Protocol) -> list[str]:
    """Return the names of the facts that two protocols do not share, in their order."""
    ours, theirs = texts(first.facts), texts(second.facts)
    return [name for name in dict.fromkeys([*ours, *theirs]) if ours.get(name) != theirs.get(name)]


def shown(protocol: Protocol, name: str) -> str:
    """Return one fact in a few characters; a digest by its first 10 digits."""
    value = str(protocol.facts.get(name, "not stated"))
    return value[:10] if _DIGEST.fullmatch(value) else value


def difference(ours: Protocol, theirs: Protocol, other: str) -> str:
    """Say in one line which facts differ: ``real_images is 500, OTHER 600``."""
    names = differing(ours, theirs)
    told = [f"{n} is {shown(ours, n)}, {other} {shown(theirs, n)}" for n in names[:_TOLD]]
    more = [f"and {len(names) - _TOLD} more facts differ"] if len(names) > _TOLD else []
    return "; ".join([*told, *more])


def write(path: Path, protocols: Mapping[str, Protocol]) -> None:
    """Write protocols by quantity, atomically.

    Raises:
        OutputError: if the folder cannot be written.
    """
    content = {
        name: {"fingerprint": one.fingerprint, "facts": dict(one.facts)}
        for name, one in protocols.items()
    }
    write_json(path, {"protocols": content})


def read(path: Path) -> dict[str, Protocol]:
    """Return what ``write`` wrote; nothing where there is no file, as in older records.

    Raises:
        RecordsError: if the file is torn, of a newer format, or was edited.
    """
    if not os.path.lexists(path):
        return {}
    content = read_json(path).get("protocols")
    if not isinstance(content, dict):
        raise RecordsError(f"{path}: names no protocols: was it cut off?")
    return {name: _read(path, name, entry) for name, entry in content.items()}


def _read(path: Path, name: str, entry: Any) -> Protocol:
    try:
        lookup(name)
    except RecordsError as error:
        raise RecordsError(f"{path}: {error}") from None
    facts = entry.get("facts") if isinstance(entry, dict) else None
    if not isinstance(facts, dict) or not all(map(_is_fact, facts, facts.values())):
        raise RecordsError(f"{path}: {name}: holds no facts, which are names with plain values")
    protocol = Protocol(facts)
    if protocol.fingerprint != entry.get("fingerprint"):
        stated = f"{entry.get('fingerprint')!r:.20}, theirs is {protocol.fingerprint}"
        raise RecordsError(f"{path}: {name}: fingerprint {stated}: were the facts edited?")
    return protocol


def _is_fact(name: str, value: object) -> bool:
    plain = value is None or isinstance(value, str | int | float)
    return plain and bool(_NAME.fullmatch(name)) and str(value).isprintable()


def require_same(path: Path, protocols: Mapping[str, Protocol]) -> None:
    """Refuse to go on with a run whose earlier rows were measured by other protocols.

    Args:
        path: the run's file; a run that began without one is not held against it.
        protocols: by which it would go on.

    Raises:
        RecordsError: naming the facts that differ.
    """
    before, none = read(path), Protocol({})
    if not before:
        return
    names: dict[str, list[str]] = {}
    for name in dict.fromkeys([*before, *protocols]):
        now, was = protocols.get(name, none), before.get(name, none)
        if now.fingerprint != was.fingerprint:
            names.setdefault(difference(now, was, "was"), []).append(name)
    if names:
        found = "; ".join(f"{', '.join(of)}: {text}" for text, of in names.items())
        raise RecordsError(
            f"{path}: the run would go on by another protocol: {found}: put back what it began "
            "with, or train it anew with --restart"
        )


def agreed(
    runs: Sequence[tuple[Collection[str], Mapping[str, Protocol]]],
) -> tuple[list[dict[str, str]], dict[str, Protocol]]:
    """Give quantities that runs measured by different protocols different names.

    Args:
        runs: of each run, the quantities that it has rows of, and its protocols.

    Returns:
        Of each run, its quantities' new names where they have one; and the protocols by name. A
        run without protocols, beside one that has them, has one that is unknown.
    """
    known = {name for _, held in runs for name in held}
    found: dict[str, dict[str, Protocol | None]] = {}
    for measured, held in runs:
        for name in known.intersection(map(_first, measured)):
            found.setdefault(name, {})[_mark(held.get(name))] = held.get(name)
    split = {name for name, every in found.items() if len(every) > 1}
    protocols = {
        named(name, one) if name in split else name: one
        for name, every in found.items()
        for one in every.values()
        if one is not None
    }
    renamed = [
        {name: named(name, held.get(_first(name))) for name in measured if _first(name) in split}
        for measured, held in runs
    ]
    return renamed, dict(sorted(protocols.items()))


def _first(quantity: str) -> str:
    return _FURTHER.sub("", quantity)


def collect(runs: Sequence[tuple[Path, Columns]]) -> tuple[list[Columns], dict[str, Protocol]]:
    """Return the rows of runs with names as ``agreed`` gives them, and every protocol by name.

    Args:
        runs: each run's folder and rows.
    """
    held = [read(folder / FILE) for folder, _ in runs]
    tables = [columns for _, columns in runs]
    found = zip(tables, held, strict=True)
    names, protocols = agreed([({*columns.quantity}, own) for columns, own in found])
    return list(map(_renamed, tables, names)), protocols


def _renamed(columns: Columns, names: Mapping[str, str]) -> Columns:
    if not names:
        return columns
    return columns._replace(quantity=[names.get(q, q) for q in columns.quantity])


def named(quantity: str, protocol: Protocol | None) -> str:
    """Return a quantity's name with its protocol: ``fid[digits-cnn;protocol=0123456789]``."""
    name, _, said = quantity.rstrip("]").partition("[")
    return f"{name}[{said}{';' if said else ''}{_mark(protocol)}]"


def plain(quantity: str) -> str:
    """Return a quantity's name without what ``named`` put into it."""
    return _MARK.sub("", quantity)


def _mark(protocol: Protocol | None) -> str:
    return f"protocol={'unknown' if protocol is None else protocol.fingerprint}"
