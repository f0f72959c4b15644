"""What a cluster is, and where the time of its GPUs goes."""

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Cluster:
    """GPUs, what they cost beside the work, and what fails.

    Args:
        gpus: of all nodes; a run has one.
        gpus_per_node: that fail together.
        mtbf_sec: mean of the exponential time from a node's repair to its next failure.
        repair_sec: from a failure until the node is back.
        checkpoint_every_sec: of work between two checkpoints of a run.
        write_sec_per_gib: for which a run stands still at a checkpoint, its storage idle.
        read_sec_per_gib: of a checkpoint, when a run goes on.
        storage_gib_per_sec: written by all runs together, one checkpoint after another.
        start_sec: of a run's process until its first step.
        resume_sec: that a start takes longer where it goes on, beside reading.
        dispatch_sec: of the one dispatcher, to begin one run.
    """

    gpus: int
    gpus_per_node: int = 8
    mtbf_sec: float = math.inf
    repair_sec: float = 0.0
    checkpoint_every_sec: float = math.inf
    write_sec_per_gib: float = 0.0
    read_sec_per_gib: float = 0.0
    storage_gib_per_sec: float = math.inf
    start_sec: float = 0.0
    resume_sec: float = 0.0
    dispatch_sec: float = 0.0


@dataclass(slots=True)
class Spent:
    """Where GPU seconds went; together they are GPUs times the makespan.

    Args:
        useful: work that was kept.
        checkpoint: standing still to write one.
        storage: waiting there for the storage.
        start: starts, and reading checkpoints.
        lost: work, starts and writing that a failure made void.
        down: under repair.
        dispatch: free while a run waits for the dispatcher.
        idle: free while no run waits: the tail of the last runs.
    """

    useful: float = 0.0
    checkpoint: float = 0.0
    storage: float = 0.0
    start: float = 0.0
    lost: float = 0.0
    down: float = 0.0
    dispatch: float = 0.0
    idle: float = 0.0

    def shares(self) -> dict[str, float]:
        """Return each part of the whole, in [0, 1]."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        total = sum(parts.values())
        return {name: value / total for name, value in parts.items()}


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulation's end: seconds until the last run was done, where they went, nodes failed."""

    makespan_sec: float
    spent: Spent
    failures: int
