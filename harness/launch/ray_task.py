"""One run on one node of a Ray cluster: the local executor there, which tells of it here."""

import contextlib
import hashlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import ray
from filelock import FileLock

from harness.errors import HarnessError
from harness.interrupts import GRACE_SEC
from harness.launch import local
from harness.launch.local import Running
from harness.launch.mirror import Mirror
from harness.launch.progress import Latest
from harness.launch.worker import Machine
from harness.plan.expand import Run
from harness.records.machine import source_digest
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status

_TELL_SEC = 1.0
_PATIENCE_SEC = 30.0
SEEN_SEC = 30.0
"""How long a file that was made on another machine may take to be seen: disks keep caches."""


class Order(IntEnum):
    """What the driver wants of all tasks; none is taken back."""

    GO = 0
    STOP = 1
    """Write checkpoints and end."""
    KILL = 2
    """End."""


@dataclass(frozen=True)
class News:
    """How a run stands, as its task tells."""

    node: str
    waiting: bool = False
    latest: Latest | None = None


class Desk:
    """An actor beside the driver: there tasks tell how their runs stand, and hear what to do."""

    def __init__(self) -> None:
        self._news: dict[str, News] = {}
        self._order = Order.GO

    def tell(self, name: str, news: News) -> Order:
        """Take what a run's task tells; return what is wanted of it."""
        self._news[name] = news
        return self._order

    def hear(self, order: Order) -> Mapping[str, News]:
        """Return what is new by the runs' names; tasks hear of the order from now on."""
        self._order = max(self._order, order)
        news, self._news = self._news, {}
        return news


@dataclass(frozen=True)
class Demand:
    """What a run asks of its node.

    Args:
        threads: CPUs.
        gpus: whole ones.
        memory_gib: None for no claim.
    """

    threads: int
    gpus: int = 0
    memory_gib: float | None = None

    def room(self, resources: Mapping[str, float]) -> int:
        """Return how many such runs a node takes at a time."""
        asked = {"CPU": self.threads, "GPU": self.gpus, "memory": self._bytes}
        return int(min(resources.get(name, 0) // much for name, much in asked.items() if much))

    def options(self) -> dict[str, Any]:
        """Return the same as Ray's options of a task."""
        memory = {"memory": self._bytes} if self._bytes else {}
        return {"num_cpus": self.threads, "num_gpus": self.gpus, **memory}

    @property
    def _bytes(self) -> int:
        return round((self.memory_gib or 0) * 2**30)


@dataclass(frozen=True)
class Site:
    """What a node has to share with the driver.

    Args:
        demand: what each run asks of it.
        cwd: the driver's folder, which a spec's relative paths start from.
        runs_dir: the runs' folder.
        marker: the name of a file in it that the driver has just made.
        source: digest of the harness's source.
        url: where runs are mirrored to; empty if all nodes see ``runs_dir``.
    """

    demand: Demand
    cwd: str
    runs_dir: Path
    marker: str
    source: str
    url: str = ""


def unfit(site: Site) -> str:
    """Say why this node cannot train the driver's runs; empty if it can."""
    if source_digest() != site.source:
        return (
            f"node {node_name()} has another gan-harness than this machine: install the same "
            "version on all nodes"
        )
    deadline = time.monotonic() + SEEN_SEC
    while not site.url and not (site.runs_dir / site.marker).exists():
        if time.monotonic() > deadline:
            return (
                f"node {node_name()} does not see this machine's {site.runs_dir}: choose a folder "
                "that all nodes share, or a URL, with --runs"
            )
        time.sleep(0.2)
    return ""


def prepare_there(run: Run, machine: Machine, site: Site) -> str:
    """Prepare here what every run needs; return the message of what is missing, or nothing."""
    with _as_at_home(site):
        try:
            local.prepare(run, machine)
        except HarnessError as error:
            return str(error)
    return ""


def train_there(run: Run, machine: Machine, site: Site, desk: Any) -> Outcome | str | None:
    """Train one run here.

    Returns:
        How it ended; None where it was not begun, as the end of all was asked for; or a text that
        says why this node cannot train it.
    """
    if reason := unfit(site):
        return reason
    jobs = max(1, site.demand.room(_node()["Resources"]))
    machine = replace(machine, jobs=jobs, node=node_name())
    line = Line(desk, run.name, machine.node)
    if line.ask() is not Order.GO:
        return None
    with _as_at_home(site), line:
        if site.url:
            return _mirrored(run, machine, site.url, line)
        return _trained(run, site.runs_dir, machine, line)


def node_name() -> str:
    """Return this node's name: that of ``ray start --node-name``, or else the machine's."""
    node = _node()
    given = node.get("NodeName") or node["NodeManagerAddress"]
    return str(node["NodeManagerHostname"] if given == node["NodeManagerAddress"] else given)


def _node() -> Mapping[str, Any]:
    here = ray.get_runtime_context().get_node_id()
    return next(node for node in ray.nodes() if node["NodeID"] == here)


class Line:
    """What a task tells the driver of its run once a second, and hears of it in answer."""

    def __init__(self, desk: Any, name: str, node: str) -> None:
        self._desk, self._name = desk, name
        self._news = News(node)
        self._latest = Latest()
        self._order = Order.GO
        self._pid = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)

    def __enter__(self) -> "Line":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.ask()  # a short run has told of nothing but its beginning

    def __call__(self, active: Sequence[Running]) -> None:
        """Note how the run stands.

        Raises:
            KeyboardInterrupt: if it is to end.
        """
        if self._order is not Order.GO:
            raise KeyboardInterrupt
        for one in active:
            self._pid = one.process.pid or 0
            self._latest.read(one)
            self._news = replace(self._news, waiting=one.waiting, latest=replace(self._latest))

    def ask(self) -> Order:
        """Tell how the run stands; return what is wanted."""
        try:
            answer = self._desk.tell.remote(self._name, self._news)
            return Order(ray.get(answer, timeout=_PATIENCE_SEC))
        except ray.exceptions.GetTimeoutError:
            return self._order
        except ray.exceptions.RayError:  # the driver has gone, and its desk with it
            return Order.STOP

    def _talk(self) -> None:
        while not self._over.wait(_TELL_SEC):
            self._order = max(self._order, self.ask())
            if self._order is Order.KILL and self._pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)


