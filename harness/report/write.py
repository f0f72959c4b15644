"""A results folder: the evidence, and everything that follows from it.

::

    spec.yaml  machine.json  runs.csv  outcomes.csv     the evidence
    summary.csv  timing.csv  report.md                  rebuilt from it, to the byte
    results.lock                                        digests of all of them
    curves.png  ema.png  posthoc.png  reduce_lr.png  samples.png    where there is one to show
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from harness.errors import OutputError
from harness.records.files import write_atomically, write_json
from harness.records.store import dump_yaml
from harness.report.frames import Results
from harness.report.lock import write_lock
from harness.report.markdown import PICTURES, report
from harness.report.tables import summary_text, timing_text
from harness.report.tabular import table_text

SAMPLES = "samples.png"
_FARTHEST = 1e100


def write(results: Results, runs_dir: Path | None, folder: Path) -> None:
    """Write a results folder; the samples of an earlier one stay where ``runs_dir`` is None.

    Raises:
        OutputError: if the folder cannot be written.
        RecordsError: if the runs' samples are torn.
    """
    drawn = _pictures(results, runs_dir)
    kept = {SAMPLES} if runs_dir is None and (folder / SAMPLES).is_file() else set()
    write_atomically(folder / "spec.yaml", dump_yaml(results.plan.settings()))
    write_json(folder / "machine.json", results.machine)
    write_atomically(folder / "runs.csv", table_text(results.rows))
    write_atomically(folder / "outcomes.csv", table_text(results.outcomes))
    for name, picture in drawn.items():
        write_atomically(folder / name, picture)
    for name in PICTURES.keys() - drawn.keys() - kept:
        _remove(folder / name)
    for name, text in tables_of(results, {*drawn, *kept}).items():
        write_atomically(folder / name, text)
    write_lock(results, folder)  # of all that is there by now


def tables_of(results: Results, pictures: Iterable[str] = tuple(PICTURES)) -> dict[str, str]:
    """Return the text of every table file, given which pictures stand beside the report."""
    return {
        "summary.csv": summary_text(results),
        "timing.csv": timing_text(results),
        "report.md": report(results, pictures),
    }


def _pictures(results: Results, runs_dir: Path | None) -> Mapping[str, bytes]:
    from harness.report import figures, samples  # matplotlib takes a second to load

    shown = _drawable(results)
    drawn = {name: draw(shown) for name, draw in figures.DRAWINGS.items()}
    if runs_dir is not None:
        drawn[SAMPLES] = samples.grid(results, runs_dir)
    return {name: content for name, content in drawn.items() if content is not None}


def _drawable(results: Results) -> Results:
    """Leave out what no axis reaches: matplotlib fails near the largest floats."""
    values = results.rows["value"]
    if not any(abs(value) > _FARTHEST for value in values):
        return results
    shown = [math.nan if abs(value) > _FARTHEST else value for value in values]
    return replace(results, rows={**results.rows, "value": shown})


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed ({error.strerror})") from None
