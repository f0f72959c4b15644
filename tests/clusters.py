"""A real Ray cluster of two nodes on this machine, and what runs on them."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'gan-harness[ray]'")

from ray.cluster_utils import Cluster as Nodes  # noqa: E402

from harness.launch import ray as harness_ray  # noqa: E402

MEMORY = 80 * 2**20
"""Bytes of a node's object store."""
QUICK = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
"""How soon a node is taken for dead: after seconds, not a minute."""


class TwoNodes:
    """Nodes ``one`` and ``two`` of a CPU each, beside a head that trains nothing."""

    def __init__(self):
        os.environ.update(harness_ray.QUIET)
        head = {"num_cpus": 0, "_system_config": QUICK, **self._settings("head")}
        self._nodes = Nodes(initialize_head=True, head_node_args=head)
        self._named = {name: self.add(name) for name in ("one", "two")}

    @property
    def address(self):
        return self._nodes.address

    def add(self, name):
        return self._nodes.add_node(num_cpus=1, **self._settings(name))

    def _settings(self, name):
        return {"node_name": name, "object_store_memory": MEMORY, "include_dashboard": False}

    def kill(self, name):
        """End a node as a power cut does: all of its processes at once."""
        raylet = self.raylet(name)
        for pid in [raylet, *below(raylet)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._nodes.remove_node(self._named.pop(name), allow_graceful=False)

    def cut_off(self, name):
        """Have a node's Ray end, and nothing of what it has started."""
        os.kill(self.raylet(name), signal.SIGKILL)
        self._nodes.remove_node(self._named.pop(name), allow_graceful=False)

    def bring_back(self, name):
        self._named[name] = self.add(name)

    def raylet(self, name):
        (started,) = self._named[name].all_processes["raylet"]
        return started.process.pid

    def trainers(self):
        """Return the processes of all nodes that train, and those that they are forked from."""
        found = [pid for name in self._named for pid in below(self.raylet(name))]
        return [pid for pid in found if b"forkserver" in command_line(pid)]

    def shutdown(self):
        self._nodes.shutdown()


def below(parent):
    """Return the processes that descend from one."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, of_parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents.setdefault(int(of_parent), []).append(int(stat.parent.name))
    found = parents.get(parent, [])
    for pid in found:
        found += parents.get(pid, [])
    return found


def command_line(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def trainer_of(folder, pids):
    """Return the process that writes a run's log."""
    for pid in pids:
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/fd/1") == str(folder / "log.txt"):
                return pid
    return None


def until(happened, within_sec=120.0):
    deadline = time.monotonic() + within_sec
    while not (answer := happened()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return answer
