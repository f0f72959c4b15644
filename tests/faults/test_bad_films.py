"""Films that are torn, foreign or hostile: refused with one line."""

import json
import shutil
import struct

import numpy as np
import pytest
from film_records import found, frames_of, keep_film, noise
from report_records import plan_of, record

from harness.cli import main
from harness.errors import RecordsError
from harness.records.film import NEIGHBOURS, find, read_frame, read_neighbours, write_neighbours
from harness.records.samples import write_arrays
from harness.report import film, frames
from harness.report.reel import reel
from harness.report.verify import check_tables
from harness.report.write import write

ARMS = ("raw", "paper", "short", "mean")


@pytest.fixture
def frame(tmp_path):
    keep_film(tmp_path, frames_of(["raw", "paper"], 1), noise(0))
    return find(tmp_path)[0]


@pytest.mark.parametrize("keep", [0, 1, 100, -40, -1])
def test_a_frame_that_was_cut_off(frame, keep):
    frame.write_bytes(frame.read_bytes()[:keep])
    with pytest.raises(RecordsError, match=r"film-000000100.npz: .*was it cut off\?$"):
        read_frame(frame)


GOOD = {"_format": np.array(1), "_kimg": np.array(2.0), "raw": noise(0)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"_format": np.array(2)}, "format 2 is not one this harness reads"),
        ({"_format": np.array([1, 1])}, "format None is not one"),
        ({"_format": np.array("1")}, "format '1' is not one"),
        ({"_format": None}, "format 0 is not one"),
        ({"_kimg": None}, "after how many kimg"),
        ({"_kimg": np.array(np.nan)}, "after how many kimg"),
        ({"_kimg": np.array(np.inf)}, "after how many kimg"),
        ({"_kimg": np.array(-1.0)}, "after how many kimg"),
        ({"_kimg": np.array([1.0])}, "after how many kimg"),
        ({"_kimg": np.array("1")}, "after how many kimg"),
        ({"raw": None}, "needs uint8 arrays of one shape"),
        ({"raw": noise(0).astype(np.float32)}, "needs uint8 arrays of one shape"),
        ({"raw": noise(0)[:0]}, "needs uint8 arrays of one shape"),
        ({"raw": noise(0)[0]}, "needs uint8 arrays of one shape"),
        ({"raw": noise(0, channels=4)}, "needs uint8 arrays of one shape"),
        ({"paper": noise(0, 3)}, "needs uint8 arrays of one shape"),
    ],
)
def test_a_frame_that_holds_something_else(tmp_path, change, said):
    held = {name: value for name, value in (GOOD | change).items() if value is not None}
    write_arrays(tmp_path / "film-1.npz", held)
    with pytest.raises(RecordsError, match=said) as error:
        read_frame(tmp_path / "film-1.npz")
    assert len(error.value.lines) == 1


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    np.savez(tmp_path / "film-1.npz", **(GOOD | {"raw": np.array([{}], dtype=object)}))
    with pytest.raises(RecordsError, match="is not a file of samples"):
        read_frame(tmp_path / "film-1.npz")


@pytest.mark.parametrize(
    "change",
    [
        {"distances": np.zeros((8, 2))},
        {"distances": np.full((8, 3), np.nan)},
        {"distances": np.zeros((8, 3), np.int64)},
        {"images": noise(0, 8)},
        {"images": noise(0, 24).reshape(8, 3, 8, 8, 3)[..., :1]},
        {"samples": noise(0, 7)},
        {"indices": np.zeros(8, np.int64)},
        {"real_median": np.nan},
        {"real_median": -1.0},
        {"real_count": 0.5},
        {"arm": 3},
    ],
)
def test_neighbours_that_do_not_fit(tmp_path, change):
    write_neighbours(tmp_path, found(**change))
    with pytest.raises(RecordsError, match="of shapes that fit"):
        read_neighbours(tmp_path)


def test_neighbours_that_were_cut_off(tmp_path):
    write_neighbours(tmp_path, found())
    path = tmp_path / NEIGHBOURS
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(RecordsError, match=r"was it cut off\?"):
        read_neighbours(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("film")
    plan = plan_of(seeds=(0,))
    runs = record(plan, root / "runs")
    keep_film(runs / plan.runs[0].name, frames_of(ARMS, 3), noise(0))
    results = frames.collect(plan, runs)
    write(results, runs, root / "out")
    return results, runs, root / "out"


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made[2], tmp_path / "out")
    return tmp_path / "out"


