"""What `harness scale` writes belongs together; so does what is committed."""

import csv
import io
import shutil
from pathlib import Path

import pytest

from harness.cli import main
from harness.report.tabular import csv_text
from harness.scale import agreement, constants, growth, studies, workloads
from harness.scale.suite import REPORT, TITLES, differences, report

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "results" / "scale"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(growth, "_RUNS", {growth.SEEDS: (20,)})
        patch.setattr(constants, "_TENSOR_VALUES", 2**16)
        patch.setattr(constants, "_RUNS", 2)
        patch.setattr(agreement, "_SEEDS", 4)
        patch.setattr(studies, "_SEEDS", 1)
        fewer = {
            name: asked._replace(levels=2, seeds=3) for name, asked in workloads.QUESTIONS.items()
        }
        patch.setattr(workloads, "QUESTIONS", fewer)
        assert main(["scale", "--results", str(place)]) == 0
    return place / "scale"


@pytest.fixture
def own(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "scale"))


def test_every_question_has_numbers_a_page_and_a_place_in_the_report(folder):
    text = (folder / REPORT).read_text()
    for name, title in TITLES.items():
        assert (folder / f"{name}.csv").is_file()
        assert f"## {title}\n" in text
    assert "synthetic" in text.split("##")[0]
    assert (folder / "machine.json").is_file()
    for picture in folder.glob("*.png"):
        assert f"({picture.name})" in text
        assert picture.stat().st_size < 500_000


def test_what_was_written_belongs_together(folder):
    assert differences(folder) == []


def test_numbers_that_were_changed_are_found(own):
    places = {"growth": -3, "constants": 1, "workloads": 3, "agreement": 1, "simulation": -8}
    for name, place in places.items():
        path = own / f"{name}.csv"
        head, *rows = csv.reader(io.StringIO(path.read_text()))
        rows[-1][place] = repr(2.5 * float(rows[-1][place]) + 1)
        path.write_text(csv_text(head, rows))
    assert {f"{name}.md" for name in TITLES} <= {*differences(own)}


def test_a_page_a_picture_or_a_report_of_another_time_is_found(own):
    (own / "growth.png").unlink()
    (own / REPORT).write_text(report(own).replace("synthetic", "real"))
    assert differences(own) == ["growth.png", REPORT]


def test_the_simulation_needs_its_constants(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(["scale", "simulation", "--results", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("harness: simulation: needs ")
    assert "constants.csv: measure that first" in said
    assert not (tmp_path / "scale" / "simulation.csv").exists()


def test_a_question_that_is_none_is_refused(tmp_path, capsys):
    assert main(["scale", "grow", "--results", str(tmp_path)]) == 2
    assert "'grow' is not a question of scale; known: growth, " in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_what_is_committed_belongs_together():
    assert differences(COMMITTED) == []
    assert all(path.stat().st_size < 500_000 for path in COMMITTED.iterdir())
    assert "synthetic" in (COMMITTED / REPORT).read_text()
