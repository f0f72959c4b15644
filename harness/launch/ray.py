"""Runs over the machines of a Ray cluster: the plan, records and bits of one machine.

Ray says where a run is trained and when a node has died; there each run is the local executor's.
What holds when a node is lost, or cut off, is said in docs/pages/many-machines.md.
"""

import contextlib
import os
import secrets
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from harness.errors import HarnessError, SpecError
from harness.launch.local import outcomes
from harness.launch.progress import Display
from harness.launch.ray_sweep import Sweep, check_nodes, first_line
from harness.launch.ray_task import Demand, Site, prepare_there, train_there
from harness.launch.worker import Machine, ended
from harness.plan.expand import Run
from harness.records.files import write_atomically
from harness.records.machine import source_digest
from harness.records.types import Outcome

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_worker_niceness": "0",
    # Ray's answer to come, and the local executor's: a run on the CPU may see what it likes.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Ray's settings that are read from the environment, by whom it is started as well."""
_CONNECT_SEC = 5.0


@contextlib.contextmanager
def connected(address: str) -> Iterator["Cluster"]:
    """Join a cluster as one of its drivers, and leave it; ``local`` starts one of this machine.

    Raises:
        HarnessError: if none answers there, or it has another version of Ray or Python.
    """
    _answers(address)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    mine = signal.getsignal(signal.SIGTERM)
    alone = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error", **alone)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise HarnessError(
            f"--address {address}: no Ray cluster can be joined there ({reason}): start one with "
            "`ray start --head`, or give --address local or HOST:PORT"
        ) from None
    try:
        signal.signal(signal.SIGTERM, mine)  # Ray has put its own there
        yield Cluster()
    finally:
        ray.shutdown()


def _answers(address: str) -> None:
    """Find out at once whether something listens, which Ray would wait long for."""
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise SpecError([f"--address {address}: is not auto, local or HOST:PORT"])
    try:
        socket.create_connection((host, int(port)), _CONNECT_SEC).close()
    except OSError as error:
        raise HarnessError(
            f"--address {address}: nothing answers there ({error.strerror or error}): give the "
            "address that `ray start --head` said"
        ) from None


@dataclass
class Cluster:
    """The cluster that this process has joined.

    Args:
        url: where runs are mirrored to; empty if all nodes share the runs' folder.
        memory_gib: that a run takes; None where that is not known.
        most: runs at a time; None for as many as there is room for.
    """

    url: str = ""
    memory_gib: float | None = None
    most: int | None = None

    def threads(self, device: str) -> int:
        """Return the threads of a run: one, or on GPUs what lets all of a node be used."""
        shares = [have["CPU"] // have["GPU"] for have in _resources() if have.get("GPU", 0) >= 1]
        return max(1, int(min(shares, default=1))) if device == "cuda" else 1

    def places(self, device: str, threads: int) -> int:
        """Return how many runs the cluster trains at a time.

        Raises:
            HarnessError: if no node has room for one.
        """
        demand, nodes = self._demand(device, threads), _resources()
        total = sum(demand.room(have) for have in nodes)
        if not total:
            most = {
                key: max(have.get(key, 0) for have in nodes) for key in ("CPU", "GPU", "memory")
            }
            memory = f", memory {demand.memory_gib:.1f} GiB" if demand.memory_gib else ""
            raise HarnessError(
                f"no node of the cluster has room for a run: it takes CPU {threads}, "
                f"GPU {demand.gpus:g}{memory}, and nodes have at most CPU {most['CPU']:g}, "
                f"GPU {most['GPU']:g}, memory {most['memory'] / 2**30:.1f} GiB: add a node, or "
                "choose another --device"
            )
        return min(total, self.most or total)

    def prepare(self, run: Run, machine: Machine) -> None:
        """Do once, on a node, what every run needs, and find out whether it can be had.

        Raises:
            HarnessError: with the message of what is missing or broken.
        """
        site = self._site(machine, Path())
        task = self._task(prepare_there, site.demand, "prepare")
        try:
            problem = ray.get(task.remote(run, machine, site))
        except ray.exceptions.RayError as error:
            problem = f"preparing the data was lost with its node ({first_line(error)})"
        if problem:
            raise HarnessError(*problem.split("\n"))

    def execute(
        self, runs: Sequence[Run], runs_dir: Path, machine: Machine, watch: Display
    ) -> dict[str, Outcome]:
        """Train all runs that have not finished; return every run's outcome by its name.

        As the local executor does; a run whose node is lost goes on elsewhere.

        Raises:
            HarnessError: if a node does not see ``runs_dir``, or has another version of this.
        """
        waiting = deque(run for run in runs if not ended(runs_dir / run.name))
        if not waiting:
            return dict(outcomes(runs, runs_dir))
        with _marked(runs_dir) as marker:
            site = self._site(machine, runs_dir, marker)
            check_nodes(site)
            task = self._task(train_there, site.demand, "train")
            sweep = Sweep(waiting, task, machine, site, watch, self.most or len(runs))
            try:
                sweep.run()
            finally:
                sweep.stop()  # nothing is left unless Ctrl-C or an error came in between
        return dict(outcomes(runs, runs_dir)) | sweep.ends

    def _site(self, machine: Machine, runs_dir: Path, marker: str = "") -> Site:
        demand = self._demand(machine.device, machine.threads)
        return Site(demand, os.getcwd(), runs_dir.absolute(), marker, source_digest(), self.url)

    def _demand(self, device: str, threads: int) -> Demand:
        return Demand(threads, int(device == "cuda"), self.memory_gib)

    def _task(self, function: Callable[..., Any], demand: Demand, name: str) -> Any:
        # A process keeps the GPU that it saw first. Retries are the sweep's own.
        calls = 1 if demand.gpus else 0
        task = ray.remote(max_calls=calls, max_retries=0, scheduling_strategy="SPREAD")(function)
        return task.options(name=name, **demand.options())


def _resources() -> list[Mapping[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


@contextlib.contextmanager
def _marked(runs_dir: Path) -> Iterator[str]:
    """Inside, the folder holds a file that no other folder does."""
    name = f".ray-{secrets.token_hex(8)}"
    write_atomically(runs_dir / name, "")
    try:
        yield name
    finally:
        (runs_dir / name).unlink(missing_ok=True)
