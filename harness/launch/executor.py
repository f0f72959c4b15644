"""Where a plan's runs are trained: on this machine, or over a cluster."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.errors import HarnessError
from harness.launch.progress import Display
from harness.launch.worker import Machine
from harness.plan.expand import Run
from harness.records.types import Outcome

if TYPE_CHECKING:
    from harness.launch.ray import Cluster


class Executor(Protocol):
    """Trains runs, one after another or many at a time; ``harness.launch.local`` is one."""

    def prepare(self, run: Run, machine: Machine) -> None:
        """Do once what every run needs, and find out whether it can be had.

        Raises:
            HarnessError: with the message of what is missing or broken.
        """

    def execute(
        self, runs: Sequence[Run], runs_dir: Path, machine: Machine, watch: Display
    ) -> dict[str, Outcome]:
        """Train all runs that have not finished; return every run's outcome by its name.

        On Ctrl-C the runs under way write a checkpoint and end as interrupted, nothing is left
        running, and KeyboardInterrupt is raised; a second one waits for no checkpoint.
        """


@contextlib.contextmanager
def on_cluster(address: str) -> Iterator["Cluster"]:
    """Join a Ray cluster, and leave it.

    Args:
        address: ``auto``, ``local`` or HOST:PORT.

    Raises:
        HarnessError: if Ray is not installed, or no such cluster answers.
    """
    try:
        from harness.launch.ray import connected
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise HarnessError(
            "--executor ray: Ray is not installed here: pip install 'gan-harness[ray]', on every "
            "machine of the cluster, or leave the option out"
        ) from None
    with connected(address) as cluster:
        yield cluster
