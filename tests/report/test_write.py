import os
from dataclasses import replace

import numpy as np
import pytest
import yaml

from harness.errors import OutputError
from harness.report.frames import read
from harness.report.write import tables_of, write

FILES = {
    *("spec.yaml", "machine.json", "runs.csv", "outcomes.csv"),
    *("summary.csv", "timing.csv", "report.md", "curves.png", "ema.png", "samples.png"),
    "results.lock",
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


def test_tables_do_not_depend_on_the_order_of_rows(results):
    order = np.random.default_rng(0).permutation(len(results.rows["run"]))
    rows = {name: [column[at] for at in order] for name, column in results.rows.items()}
    mixed = replace(results, rows=rows)
    assert tables_of(mixed) == tables_of(results)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_named(results, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        write(results, None, tmp_path / "x")


def test_a_file_in_the_folders_place_is_named(results, tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write(results, None, tmp_path / "x")
