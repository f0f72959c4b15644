"""Files for other programs: what is read back is what was there."""

import csv
import io
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest

from harness.errors import OutputError, RecordsError
from harness.report import frames
from harness.report.columns import COLUMNS
from harness.report.export import export
from harness.report.write import write

COMMITTED = Path(__file__).parents[2] / "results/pggan-ema/quick"
NAMES = ("rows", "curves", "summary", "arms", "runs", "timing")


def test_parquet_gives_back_frames_with_types_orders_and_units(tmp_path):
    files = export([COMMITTED], tmp_path, ["parquet"])
    assert files == [tmp_path / f"{name}.parquet" for name in NAMES]
    loaded = frames.load(COMMITTED)
    for field in fields(loaded):
        ours = getattr(loaded, field.name)
        back = pd.read_parquet(tmp_path / f"{field.name}.parquet")
        pd.testing.assert_frame_equal(back, ours, check_exact=True)
        assert back.attrs == ours.attrs


def test_csv_gives_back_the_bits(folder, tmp_path):
    export([folder], tmp_path, ["csv"])
    loaded = frames.load(folder)
    for field in fields(loaded):
        ours = getattr(loaded, field.name)
        text = (tmp_path / f"{field.name}.csv").read_text()
        back = list(csv.DictReader(io.StringIO(text)))
        assert [*back[0]] == [*ours.columns]
        for name in ours.columns:
            column = [record[name] for record in back]
            if ours[name].dtype == "float64":
                assert [float(v) if v else None for v in column] == [
                    None if pd.isna(v) else v for v in ours[name]
                ]
            else:
                assert column == ["" if pd.isna(v) else str(v) for v in ours[name]]


def test_columns_are_explained_beside_the_csv(folder, tmp_path):
    export([folder], tmp_path, ["csv"])
    said = list(csv.DictReader(io.StringIO((tmp_path / "columns.csv").read_text())))
    assert {line["column"] for line in said} <= {*COLUMNS}
    assert {"column": "run_sec", "unit": "s", "meaning": COLUMNS["run_sec"].meaning} in said


def test_several_folders_make_one_set_of_frames_and_a_table_each(folder, results, tmp_path):
    write(results, None, tmp_path / "again")
    files = export([folder, tmp_path / "again"], tmp_path / "out", ["csv", "latex"])
    names = [path.name for path in files]
    assert names[-2:] == ["demo-quick.tex", "demo-quick-2.tex"]
    assert names.count("rows.csv") == 1
    rows = pd.read_csv(tmp_path / "out" / "rows.csv")
    assert rows["folder"].nunique() == 2


def test_results_are_never_written_over(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OutputError, match="holds results, which stay as they are"):
        export([folder], folder, ["csv"])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_nothing_is_written_of_what_cannot_be_read(folder, tmp_path):
    (folder / "runs.csv").write_text("cut")
    with pytest.raises(RecordsError, match=r"runs\.csv"):
        export([COMMITTED, folder], tmp_path / "out", ["csv", "latex"])
    assert not (tmp_path / "out").exists()


WITHOUT = """
import sys
sys.modules["pyarrow"] = None
from harness.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_its_library_parquet_is_refused_in_a_line_and_csv_is_not(folder, tmp_path):
    to = ["--to", tmp_path / "out"]

    def run(formats):
        return subprocess.run(
            [sys.executable, "-c", WITHOUT, "export", folder, *to, "--as", *formats],
            capture_output=True,
            text=True,
            check=False,
        )

    done = run(["csv", "parquet"])
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert "pip install 'gan-harness[parquet]'" in line
    assert not (tmp_path / "out").exists()
    assert run(["csv"]).returncode == 0
    assert (tmp_path / "out" / "rows.csv").exists()
