"""A run's folder under a URL, on a real file system of fsspec: whole, and to be gone on from."""

import os

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from harness.errors import OutputError
from harness.launch.mirror import Mirror, announce, bring


def write(folder, contents):
    for name, text in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def place(tmp_path):
    """A run's folder here, its copy there, and the mirror between them."""
    here, there = tmp_path / "here" / "run", tmp_path / "there"
    write(
        here,
        {
            "rows.jsonl": "rows",
            "checkpoints/iteration-1.safetensors": "state",
            "samples/a.png": "picture",
        },
    )
    return here, there / "run", Mirror(f"file://{there}", here)


def test_what_is_here_is_there_and_comes_back_elsewhere(place, tmp_path):
    here, there, mirror = place
    write(here, {".lock": "", ".lease-000001": "{}", ".half.tmp": "x"})
    mirror.push()
    kept = files(there)
    assert kept["checkpoints/iteration-1.safetensors"] == "state"
    assert {*kept} == {"rows.jsonl", "checkpoints/iteration-1.safetensors", "samples/a.png"}
    elsewhere = tmp_path / "elsewhere" / "run"
    write(elsewhere, {"left.txt": "of another attempt"})
    Mirror(f"file://{there.parent}", elsewhere).fetch()
    assert files(elsewhere) == kept


def test_only_what_changed_is_sent_and_what_was_removed_goes(place):
    here, there, mirror = place
    mirror.push()
    before = (there / "samples/a.png").stat().st_ino
    write(here, {"rows.jsonl": "rows and more", "checkpoints/iteration-2.safetensors": "newer"})
    (here / "checkpoints/iteration-1.safetensors").unlink()
    mirror.push()
    assert (there / "samples/a.png").stat().st_ino == before
    assert {*files(there)} == {
        *("rows.jsonl", "checkpoints/iteration-2.safetensors", "samples/a.png")
    }
    assert (there / "rows.jsonl").read_text() == "rows and more"


def test_it_is_sent_with_each_new_checkpoint_alone(place):
    here, there, mirror = place
    mirror.keep_up()
    assert {*files(there)} > {"rows.jsonl"}
    write(here, {"rows.jsonl": "rows and more"})
    mirror.keep_up()
    assert (there / "rows.jsonl").read_text() == "rows"
    write(here, {"checkpoints/iteration-2.safetensors": "newer"})
    mirror.keep_up()
    assert (there / "rows.jsonl").read_text() == "rows and more"


def test_rows_come_before_checkpoints_and_the_end_comes_last(place, monkeypatch):
    here, _, mirror = place
    write(here, {"outcome.json": "{}", "weights.safetensors": "w"})
    sent = []
    moved = LocalFileSystem.mv
    monkeypatch.setattr(
        LocalFileSystem, "mv", lambda fs, a, b: (sent.append(b), moved(fs, a, b))[1]
    )
    mirror.push()
    names = [os.path.basename(path) for path in sent]
    assert names[-2:] == ["iteration-1.safetensors", "outcome.json"]
    assert {*names[:-2]} == {"rows.jsonl", "a.png", "weights.safetensors"}


def test_a_write_that_was_cut_short_is_not_taken_for_a_file(place, tmp_path, monkeypatch):
    here, there, mirror = place
    mirror.push()

    def die(fs, source, target):
        raise OSError(5, "the line is dead")

    write(here, {"rows.jsonl": "rows and more"})
    monkeypatch.setattr(LocalFileSystem, "mv", die)
    with pytest.raises(OSError, match="the line is dead"):
        mirror.push()
    monkeypatch.undo()
    assert (there / "rows.jsonl").read_text() == "rows"
    Mirror(f"file://{there.parent}", here).fetch()
    assert (here / "rows.jsonl").read_text() == "rows"
    assert not list(there.rglob("*.tmp"))


def test_reports_get_all_but_what_is_large_and_copies_follow_what_is_there(place, tmp_path):
    here, there, mirror = place
    write(here, {"weights.safetensors": "w", "posthoc/a": "p", "outcome.json": "{}"})
    mirror.push()
    copies = tmp_path / "copies"
    write(copies, {"gone/outcome.json": "{}"})
    bring(f"file://{there.parent}", ["run", "gone"], copies)
    assert {*files(copies)} == {"run/rows.jsonl", "run/samples/a.png", "run/outcome.json"}
    (copies / "run/samples/a.png").unlink()  # known by how it ended: nothing is fetched again
    bring(f"file://{there.parent}", ["run"], copies)
    assert "run/samples/a.png" not in files(copies)
    write(there, {"outcome.json": '{"later": 1}'})
    bring(f"file://{there.parent}", ["run"], copies)
    assert files(copies)["run/outcome.json"] == '{"later": 1}'
    assert "run/samples/a.png" in files(copies)


def test_the_question_stands_beside_its_runs(tmp_path):
    announce(f"file://{tmp_path}/new/place", "question: 1\n")
    assert files(tmp_path) == {"new/place/spec.yaml": "question: 1\n"}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nowhere://place", "Protocol not known: nowhere"),
        ("memory://place", "a process's memory is no place that nodes share"),
        ("file:///proc/nowhere", "nowhere"),
    ],
)
def test_a_url_that_does_not_do_is_named(url, reason):
    with pytest.raises(OutputError, match=reason) as error:
        announce(url, "")
    assert str(error.value).startswith(f"--runs {url}: ")
    assert fsspec.filesystem("memory").store == {}
