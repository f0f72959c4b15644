"""What runs were predicted to take when they were started: ``predicted.json``.

::

    {"format": 1, "predictions": [
      {"device": "cpu", "jobs": 3, "source": "a calibration ...", "runs": null,
       "levels": {"-": {"run_sec": [360.1, 330.0, 402.5], "peak_rss_gib": [...], ...}}}]}

Three numbers are an expected value and the ends of its interval. A prediction holds for the runs
that it names, or for all (``null``); where several name a run, the last does. The file stands
beside the runs and, unchanged, beside their results; both may do without.
"""

import json
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import RecordsError
from harness.records.files import check_format, read_record, write_atomically
from harness.records.types import FORMAT

FILE = "predicted.json"
QUANTITIES = ("run_sec", "peak_rss_gib", "peak_gpu_gib")
_LARGEST_BYTES = 2**25
_ODD = (*(ValueError, TypeError, LookupError), *(ArithmeticError, AttributeError, RecursionError))

Ends = tuple[float, float, float]
"""Expected value, and the interval's low and high end."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a run of each level was predicted to take.

    Args:
        device: ``cpu`` or ``cuda``.
        jobs: runs side by side.
        source: what the prediction was made from.
        levels: by level and by name of ``QUANTITIES``; what was not predicted is left out.
        runs: names of the runs that it holds for; None: all that no later one names.
    """

    device: str
    jobs: int
    source: str
    levels: Mapping[str, Mapping[str, Ends]]
    runs: tuple[str, ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as they are written."""
        levels = {
            level: {name: list(ends) for name, ends in known.items()}
            for level, known in self.levels.items()
        }
        runs = None if self.runs is None else list(self.runs)
        told = {"device": self.device, "jobs": self.jobs, "source": self.source}
        return {**told, "runs": runs, "levels": levels}


def of_run(predictions: Sequence[Prediction], run: str, level: str) -> Mapping[str, Ends]:
    """Return what a run was predicted to take; nothing where nothing was."""
    for one in reversed(predictions):
        if one.runs is None or run in one.runs:
            return one.levels.get(level, {})
    return {}


def note(runs_dir: Path, now: Prediction, runs: Collection[str], begun: Collection[str]) -> None:
    """Write down what holds now for the runs of a plan that have not begun.

    What was predicted for the others when they began stays as it is.

    Args:
        runs_dir: the runs' folder.
        now: today's prediction, for all runs.
        runs: names of all runs of the plan.
        begun: names of those that have begun.

    Raises:
        OutputError: if the folder cannot be written.
    """
    fresh = [run for run in runs if run not in begun]
    if not fresh:
        return
    earlier = _earlier(runs_dir) if begun else ()
    if earlier and replace(earlier[-1], runs=None) == now and _holds_for(earlier[-1], fresh):
        return
    write(runs_dir / FILE, [*earlier, replace(now, runs=tuple(fresh)) if begun else now])


def _holds_for(one: Prediction, runs: Collection[str]) -> bool:
    return one.runs is None or set(one.runs) >= set(runs)


def write(path: Path, predictions: Sequence[Prediction]) -> None:
    """Write predictions, whole or not at all.

    Raises:
        OutputError: if the folder cannot be written.
    """
    content = {"format": FORMAT, "predictions": [one.as_dict() for one in predictions]}
    write_atomically(path, json.dumps(content, indent=1) + "\n")


def read(path: Path) -> tuple[Prediction, ...]:
    """Read what ``write`` wrote; nothing where there is no file.

    Raises:
        RecordsError: if it is torn, not of this kind, or of a newer format.
    """
    if not os.path.lexists(path):
        return ()
    text = read_record(path, _LARGEST_BYTES)
    try:
        content = json.loads(text)
        check_format(path, content["format"])
        return tuple(map(_prediction, content["predictions"]))
    except _ODD:
        raise RecordsError(f"{path}: holds no predictions: was it cut off? Remove it") from None


def _earlier(runs_dir: Path) -> tuple[Prediction, ...]:
    """Return the predictions so far; a file that cannot be read holds none."""
    try:
        return read(runs_dir / FILE)
    except RecordsError:
        return ()


def _prediction(value: Mapping[str, Any]) -> Prediction:
    device, jobs, source, runs = (value[name] for name in ("device", "jobs", "source", "runs"))
    if not (_is_text(device) and type(jobs) is int and jobs > 0 and _is_text(source)):
        raise ValueError
    if runs is not None and not all(map(_is_text, runs)):
        raise ValueError
    levels = {
        level: {name: _ends(known[name]) for name in QUANTITIES if name in known}
        for level, known in value["levels"].items()
    }
    return Prediction(device, jobs, source, levels, None if runs is None else tuple(runs))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _ends(values: Sequence[Any]) -> Ends:
    value, low, high = values
    if any(type(end) not in (int, float) for end in values):
        raise ValueError
    if not 0 <= low <= value <= high < math.inf:
        raise ValueError
    return float(value), float(low), float(high)
