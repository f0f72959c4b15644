"""A calibration: a run's parts timed in as many processes side by side as runs will be."""

import contextlib
import multiprocessing
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.interrupts import end_with_starter
from harness.launch.local import prepare, server
from harness.launch.memory import keep_freed
from harness.launch.worker import Machine, print_to, settle
from harness.plan.calibration import pooled
from harness.plan.expand import Run

if TYPE_CHECKING:
    from harness.engine.together import Together


def calibrate(run: Run, machine: Machine, sec: float) -> dict[str, Any]:
    """Return the seconds of a run's parts, as ``plan.calibration`` keeps them.

    Args:
        run: of the question; what it draws and averages is timed as it stands.
        machine: how many processes do so at a time.
        sec: about how long.

    Raises:
        HarnessError: with the message of what is missing or broken.
    """
    from harness.engine.together import Together

    prepare(run, machine)
    context, quiet = server(), _without_grids(run)
    together = Together(context, machine.jobs)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as started:
        answers = {}
        for number in range(machine.jobs):
            here, there = multiprocessing.Pipe(duplex=False)
            path = Path(folder) / str(number)
            process = context.Process(
                target=_measure, args=(quiet, path, machine, sec, together, there)
            )
            process.start()
            started.callback(process.join)
            started.callback(process.terminate)
            there.close()
            answers[here] = path
        return pooled(_received(answers))


_LOG = "log.txt"


def _without_grids(run: Run) -> Run:
    """Return the run with hooks that wait to be asked: how often they act is counted elsewhere."""
    hooks = tuple({**hook, "interval": -1} for hook in run.spec.hooks)
    return replace(run, spec=run.spec.model_copy(update={"hooks": hooks}))


def _received(answers: Mapping[Connection, Path]) -> list[Mapping[str, Any]]:
    """Return every process's answer, in their order.

    Raises:
        HarnessError: as soon as one fails; the others would wait for it.
    """
    found: dict[Connection, Mapping[str, Any]] = {}
    while len(found) < len(answers):
        for answer in wait([answer for answer in answers if answer not in found]):
            assert isinstance(answer, Connection)
            try:
                content = answer.recv()
            except EOFError:
                content = _last_words(answers[answer] / _LOG)
            if isinstance(content, str):
                raise HarnessError(*content.split("\n"))
            found[answer] = content
    return [found[answer] for answer in answers]


def _last_words(log: Path) -> str:
    """Say why a process ended that did not say so itself."""
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    last = next((line for line in reversed(lines) if line.strip()), "was it killed?")
    return f"a process of the calibration ended before it was done: {last}"


def _measure(
    run: Run, path: Path, machine: Machine, sec: float, together: "Together", answer: Connection
) -> None:
    """Time a run's parts and send what was found, or the message for the user."""
    end_with_starter()
    keep_freed()
    path.mkdir()
    print_to(path / _LOG)
    try:
        device, _ = settle(machine.device, machine.threads)
        from harness.engine.calibrating import measure

        answer.send(measure(run, path, device, machine.cache_dir, sec, together))
    except HarnessError as error:
        answer.send(str(error))
