"""Certificates: that a shadow was, all through a run, the average that its setting states."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.ema.closed_form import Floats, Setting, advance, remaining

LIMIT = 1e-5
"""Largest relative error of a float32 average that is what it states."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """How far a shadow was from the average that is derived from its setting.

    Args:
        error: the largest relative error over all entries and checks: the difference, by the
            largest magnitude that any kept entry of the same tensor has had by then.
        tensor: where that was.
        iteration: after which iteration that was.
        checks: at how many iterations shadow and derivation were compared.
    """

    error: float
    tensor: str
    iteration: int
    checks: int


def certify(folder: Path, settings: Mapping[str, Setting]) -> dict[str, Certificate]:
    """Derive each shadow again, in float64, from its setting and the network's trajectory.

    A float32 average of a weight at rest stops short of it, where w times what is left is below
    half a unit in the last place; that much, and at rest alone, is no error.

    Entries that were made anew have weight 1 in that iteration, whatever the setting says.

    Args:
        folder: what ``Trajectory`` wrote.
        settings: what each shadow was asked to be; all of them start from the network's weights
            before training.

    Raises:
        KeyError: if a shadow is not among those in the folder.
        ValueError: for a setting without a closed form.
    """
    record = _Record(folder)
    unknown = sorted(set(settings) - set(record.shadows))
    if unknown:
        known = ", ".join(record.shadows)
        raise KeyError(f"no shadow {unknown[0]!r} was recorded; there are: {known}")
    derived = _Derivation(record, [*settings.values()])
    which = [record.shadows.index(name) for name in settings]
    found = [Certificate(0.0, "", 0, len(record.checks))] * len(settings)
    for check, (begin, end) in enumerate(pairwise([0, *record.checks.tolist()])):
        errors = derived.errors(begin, end, record.averages[check, which])
        for number, at in enumerate(errors.argmax(1)):
            if errors[number, at] > found[number].error:
                tensor = record.tensors[record.tensor_of[at]]
                worst = float(errors[number, at])
                found[number] = Certificate(worst, tensor, end, len(record.checks))
    return dict(zip(settings, found, strict=True))


class _Record:
    """A trajectory's files."""

    def __init__(self, folder: Path) -> None:
        described = json.loads((folder / "entries.json").read_text())
        entries: list[dict[str, Any]] = described["entries"]
        counts = [entry["count"] for entry in entries]
        self.tensors = [entry["name"] for entry in entries]
        self.starts = np.cumsum([0, *counts[:-1]])
        self.tensor_of = np.repeat(np.arange(len(entries)), counts)
        kinds = np.repeat([entry["kind"] for entry in entries], counts)
        self.columns = {
            str(kind): slice(*np.flatnonzero(kinds == kind)[[0, -1]] + [0, 1])
            for kind in np.unique(kinds)
        }
        self.shadows = list(described["shadows"])
        self.dtype = np.dtype(described["dtype"])
        width = sum(counts)
        self.images = np.fromfile(folder / "images.bin", np.int64)
        self.checks = np.fromfile(folder / "checks.bin", np.int64)
        self.network = _mapped(folder / "network.bin", self.dtype, (len(self.images), width))
        shape = (len(self.checks), len(self.shadows), width)
        self.averages = _mapped(folder / "shadows.bin", self.dtype, shape)
        self.renewed = {
            event["iteration"]: self._columns(tuple(event["prefixes"]))
            for event in _lines(folder / "renewed.jsonl")
        }

    def _columns(self, prefixes: tuple[str, ...]) -> NDArray[np.int64]:
        """Return the places of all entries of the tensors of these prefixes."""
        anew = np.array([name.startswith(prefixes) for name in self.tensors])
        return np.flatnonzero(anew[self.tensor_of])


class _Derivation:
    """What S shadows have to be, (S, E), block by block."""

    def __init__(self, record: _Record, settings: Sequence[Setting]) -> None:
        images = record.images[1:]
        self.record = record
        self.weights = {
            "trained": np.stack([s.weights(images) for s in settings]),
            "other": np.stack([s.nontrainable_weights(images) for s in settings]),
            "integer": np.stack([s.copy_weights(images) for s in settings]),
        }
        self.average = np.repeat(record.network[:1].astype(np.float64), len(settings), 0)
        self.stalled = np.zeros_like(self.average)
        self.magnitude = np.abs(self.average[0])

    def errors(self, begin: int, end: int, shadows: NDArray[Any]) -> Floats:
        """Go on from iteration ``begin`` to ``end``, and return relative errors, (S, E)."""
        renewed = self.record.renewed
        stops = sorted({end, *(at for at in renewed if begin < at <= end)})
        for first, last in pairwise([begin, *stops]):
            self._go_on(first, last)
            if last in renewed:
                columns = renewed[last]
                self.average[:, columns] = self.record.network[last, columns]
                self.stalled[:, columns] = 0.0
        scale = np.maximum.reduceat(self.magnitude, self.record.starts)[self.record.tensor_of]
        difference = np.abs(shadows.astype(np.float64) - self.average)
        excess = np.maximum(difference - self.stalled, 0.0)
        # A tensor that has always been nought has no scale: any difference is without bound.
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(
                excess == 0, 0.0, np.nan_to_num(excess / scale, nan=np.inf, posinf=np.inf)
            )

    def _go_on(self, begin: int, end: int) -> None:
        rows: Floats = self.record.network[begin : end + 1].astype(np.float64)
        self.magnitude = np.maximum(self.magnitude, np.abs(rows).max(0))
        for kind, columns in self.record.columns.items():
            weights = self.weights[kind][:, begin:end]
            self._advance(rows[:, columns], weights, columns)

    def _advance(self, rows: Floats, weights: Floats, columns: slice) -> None:
        self.average[:, columns] = advance(self.average[:, columns], rows[1:], weights)
        # Each update rounds by at most half a unit in the last place; roundings of a weight that
        # moves cancel, those of one at rest add up.
        resting = (rows[1:] == rows[:-1]).astype(np.float64)
        unit = np.finfo(self.record.dtype).eps / 2
        kept = remaining(weights)
        rounded = (kept[:, 1:] * (weights > 0)) @ resting * (unit * self.magnitude[columns])
        self.stalled[:, columns] = kept[:, :1] * self.stalled[:, columns] + rounded


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, mode="r", shape=shape)
