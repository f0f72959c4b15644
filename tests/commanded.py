"""`harness run` as a user starts it: processes of their own, and what they leave behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness.records.store import RunFolder

PATIENCE_SEC = 120
ROOT = Path(__file__).parents[1]


class Command:
    """A command in a process group of its own, its output kept in files.

    ``troubles``: orders for its workers, see ``troubled``; ``asks``: what is asked of it;
    ``starter``: the module of Python that starts it, with its arguments.
    """

    def __init__(
        self,
        folder,
        *arguments,
        troubles=None,
        asks=("run", "question.yaml", "--jobs", "2"),
        starter=(),
    ):
        self.runs = folder / "runs" / "question" / "quick"
        self._files = [folder / f"output-{time.monotonic_ns()}-{name}" for name in ("out", "err")]
        program = [*starter, "-m", "harness"]
        if troubles is not None:
            program = [str(Path(__file__).with_name("troubled_harness.py")), str(troubles)]
        with self._files[0].open("w") as out, self._files[1].open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, *program, *asks, *arguments],
                cwd=folder,
                env={**os.environ, "HARNESS_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)},
                stdout=out,
                stderr=err,
                start_new_session=True,
                # Python takes no Ctrl-C where the shell that runs the tests ignores it.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    @property
    def out(self):
        return self._files[0].read_text()

    @property
    def err(self):
        return self._files[1].read_text()

    def own_lines(self):
        """Return what it told the user of an error, without the progress."""
        return [line for line in self.err.splitlines() if not line.startswith("  ")]

    def to_group(self, number):
        """Send a signal as a terminal does: to everyone."""
        os.killpg(self.process.pid, number)

    def wait(self):
        return self.process.wait(PATIENCE_SEC)

    def end(self):
        """Kill what is left of it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def left_over(self):
        """Return processes of its group that still run after a moment."""
        for _ in range(300):
            running = group(self.process.pid)
            if not running:
                return []
            time.sleep(0.1)
        return running


def group(number):
    """Return the processes of a group, but for those that only wait to be buried."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == number and state != "Z":
                found.append(int(stat.parent.name))
    return found


def until(happened, *commands):
    """Wait until something has happened; fail if a command ends before that."""
    deadline = time.monotonic() + PATIENCE_SEC
    while not happened():
        ended = [one.err for one in commands if one.process.poll() is not None]
        assert not ended, ended
        assert time.monotonic() < deadline
        time.sleep(0.05)


def trained(runs, kimg=0.0):
    """Return the runs of a folder with rows of more than so many thousand images."""
    return [
        path.parent
        for path in sorted(runs.glob("*/rows.jsonl"))
        if any(row.kimg > kimg for row in RunFolder(path.parent).rows())
    ]
