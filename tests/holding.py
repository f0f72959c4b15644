"""What a case of the fault suite promises, held against what it found."""

from pathlib import Path

import numpy as np

from harness.records.store import RunFolder


def holds(ledger, fault, done, promised, found):
    """Note a case, then fail if anything of it does not hold.

    ``found``: whether it does, by what is promised in words.
    """
    broken = [words for words, held in found.items() if not held]
    held = f"not: {'; '.join(broken)}" if broken else "yes"
    ledger.add("faults", fault=fault, done=done, promised=promised, held=held)
    assert not broken, (done, broken)


def numbers(folder):
    """Return a run's rows without those that time decides."""
    return [
        (row.quantity, row.arm, row.value, row.kimg, row.iteration)
        for row in RunFolder(folder).rows()
        if not row.quantity.startswith(("time/", "memory/"))
    ]


def same_bits(one: Path, other: Path) -> bool:
    """Tell whether two finished runs have the same rows, weights and samples."""
    weights = [(folder / "weights.safetensors").read_bytes() for folder in (one, other)]
    samples = [dict(np.load(folder / "samples" / "final.npz")) for folder in (one, other)]
    return (
        numbers(one) == numbers(other)
        and weights[0] == weights[1]
        and samples[0].keys() == samples[1].keys()
        and all(np.array_equal(samples[0][name], samples[1][name]) for name in samples[0])
    )


def whole_rows(folder: Path) -> bool:
    """Tell whether no line of a run's rows is torn."""
    text = (folder / "rows.jsonl").read_text()
    return text.endswith("\n") and len(RunFolder(folder).rows()) == text.count("\n") - 1


def temporary(folder: Path) -> list[Path]:
    """Return files that a write was cut short over."""
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]
