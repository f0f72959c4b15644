"""What a simulated cluster costs beside its work: measured where the harness can, else assumed.

What is measured here, or was and is committed, is of the machine that ``machine.json`` describes,
which is no GPU's: the simulation varies what follows from it.
"""

import csv
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import torch

from harness.bench.finding import Finding
from harness.engine import checkpoints
from harness.launch import local
from harness.launch.progress import Display
from harness.launch.worker import Machine
from harness.plan.expand import expand
from harness.plan.keeping import Keeping
from harness.records.types import Outcome, Status
from harness.report.tabular import csv_text
from harness.report.wording import short, table
from harness.scale.workloads import DIGITS
from harness.spec.load import load

ASSUMED = "assumed"
_DAY_SEC = 86400.0
_TENSORS, _TENSOR_VALUES = 16, 2**23
_TURNS = 3
_START_SEC = 8.0
_RUNS = 40
_COMMITTED = Path("results")


@dataclass(frozen=True, slots=True)
class Constant:
    """One number of the model.

    Args:
        name: of it.
        value: in ``unit``.
        unit: of it.
        source: what measured it, the committed file it was read from, or ``assumed``.
    """

    name: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Constants(Finding):
    """Every constant."""

    constants: tuple[Constant, ...]

    @property
    def sentence(self) -> str:
        """How many were measured."""
        assumed = [one.name for one in self.constants if one.source.startswith(ASSUMED)]
        return (
            f"{len(self.constants) - len(assumed)} of {len(self.constants)} constants of the "
            f"simulated cluster are measured; assumed, and therefore varied or harmless, are "
            f"{', '.join(assumed)}."
        )

    @property
    def details(self) -> str:
        """A table of all of them."""
        rows = [[c.name, c.source, f"{short(c.value)} {c.unit}".strip()] for c in self.constants]
        return table(["constant", "from", "value"], rows, words=2)

    @property
    def values(self) -> Mapping[str, float]:
        """Values by name."""
        return {one.name: one.value for one in self.constants}

    def csv(self) -> str:
        """A line a constant."""
        names = [field.name for field in fields(Constant)]
        return csv_text(names, map(astuple, self.constants), DIGITS)


def measure(folder: Path) -> Constants:
    """Measure what can be measured here; nothing of ``folder`` is needed.

    Raises:
        RuntimeError: if a run that has nothing to train on does not fail.
    """
    gib = _TENSORS * _TENSOR_VALUES * 4 / 2**30
    write_sec, read_sec = (sec / gib for sec in _checkpoint())
    own = f"measured: a checkpoint of {gib:.3g} GiB, written and read by a run's own code"
    start, resume, spread = _start(), _resume(), _spread()
    return Constants(
        (
            Constant("write_sec_per_gib", write_sec, "s/GiB", own),
            Constant("read_sec_per_gib", read_sec, "s/GiB", own),
            Constant("start_sec", *start),
            Constant("resume_sec", *resume),
            Constant("dispatch_sec", *_dispatch()),
            Constant("length_spread", *spread),
            Constant(
                "checkpoint_every_sec", Keeping().every_sec, "s", "the default of harness run"
            ),
            Constant("gpus_per_node", 8.0, "", ASSUMED),
            Constant("mtbf_sec", 30 * _DAY_SEC, "s", f"{ASSUMED}, of a node; varied"),
            Constant("repair_sec", 3600.0, "s", ASSUMED),
        )
    )


def read(text: str) -> Constants:
    """Return what ``Constants.csv`` wrote."""
    return Constants(
        tuple(
            Constant(row["name"], float(row["value"]), row["unit"], row["source"])
            for row in csv.DictReader(io.StringIO(text))
        )
    )


def _checkpoint() -> tuple[float, float]:
    """Return the median seconds of writing a checkpoint to the disk, and of reading it."""
    tensors = {str(n): torch.full((_TENSOR_VALUES,), float(n)) for n in range(_TENSORS)}
    times = []
    with tempfile.TemporaryDirectory() as name:
        for turn in range(_TURNS):
            begin = time.perf_counter()
            checkpoints.save(Path(name), turn, {"state_dict": tensors}, 1)
            written = time.perf_counter()
            checkpoints.load(checkpoints.find(Path(name))[0])
            times.append((written - begin, time.perf_counter() - written))
    write_sec, read_sec = map(statistics.median, zip(*times, strict=True))
    return write_sec, read_sec


def _dispatch() -> tuple[float, str, str]:
    try:
        from harness.launch.ray import connected
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        return dispatch_sec(local.execute), "s", _told_of("local executor")
    with connected("local") as cluster:
        return dispatch_sec(cluster.execute), "s", _told_of("Ray executor's driver")


def _told_of(which: str) -> str:
    return f"measured: processor time of the {which}, a run, over {_RUNS} runs"


def dispatch_sec(execute: Callable[..., Mapping[str, Outcome]]) -> float:
    """Return the processor seconds of an executor's own process for one run.

    The runs have nothing to train on and end at once, so that nothing else is in the way.

    Args:
        execute: an executor's; the seconds are those that another run waits for.

    Raises:
        RuntimeError: if one of them does not fail.
    """
    overrides = ("data={type: image_folder, root: nothing}", f"seeds=[{_numbers(_RUNS)}]")
    plan = expand("dispatch", "quick", load(Path("experiments/pggan-ema.yaml"), "quick", overrides))
    display = Display(dict.fromkeys((run.name for run in plan.runs), 1.0), 2, io.StringIO())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        machine = Machine("cpu", 2, 1, folder / "cache")
        for path in ("first", "runs"):
            (folder / path).mkdir()
        execute(plan.runs[:1], folder / "first", machine, display)  # what trains them is started
        begin = time.process_time()
        outcomes = execute(plan.runs, folder / "runs", machine, display)
        sec = time.process_time() - begin
    if {one.status for one in outcomes.values()} != {Status.FAILED} or len(outcomes) != _RUNS:
        raise RuntimeError("runs without anything to train on did not all fail")
    return sec / _RUNS


def _start() -> tuple[float, str, str]:
    for path in _found("benchmarks/*/run_start.csv"):
        times = [float(row["sec"]) for row in _rows(path) if row["data"].startswith("the digits")]
        return statistics.median(times), "s", path.as_posix()
    return _START_SEC, "s", ASSUMED


def _resume() -> tuple[float, str, str]:
    for path in _found("faults/resume_cost.csv"):
        times = [float(row["read_sec"]) + float(row["first_step_sec"]) for row in _rows(path)]
        return statistics.median(times), "s", path.as_posix()
    return 0.0, "s", ASSUMED


def _spread() -> tuple[float, str, str]:
    """Return how far seeds of one level are from its median time: half of the range, typically."""
    halves = [
        (float(row["run_sec_max"]) - float(row["run_sec_min"])) / (2 * float(row["run_sec"]))
        for path in _found("*/quick/timing.csv")
        for row in _rows(path)
    ]
    if not halves:
        return 0.0, "", ASSUMED
    return statistics.median(halves), "", f"{_COMMITTED}/*/quick/timing.csv"


def _found(pattern: str) -> list[Path]:
    return sorted(_COMMITTED.glob(pattern))


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def _numbers(count: int) -> str:
    return ", ".join(map(str, range(count)))
