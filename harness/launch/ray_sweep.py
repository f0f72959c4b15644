"""All runs of one execution over a cluster: those that wait, and a task for each under way."""

import contextlib
import os
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.errors import HarnessError, OutputError
from harness.interrupts import GRACE_SEC
from harness.launch import mirror
from harness.launch.progress import Display, Far, Latest
from harness.launch.ray_task import SEEN_SEC, Desk, Order, Site, unfit
from harness.launch.worker import Machine, ended
from harness.plan.expand import Run
from harness.records.types import Outcome, Status

_POLL_SEC = 0.5
_PATIENCE_SEC = 30.0
_SLACK_SEC = 15.0
"""More than a run's own time to end, for the task around it."""
_KILL_SEC = 10.0
_LOSSES = 3
"""How often what trains a run may be lost before the run is given up."""


@dataclass
class Sweep:
    """Runs that are trained as tasks, until each has ended or was given up.

    Args:
        waiting: runs that have no task yet.
        task: what trains one, with what it asks of its node.
        machine: how each is trained.
        site: what nodes share with this process.
        display: shows how they stand.
        most: tasks at a time.
    """

    waiting: deque[Run]
    task: Any
    machine: Machine
    site: Site
    display: Display
    most: int
    ends: dict[str, Outcome] = field(default_factory=dict)
    """How runs ended, by their names."""
    _tasks: dict[Any, Far] = field(default_factory=dict)
    _lost: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        here = ray.get_runtime_context().get_node_id()
        beside = NodeAffinitySchedulingStrategy(here, soft=False)
        settings = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        self._desk = ray.remote(Desk).options(scheduling_strategy=beside, **settings).remote()

    def run(self) -> None:
        """Train them all."""
        while self.waiting or self._tasks:
            while self.waiting and len(self._tasks) < self.most:
                run = self.waiting.popleft()
                begun = self.task.remote(run, self.machine, self.site, self._desk)
                self._tasks[begun] = Far(run)
            ready = self._ready()
            self._hear(Order.GO)
            self.display([far for far in self._tasks.values() if far.node])
            for task in ready:
                self._settle(task, self._tasks.pop(task))
        self._see()

    def stop(self) -> None:
        """Have what is left write a checkpoint and end; a Ctrl-C meanwhile waits for nothing."""
        for task, far in self._tasks.items():
            if not far.node:
                ray.cancel(task)  # of a queue, mostly; one that has just begun ends as well
        try:
            self._end(Order.STOP, GRACE_SEC + _SLACK_SEC)
        except KeyboardInterrupt:
            self._end(Order.KILL, _KILL_SEC)
        finally:
            for task in self._tasks:
                ray.cancel(task, force=True)

    def _end(self, order: Order, within_sec: float) -> None:
        deadline = time.monotonic() + within_sec
        while self._tasks and time.monotonic() < deadline:
            self._hear(order)
            for task in self._ready():
                del self._tasks[task]

    def _ready(self) -> list[Any]:
        return ray.wait([*self._tasks], num_returns=len(self._tasks), timeout=_POLL_SEC)[0]

    def _hear(self, order: Order) -> None:
        try:
            news = ray.get(self._desk.hear.remote(order), timeout=_PATIENCE_SEC)
        except ray.exceptions.RayError:  # it is started anew, and told all again
            return
        for far in self._tasks.values():
            told = news.get(far.run.name)
            if told is None:
                continue
            if not far.node:
                far.since = time.monotonic()
            far.node, far.waiting, far.latest = told.node, told.waiting, told.latest or Latest()

    def _settle(self, task: Any, far: Far) -> None:
        """See to a task that has ended: its run has, too, or goes on in another one."""
        try:
            end = ray.get(task)
        except ray.exceptions.RayTaskError as error:  # a defect
            text = f"{type(error.cause).__name__}: {error.cause}"
            self._note(far.run, Outcome(Status.FAILED, text))
        except ray.exceptions.RayError as error:
            self._try_again(far, f"its node or process was lost ({first_line(error)})")
        else:
            if isinstance(end, Outcome) and end.status is not Status.INTERRUPTED:
                self._note(far.run, self._brought(far.run, end))
            else:
                self._try_again(far, end if isinstance(end, str) else "it was interrupted")

    def _try_again(self, far: Far, reason: str) -> None:
        run, where = far.run, f" on {far.node}" if far.node else ""
        self._lost[run.name] += 1
        if self._lost[run.name] > _LOSSES:
            text = f"lost {self._lost[run.name]} times, at last{where}: {reason}"
            self._note(run, Outcome(Status.FAILED, text))
            return
        self.display.note(f"  {run.name}{where}: {reason}; it goes on elsewhere")
        self.waiting.append(run)

    def _note(self, run: Run, end: Outcome) -> None:
        self.ends[run.name] = end
        if end.status is not Status.FINISHED:
            self.display.note(f"  {run.name}: {end.status.value} ({end.reason})")

    def _brought(self, run: Run, end: Outcome) -> Outcome:
        """Have a run's records here, where they are elsewhere."""
        try:
            if self.site.url:
                mirror.bring(self.site.url, [run.name], self.site.runs_dir)
        except OutputError as error:
            return Outcome(Status.FAILED, str(error), end.iteration, end.sec)
        return end

    def _see(self) -> None:
        """Wait until this machine sees what others have written; disks keep caches."""
        deadline = time.monotonic() + SEEN_SEC
        for name, end in self.ends.items():
            path = self.site.runs_dir / name
            while end.status in (Status.FINISHED, Status.DIVERGED) and not ended(path):
                if time.monotonic() > deadline:
                    return
                with contextlib.suppress(OSError):
                    os.listdir(path)  # which asks the disk anew
                time.sleep(_POLL_SEC)


def check_nodes(site: Site) -> None:
    """Have every node that has room for a run say whether it can train it.

    Raises:
        HarnessError: with a line for each that cannot.
    """
    asked = {}
    for node in ray.nodes():
        if site.demand.room(node["Resources"]):
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(unfit)
            asked[task.remote(site)] = node["NodeManagerHostname"]
    problems = [_answer(task, name) for task, name in asked.items()]
    if any(problems):
        raise HarnessError(*filter(None, problems))


def _answer(task: Any, name: str) -> str:
    try:
        return str(ray.get(task))
    except ray.exceptions.RayTaskError as error:
        cause = f"{type(error.cause).__name__}: {error.cause}"
        return f"node {name} cannot train: install gan-harness[ray] there ({cause})"
    except ray.exceptions.RayError:  # it has gone: nothing is trained there
        return ""


def first_line(error: Exception) -> str:
    """Return the first line of a message, or else the error's kind."""
    return next(filter(None, str(error).splitlines()), type(error).__name__)
