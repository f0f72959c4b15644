"""The harness's own speed, as ratios measured in turns in one process.

A file a question; each gives a `measure(device)` that checks both sides' results first and then
returns the pairs of times, or, where the question is how long something takes, a prediction from
measured steps. `run` writes them under results/benchmarks/<machine>/.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

from harness.errors import SpecError
from harness.records.files import write_atomically, write_json
from harness.records.machine import describe, slug

BENCHMARKS = ("ema_overhead", "certificate", "threads", "singan_schedule")


class Finding(Protocol):
    """What a benchmark answers."""

    @property
    def sentence(self) -> str:
        """The finding, in one sentence."""

    def csv(self) -> str:
        """Every measured number."""


def run(names: Sequence[str], results: Path, device: str) -> int:
    """Measure the named benchmarks (all by default), print and write them."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        raise SpecError([f"{unknown[0]!r} is not a benchmark; known: {', '.join(BENCHMARKS)}"])
    import torch

    device_name = torch.cuda.get_device_name() if device == "cuda" else ""
    machine = describe(device, device_name, torch.get_num_threads())
    folder = results / "benchmarks" / slug(machine)
    write_json(folder / "machine.json", machine)
    for name in names or BENCHMARKS:
        measure: Callable[[str], Finding] = import_module(f"harness.bench.{name}").measure
        finding = measure(device)
        print(f"{name}: {finding.sentence}", flush=True)
        write_atomically(folder / f"{name}.csv", finding.csv())
        write_atomically(folder / f"{name}.md", f"# {name}\n\n{finding.sentence}\n")
    return 0
