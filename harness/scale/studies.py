"""Which clusters are simulated, and what comes out of one."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import Any

from harness.scale.closed_forms import lower_bound_sec
from harness.scale.cluster import Cluster, Spent
from harness.scale.simulator import ORDERS, Order, simulate
from harness.scale.workloads import Kind, tasks

_DAY_SEC = 86400.0
GPUS = (64, 128, 256, 512, 1024)
PARTS = tuple(field.name for field in fields(Spent))
_SEEDS = 5
_FAILING = ("start", "lost", "down")
"""What failures cost; and starts, which are nearly all theirs."""
TITLES = {
    "gpus": "Over the number of GPUs",
    "mtbf": "Over the mean time between a node's failures",
    "interval": "Over the interval between checkpoints",
    "storage": "Over the bandwidth of the storage that all share",
    "dispatch": "Over the time that the dispatcher takes to begin a run",
}
VARIED = {
    "gpus": ("gpus", "order"),
    "mtbf": ("mtbf_days", "gpus"),
    "interval": ("mtbf_days", "checkpoint_min"),
    "storage": ("storage_gib_per_sec",),
    "dispatch": ("dispatch_sec", "gpus"),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One simulated cluster; what it does not say is as ``constants.csv`` has it.

    Args:
        study: what is varied.
        workload: of ``workloads.csv``.
        order: of runs that wait.
        gpus: of the cluster.
        mtbf_days: of a node; infinite where none fails.
        checkpoint_min: of work between two checkpoints.
        dispatch_sec: to begin one run.
        storage_gib_per_sec: of all checkpoints together.
        seed: of failures and lengths.
    """

    study: str
    workload: str
    order: Order
    gpus: int
    mtbf_days: float
    checkpoint_min: float
    dispatch_sec: float
    storage_gib_per_sec: float
    seed: int


@dataclass(frozen=True, slots=True)
class Line:
    """A setting, and what came out; shares are of GPUs times the makespan."""

    setting: Setting
    runs: int
    makespan_days: float
    bound_days: float
    failures: int
    shares: Mapping[str, float]

    @property
    def record(self) -> tuple[Any, ...]:
        """The fields of its line of CSV."""
        found = (self.runs, self.makespan_days, self.bound_days, self.failures)
        return (*astuple(self.setting), *found, *self.shares.values())

    @property
    def bounded_by(self) -> str:
        """What takes most of the time that is not useful."""
        return max(grouped(self.shares).items(), key=lambda part: part[1])[0]


def grouped(shares: Mapping[str, float]) -> dict[str, float]:
    """Return the shares of what bounds a cluster, by the names that readers are told."""
    return {
        "the last runs": shares["idle"],
        "failures": sum(shares[name] for name in _FAILING),
        "writing checkpoints": shares["checkpoint"],
        "the storage": shares["storage"],
        "the dispatcher": shares["dispatch"],
    }


def settings(held: Mapping[str, float]) -> Iterator[Setting]:
    """Yield every setting of every study."""
    usual = Setting(
        *("", "paper", "longest", 256, held["mtbf_sec"] / _DAY_SEC),
        *(held["checkpoint_every_sec"] / 60, held["dispatch_sec"], math.inf, 0),
    )
    for seed in range(_SEEDS):
        base = replace(usual, seed=seed)
        for order in ORDERS:
            yield from (replace(base, study="gpus", order=order, gpus=gpus) for gpus in GPUS)
        for days in (1.0, 3.0, 10.0, 30.0, 100.0, math.inf):
            own = replace(base, study="mtbf", mtbf_days=days)
            yield from (replace(own, gpus=gpus) for gpus in (GPUS[0], GPUS[-1]))
        for days in (1.0, 10.0, 100.0):
            own = replace(base, study="interval", mtbf_days=days)
            every = (1.0, 5.0, 15.0, 60.0, 240.0, 960.0)
            yield from (replace(own, checkpoint_min=minutes) for minutes in every)
        short = replace(base, study="dispatch", workload="short", mtbf_days=math.inf)
        for sec in (held["dispatch_sec"], 0.1, 1.0, 10.0):
            yield from (replace(short, dispatch_sec=sec, gpus=gpus) for gpus in (64, 256, 1024))
    # Every checkpoint is an event here: one seed, and an hour between two.
    stored = replace(usual, study="storage", gpus=GPUS[-1], checkpoint_min=60.0)
    yield from (replace(stored, storage_gib_per_sec=b) for b in (0.1, 0.3, 1.0))


def failing(days: float) -> str:
    """Say how often a node fails, by the mean days between."""
    if days == math.inf:
        return "no failures"
    return "a failure a day" if days == 1 else f"a failure in {days:g} days"


def simulated(setting: Setting, held: Mapping[str, float], kinds: Sequence[Kind]) -> Line:
    """Simulate one setting."""
    own = [kind for kind in kinds if kind.workload == setting.workload]
    runs = tasks(own, held["length_spread"], setting.seed)
    found = simulate(cluster(setting, held), runs, setting.order, setting.seed)
    bound = lower_bound_sec(runs, setting.gpus) / _DAY_SEC
    days = found.makespan_sec / _DAY_SEC
    return Line(setting, len(runs), days, bound, found.failures, found.spent.shares())


def cluster(setting: Setting, held: Mapping[str, float]) -> Cluster:
    """Return the cluster of a setting."""
    taken = ("repair_sec", "write_sec_per_gib", "read_sec_per_gib", "start_sec", "resume_sec")
    return Cluster(
        setting.gpus,
        gpus_per_node=int(held["gpus_per_node"]),
        mtbf_sec=setting.mtbf_days * _DAY_SEC,
        checkpoint_every_sec=60 * setting.checkpoint_min,
        storage_gib_per_sec=setting.storage_gib_per_sec,
        dispatch_sec=setting.dispatch_sec,
        **{name: held[name] for name in taken},
    )
