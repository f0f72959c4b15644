"""A film in a results folder: what was written is read, and what is no longer there goes."""

import json

import pytest
from film_records import frames_of, keep_film, noise
from report_records import plan_of, record

from harness.report import film, frames
from harness.report.reel import filmed, reel


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    plan = plan_of(seeds=(0,))
    runs = record(plan, tmp_path_factory.mktemp("runs"))
    keep_film(runs / plan.runs[0].name, frames_of(("raw", "paper"), 2), noise(0))
    return filmed(reel(frames.collect(plan, runs), runs))


def test_the_index_is_as_the_page_wants_it(made, tmp_path):
    film.write(tmp_path, made)
    assert json.loads((tmp_path / "film" / "film.json").read_text()) == {
        "format": 1,
        "level": "-",
        "seed": 0,
        "arms": ["raw", "paper"],
        "kimg": [10.0, 20.0],
        "columns": 4,
        "rows": 4,
        "tile_px": 8,
    }
    assert {path.name for path in (tmp_path / "film").iterdir()} == {
        *("film.json", "raw.png", "paper.png", "real.png")
    }
    assert film.read(tmp_path) == made


def test_pictures_of_arms_that_are_no_longer_there_go(made, tmp_path):
    film.write(tmp_path, made)
    (tmp_path / "film" / "old.png").write_bytes(b"")
    (tmp_path / "film" / "notes.txt").write_text("mine")
    film.write(tmp_path, made)
    names = {path.name for path in (tmp_path / "film").iterdir()}
    assert "old.png" not in names
    assert "notes.txt" in names
    film.write(tmp_path, None)
    assert [path.name for path in (tmp_path / "film").iterdir()] == ["notes.txt"]
    (tmp_path / "film" / "notes.txt").unlink()
    film.write(tmp_path, None)
    assert not (tmp_path / "film").exists()
    film.write(tmp_path, None)
