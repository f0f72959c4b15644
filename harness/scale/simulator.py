"""A cluster that trains many runs, event by event; docs/pages/scale.md states the model."""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Literal

from harness.scale.cluster import Cluster, Simulated, Spent
from harness.scale.workloads import Task

Order = Literal["plan", "longest"]
"""In which runs that wait are begun: as the plan has them, or what has the most left first."""
ORDERS: tuple[Order, ...] = ("plan", "longest")
_FREE, _HELD, _DOWN = range(3)
_START, _WORK, _WRITE = range(3)


class _Run:
    """Where a run stands.

    Attributes:
        kept: checkpoints written.
        attempt: counts its failures, so that what was to come of an earlier attempt is known.
        phase: what it does, since ``begin``.
    """

    __slots__ = ("attempt", "begin", "kept", "number", "phase", "place", "segments", "task")

    def __init__(self, number: int, task: Task, every_sec: float) -> None:
        self.number, self.task = number, task
        self.segments = max(1, math.ceil(task.work_sec / every_sec))
        self.kept = self.attempt = 0
        self.phase, self.begin, self.place = _START, 0.0, -1


def simulate(
    cluster: Cluster, tasks: Sequence[Task], order: Order = "plan", seed: int = 0
) -> Simulated:
    """Train all tasks, and say where the GPUs' time went.

    Args:
        cluster: with at least one GPU.
        tasks: in the plan's order.
        order: of runs that wait; one that failed waits again, with what is left of it.
        seed: of the failures; each node has a stream of its own, whatever the runs.
    """
    return _Simulation(cluster, tasks, order, seed).run()


