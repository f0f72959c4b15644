import os

import numpy as np
import pytest
import yaml
from film_records import frames_of, keep_film, keep_neighbours, noise
from report_records import record

from harness.errors import OutputError
from harness.report.frames import collect, read
from harness.report.verify import check_tables
from harness.report.write import tables_of, write

FILES = {
    *("spec.yaml", "machine.json", "runs.csv", "outcomes.csv"),
    *("summary.csv", "timing.csv", "report.md", "report.html"),
    *("curves.png", "ema.png", "samples.png", "results.lock"),
}


def test_a_folder_holds_evidence_tables_and_pictures(folder, plan):
    assert {path.name for path in folder.iterdir()} == FILES
    assert yaml.safe_load((folder / "spec.yaml").read_text()) == plan.settings()
    head, first = (folder / "runs.csv").read_text().splitlines()[:2]
    assert head == "run,level,seed,arm,quantity,kimg,iteration,sec,value"
    assert first == f"{plan.runs[0].name},-,0,real,fid[digits-cnn],0.0,0,0.5,0.5"


def test_writing_again_from_the_folder_changes_no_byte(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write(read(folder), None, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_report_links_to_exactly_the_pictures_beside_it(folder, results, tmp_path):
    write(results, None, tmp_path / "new")
    assert "samples.png" in (folder / "report.md").read_text()
    assert not (tmp_path / "new" / "samples.png").exists()
    assert "samples.png" not in (tmp_path / "new" / "report.md").read_text()


def test_pictures_of_an_earlier_question_do_not_stay(folder, results, runs_dir):
    (folder / "reduce_lr.png").write_bytes(b"old")
    write(results, runs_dir, folder)
    assert {path.name for path in folder.iterdir()} == FILES


def test_tables_do_not_depend_on_the_order_of_rows(results, tmp_path):
    write(results, None, tmp_path)
    file = tmp_path / "runs.csv"
    header, *lines = file.read_text().splitlines(keepends=True)
    mixed = np.random.default_rng(0).permutation(lines)
    file.write_text("".join([header, *mixed]))
    assert tables_of(read(tmp_path)) == tables_of(results)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_named(results, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        write(results, None, tmp_path / "x")


def test_a_file_in_the_folders_place_is_named(results, tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write(results, None, tmp_path / "x")


KEPT = {"samples.png", "training.gif", "neighbours.png"}
FILM = {"film.json", "raw.png", "paper.png", "real.png"}


@pytest.fixture
def kept(plan, tmp_path):
    """Runs, one of which has kept frames and neighbours, and the folder written of them."""
    runs = record(plan, tmp_path / "runs")
    folder = runs / plan.runs[0].name
    keep_film(folder, frames_of(("raw", "paper"), 3), noise(0))
    keep_neighbours(folder)
    write(collect(plan, runs), runs, tmp_path / "out")
    return runs, tmp_path / "out"


def test_what_a_run_has_kept_is_shown_and_checked(kept):
    _, out = kept
    assert {path.name for path in out.iterdir()} == FILES | KEPT | {"film"}
    assert {path.name for path in (out / "film").iterdir()} == FILM
    text = (out / "report.md").read_text()
    assert (
        text.index("(samples.png)") < text.index("(training.gif)") < text.index("(neighbours.png)")
    )
    assert check_tables(out) == []


def test_it_stays_where_a_report_is_rebuilt_without_runs(kept):
    _, out = kept
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    write(read(out), None, out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_it_goes_where_no_run_has_kept_any(kept, results, runs_dir):
    _, out = kept
    (out / "training.mp4").write_bytes(b"old")
    write(results, runs_dir, out)
    assert {path.name for path in out.iterdir()} == FILES
    assert "training.gif" not in (out / "report.md").read_text()
    assert check_tables(out) == []


def test_a_picture_of_a_run_that_went_missing_is_found(kept):
    _, out = kept
    (out / "neighbours.png").unlink()
    assert any("neighbours.png" in line for line in check_tables(out))