def _trained(
    run: Run, runs_dir: Path, machine: Machine, watch: Callable[[list[Running]], None]
) -> Outcome | None:
    try:
        return local.execute([run], runs_dir, machine, watch).get(run.name)
    except KeyboardInterrupt:
        return RunFolder(runs_dir / run.name).outcome()


def _mirrored(run: Run, machine: Machine, url: str, line: Line) -> Outcome | str | None:
    """Train in a folder of this machine's own, and mirror that; the rest is ``train_there``'s."""
    scratch = machine.cache_dir / "scratch" / hashlib.sha256(url.encode()).hexdigest()[:16]
    folder = scratch / run.name
    folder.mkdir(parents=True, exist_ok=True)
    mirror = Mirror(url, folder)

    def watch(active: list[Running]) -> None:
        line(active)
        mirror.keep_up()

    try:
        with FileLock(scratch / f"{run.name}.lock"):
            before = RunFolder(folder)
            if not before.lock(GRACE_SEC):  # a process whose task was lost trains here still
                return "a process of an earlier task does not end"
            before.unlock()
            mirror.fetch()
            outcome = _trained(run, scratch, machine, watch)
            mirror.push()
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        reason = f"{url} cannot be read or written from node {machine.node} ({error})"
        return Outcome(Status.FAILED, reason)
    return outcome


@contextlib.contextmanager
def _as_at_home(site: Site) -> Iterator[None]:
    """Inside, what starts runs is as in the driver's own process.

    Ray sets one thread a CPU; and a process forked from this one would first import what Ray's
    worker ran, as it would the user's own program.
    """
    main = sys.modules["__main__"]
    program = vars(main).pop("__file__", None)
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        with contextlib.chdir(site.cwd if os.path.isdir(site.cwd) else "."):
            yield
    finally:
        if program is not None:
            vars(main)["__file__"] = program