class _Simulation:
    def __init__(self, cluster: Cluster, tasks: Sequence[Task], order: Order, seed: int) -> None:
        self.cluster, self.order = cluster, order
        per_node = cluster.gpus_per_node
        self.nodes = [
            range(first, min(first + per_node, cluster.gpus))
            for first in range(0, cluster.gpus, per_node)
        ]
        self.streams = [random.Random(f"node {n} of {seed}") for n in range(len(self.nodes))]
        self.now = self.since = self.storage_free = 0.0
        self.serial = itertools.count()
        self.events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.holders: list[_Run | int] = [_FREE] * cluster.gpus
        self.places = [*range(cluster.gpus)]
        """A heap of GPUs that may be free; each that is free is in it."""
        self.free, self.held, self.down = cluster.gpus, 0, 0
        self.dispatching = False
        self.queue: list[tuple[float, int, _Run]] = []
        for number, task in enumerate(tasks):
            self._wait(_Run(number, task, cluster.checkpoint_every_sec))
        self.left, self.failures, self.spent = len(tasks), 0, Spent()

    def run(self) -> Simulated:
        for node in range(len(self.nodes)):
            self._await_failure(node)
        self._dispatch()
        while self.left:
            self.now, _, act, given = heapq.heappop(self.events)
            act(*given)
        return Simulated(self.now, self.spent, self.failures)

    def _at(self, delay: float, act: Callable[..., None], *given: Any) -> None:
        heapq.heappush(self.events, (self.now + delay, next(self.serial), act, given))

    def _account(self) -> None:
        """Book the time of GPUs that train nothing, before their number changes."""
        passed, self.since = self.now - self.since, self.now
        wanted = min(self.free, len(self.queue))
        self.spent.dispatch += passed * (wanted + self.held)
        self.spent.idle += passed * (self.free - wanted)
        self.spent.down += passed * self.down

    def _wait(self, run: _Run) -> None:
        left = run.task.predicted_sec
        if run.kept:
            left -= run.kept * self.cluster.checkpoint_every_sec
        first = -left if self.order == "longest" else 0.0
        heapq.heappush(self.queue, (first, run.number, run))

    def _dispatch(self) -> None:
        if self.dispatching or not self.queue or not self.free:
            return
        *_, run = heapq.heappop(self.queue)
        place = heapq.heappop(self.places)
        while self.holders[place] != _FREE:  # taken, or down, since it was put there
            place = heapq.heappop(self.places)
        self.dispatching, self.holders[place] = True, _HELD
        self.free, self.held = self.free - 1, 1
        self._at(self.cluster.dispatch_sec, self._dispatched, run, place)

    def _dispatched(self, run: _Run, place: int) -> None:
        self._account()
        self.dispatching = False
        if self.holders[place] == _HELD:
            self.held, self.holders[place], run.place = 0, run, place
            cluster = self.cluster
            sec = cluster.start_sec
            if run.kept:
                sec += cluster.resume_sec + run.task.checkpoint_gib * cluster.read_sec_per_gib
            self._enter(run, _START, sec)
        else:  # the node failed meanwhile
            self._wait(run)
        self._dispatch()

    def _enter(self, run: _Run, phase: int, sec: float) -> None:
        run.phase, run.begin = phase, self.now
        self._at(sec, self._passed, run, run.attempt)

    def _passed(self, run: _Run, attempt: int) -> None:
        """End a phase, unless a failure has."""
        if run.attempt != attempt:
            return
        sec, spent, every = self.now - run.begin, self.spent, self.cluster.checkpoint_every_sec
        if run.phase == _START:
            spent.start += sec
        elif run.phase == _WRITE:
            own = self._write_sec(run)
            spent.useful += every
            spent.checkpoint += own
            spent.storage += sec - own
            run.kept += 1
        else:
            between = (run.segments - run.kept - 1) * self._write_sec(run) if self._alone else 0.0
            if self._alone or run.kept == run.segments - 1:
                spent.useful += sec - between
                spent.checkpoint += between
                self._finish(run)
            else:
                self._write(run)
            return
        self._work(run)

    @property
    def _alone(self) -> bool:
        """Whether runs never wait for each other at the storage, so that each is one long phase."""
        return self.cluster.storage_gib_per_sec == math.inf

    def _write_sec(self, run: _Run) -> float:
        return run.task.checkpoint_gib * self.cluster.write_sec_per_gib

    def _work(self, run: _Run) -> None:
        every, more = self.cluster.checkpoint_every_sec, run.segments - run.kept - 1
        if more and not self._alone:
            return self._enter(run, _WORK, every)
        done = run.kept * every if run.kept else 0.0
        writing = more * self._write_sec(run) if more else 0.0
        return self._enter(run, _WORK, run.task.work_sec - done + writing)

    def _write(self, run: _Run) -> None:
        takes = run.task.checkpoint_gib / self.cluster.storage_gib_per_sec
        self.storage_free = max(self.now, self.storage_free) + takes
        self._enter(run, _WRITE, max(self._write_sec(run), self.storage_free - self.now))

    def _finish(self, run: _Run) -> None:
        self._account()
        self.holders[run.place] = _FREE
        heapq.heappush(self.places, run.place)
        self.free += 1
        self.left -= 1
        self._dispatch()

    def _await_failure(self, node: int) -> None:
        if self.cluster.mtbf_sec < math.inf:
            self._at(self.streams[node].expovariate(1 / self.cluster.mtbf_sec), self._fail, node)

    def _fail(self, node: int) -> None:
        self._account()
        self.failures += 1
        for place in self.nodes[node]:
            holder = self.holders[place]
            if isinstance(holder, _Run):
                self._lose(holder)
            elif holder == _HELD:
                self.held = 0
            else:
                self.free -= 1
            self.holders[place] = _DOWN
        self.down += len(self.nodes[node])
        self._at(self.cluster.repair_sec, self._back, node)
        self._dispatch()

    def _lose(self, run: _Run) -> None:
        """Take a run back to its newest checkpoint."""
        sec, every, write = self.now - run.begin, self.cluster.checkpoint_every_sec, 0.0
        if run.phase == _WRITE:
            sec += every
        elif run.phase == _WORK and self._alone and run.segments - run.kept > 1:
            write = self._write_sec(run)
            cycles = min(int(sec / (every + write)), run.segments - run.kept - 1)
            self.spent.useful += cycles * every
            self.spent.checkpoint += cycles * write
            sec -= cycles * (every + write)
            run.kept += cycles
        self.spent.lost += sec
        run.attempt += 1
        self._wait(run)

    def _back(self, node: int) -> None:
        self._account()
        for place in self.nodes[node]:
            self.holders[place] = _FREE
            heapq.heappush(self.places, place)
        self.down -= len(self.nodes[node])
        self.free += len(self.nodes[node])
        self._await_failure(node)
        self._dispatch()
