"""The trajectory of a network's weights and of its shadows, at a thousand fixed scalar entries.

A folder holds what ``certificate.py`` derives the averages from again:

- ``entries.json``: which entries, of which tensors, and the shadows' names;
- ``network.bin``: the network's E entries before training and after each iteration, row by row;
- ``images.bin``: images shown by then, int64, one number a row of ``network.bin``;
- ``shadows.bin``: at each check, E entries of each shadow; ``checks.bin``: its iteration, int64;
- ``renewed.jsonl``, where a network was made anew in part while it trained: ``iteration`` and the
  ``prefixes`` of the entries' names.
"""

import json
import os
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor, nn

from harness.records.files import write_atomically, writing

VERSION = 1
FILES = ("network", "images", "shadows", "checks")
RENEWED = "renewed.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """``count`` entries of one tensor, each ``step`` from the last, in the order of its memory."""

    name: str
    kind: str
    """``trained``, ``other`` (buffers and frozen parameters), or ``integer``."""
    step: int
    count: int


class Trajectory:
    """Writes a network's trajectory, and its shadows at every ``block``-th iteration or so.

    Reading an iteration is one launch, into memory of the network's device; that is written to
    disk a block at a time, so the device is not waited for at each step.

    Args:
        network: the averaged network.
        shadows: its averages by name.
        folder: where the files go.
        entries: about how many scalar entries are kept; every tensor has some.
        also: iterations done after which the shadows are checked as well.
        block: at most this many iterations pass between two checks.
    """

    def __init__(
        self,
        network: nn.Module,
        shadows: Mapping[str, nn.Module],
        folder: Path,
        also: Collection[int] = (),
        entries: int = 1000,
        block: int = 64,
    ) -> None:
        self.network = network
        self._also = frozenset(also)
        self.shadows = dict(shadows)
        self.folder = folder
        tensors = _tensors(network)
        self._orders = {name: _memory_order(tensor) for name, tensor in tensors.items()}
        self.entries = _chosen(network, tensors, entries)
        self._views = self._read(tensors)
        wide = any(view.dtype == torch.float64 for view in self._views)
        self._dtype = torch.float64 if wide else torch.float32
        size = sum(entry.count for entry in self.entries)
        self._rows = torch.empty(block, size, dtype=self._dtype, device=self._views[0].device)
        self._images: list[int] = []
        self._iteration = self._checked = 0
        self.images = 0
        """Images shown so far."""

    def begin(self, iteration: int) -> bool:
        """Start, or go on after ``iteration`` iterations; False if what came before is lost.

        Here and below:

        Raises:
            OutputError: if a file cannot be written.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._iteration, self._checked = iteration, 0
        self._images = []
        if iteration:
            with writing(self.folder):
                return self._cut_back()
        for name in FILES:
            with _opened(self._file(name), "wb"):
                pass
        with writing(self._renewed):
            self._renewed.unlink(missing_ok=True)
        described = {
            "version": VERSION,
            "dtype": str(self._dtype).removeprefix("torch."),
            "entries": [asdict(entry) for entry in self.entries],
            "shadows": list(self.shadows),
        }
        write_atomically(self.folder / "entries.json", json.dumps(described, indent=1) + "\n")
        self.images = 0
        self._keep()
        self._write()
        return True

    def observe(self, images: int, renewed: tuple[str, ...] = ()) -> None:
        """Note the network after one iteration more.

        Args:
            images: images of that iteration's batch.
            renewed: prefixes of the entries that the iteration began with anew.
        """
        self._iteration += 1
        self.images += images
        self._keep()
        if renewed:
            line = json.dumps({"iteration": self._iteration, "prefixes": renewed}) + "\n"
            with _opened(self._renewed, "ab") as file:
                file.write(line.encode())
        block = self._iteration - self._checked == len(self._rows)
        if block or renewed or self._iteration in self._also:
            self.check()

    @torch.no_grad()
    def check(self) -> None:
        """Note the shadows as well, if an iteration has passed since the last check."""
        if self._checked == self._iteration:
            return
        for view, fresh in zip(self._views, self._read(_tensors(self.network)), strict=True):
            # What was read would otherwise be a tensor that the network no longer uses.
            assert view.data_ptr() == fresh.data_ptr(), "a tensor of the network was replaced"
        self._write()
        self._checked = self._iteration
        for shadow in self.shadows.values():
            row = torch.cat([view.to(self._dtype) for view in self._read(_tensors(shadow))])
            self._append("shadows", row)
        self._append("checks", torch.tensor([self._iteration]))

    def flush(self) -> None:
        """Have all that was noted reach the disk; shadows are compared no sooner for it."""
        self._write()
        for path in self.folder.iterdir():
            with _opened(path, "ab") as file:
                os.fsync(file.fileno())

    def _keep(self) -> None:
        torch.cat(self._views, out=self._rows[len(self._images)])
        self._images.append(self.images)

    def _write(self) -> None:
        if self._images:
            self._append("network", self._rows[: len(self._images)])
            self._append("images", torch.tensor(self._images))
            self._images = []

    def _read(self, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        """Return each tensor's entries: of the network itself, views."""
        return [
            tensors[e.name].permute(self._orders[e.name]).reshape(-1)[:: e.step][: e.count]
            for e in self.entries
        ]

    def _cut_back(self) -> bool:
        """Leave only what came before this iteration; tell whether all of it is there.

        A few numbers are read, however long the files are.
        """
        if not all(self._file(name).exists() for name in FILES):
            return False
        rows = self._iteration + 1
        number = np.dtype(np.int64).itemsize
        checks = self._file("checks").stat().st_size // number
        kept = bisect_right(range(checks), self._iteration, key=partial(self._number, "checks"))
        size = self._rows.shape[1] * self._rows.element_size()
        lengths = (rows * size, rows * number, kept * size * len(self.shadows), kept * number)
        ends = dict(zip(FILES, lengths, strict=True))
        if any(self._file(name).stat().st_size < end for name, end in ends.items()):
            return False
        self.images = self._number("images", self._iteration)
        self._checked = self._number("checks", kept - 1) if kept else 0
        for name, end in ends.items():
            os.truncate(self._file(name), end)
        if self._renewed.exists():
            lines = self._renewed.read_text().splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]
            past = [line for line in whole if json.loads(line)["iteration"] <= self._iteration]
            write_atomically(self._renewed, "".join(past))
        return True

    def _number(self, name: str, index: int) -> int:
        return int(np.fromfile(self._file(name), np.int64, count=1, offset=8 * index)[0])

    def _append(self, name: str, values: Tensor) -> None:
        with _opened(self._file(name), "ab") as file:
            file.write(values.cpu().numpy().tobytes())

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.bin"

    @property
    def _renewed(self) -> Path:
        return self.folder / RENEWED


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[IO[bytes]]:
    with writing(path), path.open(mode) as file:
        yield file


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    named = dict(network.named_parameters()) | dict(network.named_buffers())
    return {name: tensor.detach() for name, tensor in named.items() if tensor.numel()}


def _chosen(network: nn.Module, tensors: Mapping[str, Tensor], about: int) -> tuple[Entry, ...]:
    """Spread the entries over all tensors, by size, and evenly over each of them."""
    trained = {name for name, value in network.named_parameters() if value.requires_grad}
    total = sum(tensor.numel() for tensor in tensors.values())
    chosen = []
    for name, tensor in tensors.items():
        size = tensor.numel()
        count = min(size, max(4, round(about * size / total)))
        # An odd step, so that entries do not all fall on one position of a kernel.
        step = max(1, size // count)
        step -= step > 1 and step % 2 == 0
        chosen.append(Entry(name, _kind(name, tensor, trained), step, count))
    # One kind after the other, so that each is a slice of a row.
    return tuple(sorted(chosen, key=lambda entry: entry.kind))


def _kind(name: str, tensor: Tensor, trained: set[str]) -> str:
    if not tensor.is_floating_point():
        return "integer"
    return "trained" if name in trained else "other"


def _memory_order(tensor: Tensor) -> list[int]:
    strides = tensor.stride()
    return sorted(range(tensor.ndim), key=lambda dim: -strides[dim])
