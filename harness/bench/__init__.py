"""The harness's own speed, as ratios measured in turns in one process.

A file a question; each gives a `measure(device)` that checks both sides' results first and then
returns the pairs of times. `run` writes them under results/benchmarks/<machine>/.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from harness.bench.timing import Comparison
from harness.errors import SpecError
from harness.records.machine import describe, slug
from harness.records.store import write_atomically, write_json

BENCHMARKS = ("ema_overhead", "certificate", "threads")


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
        measure: Callable[[str], Comparison] = import_module(f"harness.bench.{name}").measure
        comparison = measure(device)
        print(f"{name}: {comparison.sentence}", flush=True)
        write_atomically(folder / f"{name}.csv", comparison.csv())
        write_atomically(folder / f"{name}.md", f"# {name}\n\n{comparison.sentence}\n")
    return 0