FIELDS = [
    {"level": 1},
    {"level": "a\nb"},
    {"seed": "0"},
    {"seed": True},
    {"seed": -1},
    {"arms": []},
    {"arms": ["paper", "raw"]},
    {"arms": ["raw", "../../spec"]},
    {"arms": ["raw", "raw"]},
    {"arms": ["raw", ["paper"]]},
    {"arms": ["raw", "real"]},
    {"arms": "raw"},
    {"kimg": []},
    {"kimg": [10.0, 10.0, 30.0]},
    {"kimg": [10.0, "20", 30.0]},
    {"kimg": [10.0, float("nan"), 30.0]},
    {"kimg": [10.0, 20.0, 10**400]},
    {"kimg": [10.0, 20.0]},
    {"columns": 0},
    {"columns": 3},
    {"columns": 4.0},
    {"rows": 2},
    {"rows": 10**30},
    {"tile_px": 4},
    {"tile_px": None},
    {"format": 2},
    {"more": 1},
]


@pytest.mark.parametrize("change", FIELDS, ids=lambda change: str(change)[:40])
def test_an_index_that_is_not_that_of_its_pictures(folder, change, capsys):
    path = folder / "film" / "film.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert main(["verify", str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"harness: {path}: ")


def test_an_index_without_a_field(folder):
    path = folder / "film" / "film.json"
    said = json.loads(path.read_text())
    del said["rows"]
    path.write_text(json.dumps(said))
    with pytest.raises(RecordsError, match=r"film.json: needs level, .*rows.* and nothing else"):
        check_tables(folder)


def resized(content, width, height):
    return content[:16] + struct.pack(">II", width, height) + content[24:]


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("raw", lambda content: content[:-5], "raw.png: is not a PNG: was it cut off"),
        ("raw", lambda content: b"", "raw.png: is not a PNG"),
        ("raw", lambda content: b"<svg/>", "raw.png: is not a PNG"),
        ("raw", lambda content: content + b"0" * 500_000, "raw.png: cannot be read"),
        ("mean", lambda content: resized(content, 32, 64), "mean.png has, which is 32 x 64 px"),
        ("mean", lambda content: resized(content, 64, 96), "mean.png has, which is 64 x 96 px"),
        ("real", lambda content: resized(content, 40, 32), "real.png has, which is 40 x 32 px"),
        ("real", lambda content: resized(content, 0, 32), "real.png has, which is 0 x 32 px"),
        ("real", lambda content: resized(content, 12, 32), "real.png has, which is 12 x 32 px"),
    ],
)
def test_a_picture_that_is_not_what_the_index_says(folder, name, change, said):
    path = folder / "film" / f"{name}.png"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(RecordsError, match=said) as error:
        check_tables(folder)
    assert len(error.value.lines) == 1


def test_a_picture_that_is_missing(folder):
    (folder / "film" / "paper.png").unlink()
    with pytest.raises(RecordsError, match=r"paper.png: cannot be read"):
        check_tables(folder)


def test_a_report_of_torn_frames_changes_nothing(made, folder, tmp_path):
    results, runs, _ = made
    shutil.copytree(runs, tmp_path / "runs")
    path = find(tmp_path / "runs" / results.plan.runs[0].name)[1]
    path.write_bytes(path.read_bytes()[:-9])
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(RecordsError, match=r"film-000000200.npz"):
        write(results, tmp_path / "runs", folder)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    "other", [{"raw": noise(0)}, dict.fromkeys(ARMS, noise(0, 3)), {"x": noise(0)}]
)
def test_frames_of_another_run_among_them(made, tmp_path, other):
    results, runs, _ = made
    shutil.copytree(runs, tmp_path / "runs")
    run = tmp_path / "runs" / results.plan.runs[0].name
    keep_film(run, [(5.0, other)], noise(0))
    with pytest.raises(RecordsError, match=r"film-\*.npz are not of one run"):
        reel(results, tmp_path / "runs")


def test_a_folder_without_a_film_has_none(tmp_path):
    assert film.read(tmp_path) is None
