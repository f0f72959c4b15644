"""A results folder: the evidence, and everything that follows from it.

::

    spec.yaml  machine.json  protocols.json  runs.csv  outcomes.csv     the evidence
    predicted.json                                  where runs were priced when they began
    summary.csv  timing.csv  report.md  report.html     rebuilt from it, to the byte
    curves.png  ema.png  posthoc.png  reduce_lr.png                 where there is one to show
    samples.png  training.gif  neighbours.png  film/                where a run has kept some
    training.mp4                                                    where it was asked for
    results.lock                                        digests of all of them
"""

from collections.abc import Iterable
from pathlib import Path

from harness.errors import OutputError
from harness.records import predicted, protocols
from harness.records.files import write_atomically, write_json
from harness.records.store import dump_yaml
from harness.report import film as films
from harness.report.film import Film
from harness.report.frames import Results, rows_text
from harness.report.lock import write_lock
from harness.report.markdown import OF_ONE_RUN, PICTURES, report
from harness.report.page.folder import FILE, page_of
from harness.report.series import drawable
from harness.report.tables import summary_text, timing_text
from harness.report.tabular import table_text

VIDEO = "training.mp4"


def write(results: Results, runs_dir: Path | None, folder: Path, *, video: bool = False) -> None:
    """Write a results folder; what an earlier one shows of runs stays where ``runs_dir`` is None.

    Args:
        results: the evidence.
        runs_dir: holds the runs' folders.
        folder: written, its parents too.
        video: whether training is shown as an MP4, too.

    Raises:
        OutputError: if the folder cannot be written.
        RecordsError: if the runs' samples are torn.
        SpecError: if an MP4 is asked for and what writes it is not installed.
    """
    kept = {name for name in OF_ONE_RUN if runs_dir is None and (folder / name).is_file()}
    drawn, film = _drawn(results), None
    if runs_dir is not None:
        shown, film = _of_one_run(results, runs_dir, video)
        drawn |= shown
    write_atomically(folder / "spec.yaml", dump_yaml(results.plan.settings()))
    write_json(folder / "machine.json", results.machine)
    if results.protocols:
        protocols.write(folder / protocols.FILE, results.protocols)
    else:
        _remove(folder / protocols.FILE)
    if results.predicted:
        predicted.write(folder / predicted.FILE, results.predicted)
    else:
        _remove(folder / predicted.FILE)
    write_atomically(folder / "runs.csv", rows_text(results))
    write_atomically(folder / "outcomes.csv", table_text(results.outcomes))
    for name, picture in drawn.items():
        write_atomically(folder / name, picture)
    stale = {*PICTURES, VIDEO} if runs_dir is not None else PICTURES.keys()
    for name in stale - drawn.keys() - kept:
        _remove(folder / name)
    if runs_dir is not None:
        films.write(folder, film)
    for name, text in tables_of(results, {*drawn, *kept}).items():
        write_atomically(folder / name, text)
    write_atomically(folder / FILE, page_of(results, folder))
    write_lock(results, folder)  # of all that is there by now


def tables_of(results: Results, pictures: Iterable[str] = tuple(PICTURES)) -> dict[str, str]:
    """Return the text of every table file, given which pictures stand beside the report."""
    return {
        "summary.csv": summary_text(results),
        "timing.csv": timing_text(results),
        "report.md": report(results, pictures),
    }


def _drawn(results: Results) -> dict[str, bytes]:
    from harness.report import figures  # matplotlib takes a second to load

    shown = drawable(results)
    drawn = {name: draw(shown) for name, draw in figures.DRAWINGS.items()}
    return {name: content for name, content in drawn.items() if content is not None}


def _of_one_run(
    results: Results, runs_dir: Path, video: bool
) -> tuple[dict[str, bytes], Film | None]:
    """Return the pictures of what runs have kept, and a film of one."""
    from harness.report import moving, neighbours, reel, samples

    if video:
        moving.require_ffmpeg()
    drawn = {
        "samples.png": samples.grid(results, runs_dir),
        "neighbours.png": neighbours.picture(results, runs_dir),
    }
    film, frames = None, reel.reel(results, runs_dir)
    if frames is not None:
        film, arms = reel.filmed(frames), moving.side_by_side(results, frames)
        drawn["training.gif"] = moving.gif(frames, arms)
        drawn[VIDEO] = moving.mp4(frames, arms) if video else None
    return {name: content for name, content in drawn.items() if content is not None}, film


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed ({error.strerror})") from None
