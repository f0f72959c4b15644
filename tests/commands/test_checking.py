"""``harness verify``, ``compare`` and ``export`` as a user types them, on real runs."""

import csv
import shutil
import signal
from pathlib import Path

import pytest
from commanded import Command, until
from small_spec import TEXT, write

from harness.cli import main
from harness.commands import job
from harness.report.lock import LOCK

ROOT = Path(__file__).parents[2]
TINY = TEXT.replace("kimg: 0.6", "kimg: 0.4").replace("fake_images: 600", "fake_images: 300")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a folder with a question that was answered: two real, tiny runs."""
    folder = tmp_path_factory.mktemp("answered")
    write(folder, TINY)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(job, "CACHE_DIR", folder / "cache")
        assert main(["run", "question.yaml", "--jobs", "2"]) == 0
    signal.signal(signal.SIGTERM, before)
    shutil.rmtree(folder / "runs")
    return folder


@pytest.fixture
def place(world, tmp_path, monkeypatch):
    """Return the results folder of a copy of it, to stand in."""
    copy = shutil.copytree(world, tmp_path / "copy")
    monkeypatch.chdir(copy)
    monkeypatch.setattr(job, "CACHE_DIR", copy / "cache")
    before = signal.getsignal(signal.SIGTERM)
    yield Path("results/question/quick")
    signal.signal(signal.SIGTERM, before)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_results_are_trained_again_and_equal_to_the_bit(place, capsys):
    before = contents(place)
    assert main(["verify", str(place), "--jobs", "2"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{place}: PASS, tables follow from their rows"
    with (place / "runs.csv").open() as file:
        rows = [
            row for row in csv.DictReader(file) if row["quantity"][:5] not in ("time/", "memor")
        ]
    # A learning rate stands beside the losses and beside an evaluation of the same iteration.
    keys = {
        tuple(row[n] for n in ("level", "seed", "arm", "quantity", "iteration")) for row in rows
    }
    count = len(keys)
    assert out[-1] == f"PASS: {count} of {count} values equal to the bit ({place})"
    assert contents(place) == before
    assert not list(Path("runs/verify").rglob("rows.jsonl"))


def last_digit(place):
    """Change one value of seed 0 in its last digit, and lock the lie."""
    path = place / "runs.csv"
    line = next(line for line in path.read_text().splitlines() if ",-,0,run,loss/g," in line)
    digit = line[-1]
    edit(path, f"{line}\n", f"{line[:-1]}{(int(digit) + 1) % 10}\n")
    (place / LOCK).unlink()
    return line


def test_a_digit_that_was_changed_and_locked_is_found_by_training_again(place, capsys):
    line = last_digit(place)
    assert main(["verify", str(place), "--update"]) == 0
    assert main(["verify", str(place), "--tables-only"]) == 0
    assert main(["verify", str(place), "--seeds", "0"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[-1].startswith("FAIL: ")
    assert "values equal to the bit; worst: run, loss/g, seed 0, iteration" in out[-1]
    assert line.rpartition(",")[2] in out[-1]
    assert "the new runs are kept in runs/verify/question/quick/" in out[-2]
    kept = [*Path("runs/verify").rglob("rows.jsonl")]
    assert len(kept) == 1
    # The other seed is as it was; asked again, the kept runs are put aside and trained anew.
    assert main(["verify", str(place), "--seeds", "1"]) == 0
    assert main(["verify", str(place), "--seeds", "0"]) == 1
    assert "earlier runs are kept in" in capsys.readouterr().out


def test_what_was_changed_by_hand_is_found_before_anything_is_trained(place, capsys):
    last_digit(place)
    shutil.copy(place / "summary.csv", place / "more.csv")
    (place / LOCK).write_text("format 1\n")
    assert main(["verify", str(place)]) == 1
    captured = capsys.readouterr()
    assert "more.csv: added after it was locked" in captured.err
    assert captured.out == f"{place}: DIFFERS\n"
    assert not Path("runs").exists()


def test_another_end_than_the_committed_one_fails(place, capsys):
    edit(place / "outcomes.csv", "-,0,finished,", "-,0,diverged,NaN")
    (place / LOCK).unlink()
    assert main(["verify", str(place), "--update"]) == 0
    assert main(["verify", str(place), "--seeds", "0"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"FAIL: - seed 0: finished (), committed diverged ({place})"


def test_a_folder_without_a_lock_passes_with_a_note(place, capsys):
    (place / LOCK).unlink()
    assert main(["verify", str(place), "--tables-only"]) == 0
    out = capsys.readouterr().out
    assert out == (
        f"{place}: PASS, tables follow from their rows; no {LOCK} is there: --update writes one\n"
    )
    assert not (place / LOCK).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seeds", "7"], "--seeds 7: results/question/quick has no such seed, but 0, 1"),
        (["--seeds", "one"], "'one' is not a whole number"),
        (["--seeds", "-1"], "'-1' is not a whole number"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["x=1"], "x=1/machine.json: cannot be read"),
    ],
)
def test_a_wrong_command_line_is_one_line(place, capsys, arguments, said):
    try:
        code = main(["verify", str(place), *arguments])
    except SystemExit as end:
        code = end.code
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not Path("runs").exists()


def test_a_check_that_was_stopped_goes_on(place):
    """Ctrl-C between its two runs: the first is kept, and the same command ends the check."""
    asks = ("verify", str(place), "--jobs", "1")
    command = Command(Path.cwd(), asks=asks)
    try:
        until(lambda: any(Path("runs/verify").rglob("outcome.json")), command)
        command.to_group(signal.SIGINT)
        assert command.wait() == 130
        assert "the same command goes on" in command.err
    finally:
        command.end()
    again = Command(Path.cwd(), asks=asks)
    try:
        assert again.wait() == 0, again.err
        assert "1 runs in runs/verify/question/quick/" in again.out
        assert again.out.splitlines()[-1].startswith("PASS: ")
    finally:
        again.end()


def test_two_folders_side_by_side(place, capsys):
    other = shutil.copytree(place, Path("other"))
    edit(other / "machine.json", '"python": "', '"python": "9.')
    assert main(["compare", str(place), "other", "--csv", "out/compared.csv"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# Side by side\n\n- A: results/question/quick, question, quick: 2 of 2")
    assert "- FID[digits-cnn]: equal to the bit in all 2 arms." in out
    assert "| `python` |" in out
    assert len(Path("out/compared.csv").read_text().splitlines()) == 4


def test_a_comparison_is_not_written_into_results(place, capsys):
    before = contents(place)
    assert main(["compare", str(place), str(place), "--csv", str(place / "runs.csv")]) == 2
    assert "holds results, which stay as they are" in capsys.readouterr().err
    assert contents(place) == before


def test_results_are_exported(place, capsys):
    assert main(["export", str(place), "--to", "paper", "--as", "csv", "latex", "parquet"]) == 0
    named = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(path.name for path in named) == sorted(
        path.name for path in Path("paper").iterdir()
    )
    assert Path("paper/question-quick.tex") in named


def test_a_committed_question_is_found_to_repeat_its_tables(capsys):
    folder = ROOT / "results/pggan-ema/quick"
    assert main(["verify", str(folder), "--tables-only"]) == 0
    assert "PASS, tables follow from their rows" in capsys.readouterr().out
