"""Certificates: that a shadow was, all through a run, the average that its setting states."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.ema.closed_form import Floats, Setting, advance

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

    Args:
        folder: what ``Trajectory`` wrote.
        settings: what each shadow was asked to be; all of them start from the network's weights
            before training.

    Raises:
        KeyError: if a shadow is not among those in the folder.
        ValueError: for a setting without a closed form.
    """
    record = _Record(folder)
    return {name: _certificate(record, name, setting) for name, setting in settings.items()}


class _Record:
    """A trajectory's files, mapped."""

    def __init__(self, folder: Path) -> None:
        described = json.loads((folder / "entries.json").read_text())
        entries: list[dict[str, Any]] = described["entries"]
        counts = [entry["count"] for entry in entries]
        self.tensors = [entry["name"] for entry in entries]
        self.starts = np.cumsum([0, *counts[:-1]])
        self.tensor_of = np.repeat(np.arange(len(entries)), counts)
        kinds = np.repeat([entry["kind"] for entry in entries], counts)
        self.columns = {kind: np.flatnonzero(kinds == kind) for kind in sorted(set(kinds))}
        self.shadows = list(described["shadows"])
        dtype = np.dtype(described["dtype"])
        width = sum(counts)
        self.images = np.fromfile(folder / "images.bin", np.int64)
        self.checks = np.fromfile(folder / "checks.bin", np.int64)
        self.network = _mapped(folder / "network.bin", dtype, (len(self.images), width))
        shape = (len(self.checks), len(self.shadows), width)
        self.averages = _mapped(folder / "shadows.bin", dtype, shape)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield the iterations between one check and the next."""
        bounds = [0, *self.checks.tolist()]
        yield from pairwise(bounds)


def _certificate(record: _Record, name: str, setting: Setting) -> Certificate:
    which = record.shadows.index(name) if name in record.shadows else None
    if which is None:
        raise KeyError(f"no shadow {name!r} was recorded; there are: {', '.join(record.shadows)}")
    images = record.images[1:]
    weights = {
        "trained": setting.weights(images),
        "other": setting.nontrainable_weights(images),
        "integer": setting.copy_weights(images),
    }
    average: Floats = record.network[0].astype(np.float64)
    magnitude = np.abs(average)
    worst = Certificate(0.0, "", 0, len(record.checks))
    for check, (begin, end) in enumerate(record.blocks()):
        rows: Floats = record.network[begin + 1 : end + 1].astype(np.float64)
        for kind, columns in record.columns.items():
            average[columns] = advance(average[columns], rows[:, columns], weights[kind][begin:end])
        magnitude = np.maximum(magnitude, np.abs(rows).max(0))
        errors = _errors(record, record.averages[check, which], average, magnitude)
        at = int(errors.argmax())
        if errors[at] > worst.error:
            tensor = record.tensors[record.tensor_of[at]]
            worst = Certificate(float(errors[at]), tensor, end, len(record.checks))
    return worst


def _errors(record: _Record, shadow: Floats, average: Floats, magnitude: Floats) -> Floats:
    largest = np.maximum.reduceat(magnitude, record.starts)[record.tensor_of]
    difference = np.abs(shadow.astype(np.float64) - average)
    # A tensor that has always been nought has no scale: any difference in it is without bound.
    scaled = np.divide(difference, largest, where=largest > 0, out=np.full_like(average, np.inf))
    return np.where(difference == 0, 0.0, np.where(np.isfinite(scaled), scaled, np.inf))


def _mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, mode="r", shape=shape)
