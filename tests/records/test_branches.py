"""A branch's folder: whole or not there, with its own name and its trunk's evidence."""

import json

import pytest

from harness.errors import OutputError, RecordsError
from harness.records.branches import branch_rows, fill, laid_down, riders, write_riders
from harness.records.files import read_json
from harness.records.machine_file import read_machine
from harness.records.store import RunFolder
from harness.records.types import Row

TRUNK = "off-seed0-0123456789"
PLACE = {"trunk": TRUNK, "iteration": 20, "kimg": 0.4, "sec": 7.5}


@pytest.fixture
def trunk(tmp_path):
    folder = RunFolder(tmp_path / TRUNK)
    folder.begin({"level": "off"}, {"cpu": "one"})
    for name in ("samples/film-000000010.npz", "samples/film-000000030.npz", "samples/final.npz"):
        path = folder.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    for name in ("weights.safetensors", "checkpoints/iteration-000000010.safetensors", "log.txt"):
        path = folder.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    (folder.path / "trajectory").mkdir()
    (folder.path / "trajectory" / "network.bin").write_bytes(b"12345")
    (folder.path / "mmengine" / "pickles").mkdir(parents=True)
    (folder.path / "mmengine" / "pickles" / "iter_20.pkl").write_text("")
    (folder.path / "mmengine" / "pickles" / "iter_21.pkl").write_text("")
    return folder


def made(folder, trunk, **options):
    with laid_down(folder, TRUNK) as part:
        fill(part, trunk, {"level": "on"}, PLACE, '{"format": 1}\n', **options)
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_branch_has_what_came_before_and_a_name_of_its_own(trunk, tmp_path):
    folder = tmp_path / "on"
    assert made(folder, trunk, riders=["other"]) == [
        *("log.txt", "machine.json", "mmengine/pickles/iter_20.pkl", "riders.json", "rows.jsonl"),
        *("samples/film-000000010.npz", "spec.yaml", "trajectory/network.bin"),
    ]
    assert (folder / "spec.yaml").read_text() == "level: 'on'\n"
    assert read_machine(folder / "machine.json") == {"cpu": "one", "shared": [PLACE]}
    assert riders(folder) == ("other",)


def test_one_that_never_parts_has_the_end_too(trunk, tmp_path):
    files = made(tmp_path / "on", trunk, ended=True)
    assert {"weights.safetensors", "samples/final.npz", "samples/film-000000030.npz"} <= {*files}
    assert not {"riders.json", "outcome.json"} & {*files}
    assert not any("checkpoint" in name for name in files)


def test_a_branch_of_a_branch_names_both(trunk, tmp_path):
    made(tmp_path / "on", trunk)
    made(tmp_path / "again", RunFolder(tmp_path / "on"))
    assert read_machine(tmp_path / "again" / "machine.json")["shared"] == [PLACE, PLACE]


def test_what_fails_on_the_way_leaves_nothing(trunk, tmp_path):
    full, folder = OSError(28, "No space left on device"), tmp_path / "on"
    told = pytest.raises(OutputError, match=r"/on: cannot be written \(No space")
    with told, laid_down(folder, TRUNK) as part:
        fill(part, trunk, {}, PLACE, "")
        raise full
    with pytest.raises(KeyboardInterrupt), laid_down(tmp_path / "on", TRUNK):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == [TRUNK]


def test_what_a_killed_process_left_is_cleared_away(trunk, tmp_path):
    left = tmp_path / ".on.0123456789.tmp"
    (left / "samples").mkdir(parents=True)
    (left / "half").touch()
    assert "half" not in made(tmp_path / "on", trunk)
    assert sorted(path.name for path in tmp_path.iterdir()) == [TRUNK, "on"]


def test_a_folder_that_another_process_made_meanwhile_stays(trunk, tmp_path):
    with laid_down(tmp_path / "on", TRUNK) as part:
        fill(part, trunk, {}, PLACE, "")
        (tmp_path / "on").mkdir()
        (tmp_path / "on" / "theirs").touch()
    assert [path.name for path in (tmp_path / "on").iterdir()] == ["theirs"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [TRUNK, "on"]


def test_halves_that_no_branch_comes_of_any_more_are_removed(trunk, tmp_path):
    write_riders(trunk.path, ["on"])
    for name in (".on.0123456789.tmp", ".on.9876543210.tmp"):
        (tmp_path / name).mkdir()
    write_riders(trunk.path, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == [".on.9876543210.tmp", TRUNK]


def test_riders_are_named_or_there_is_no_file(tmp_path):
    assert riders(tmp_path) == ()
    write_riders(tmp_path, ["a", "b"])
    assert riders(tmp_path) == ("a", "b")
    write_riders(tmp_path, [])
    write_riders(tmp_path, [])
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    "text", ['{"format": 1}', '{"format": 1, "runs": [1]}', "{", '{"runs": []}']
)
def test_riders_that_are_no_names_are_refused(text, tmp_path):
    (tmp_path / "riders.json").write_text(text)
    with pytest.raises(RecordsError, match=r"riders\.json: "):
        riders(tmp_path)


def line(quantity, arm, iteration, value=1.0):
    row = Row(quantity, arm, value, iteration / 50, iteration, iteration / 10)
    return json.dumps(row.as_dict()) + "\n"


HEADER = '{"format": 1}\n'
BEFORE = [line("fid[x]", "real", 0), line("loss/d", "run", 10), line("train/lr", "run", 10)]
MEASURED = [line("fid[x]", arm, 10) for arm in ("raw", "a")]
AFTER = [line("train/lr", "run", 10), line("time/train_sec", "run", 10), line("loss/d", "run", 11)]
LAST = [line("fid[x]", "raw", 20), line("time/train_sec", "run", 20), line("ema_error", "a", 20)]
OWN = [line("reduce_lr/value", "run", 10, 5.0), line("reduce_lr/old_lr", "run", 10, 6.0)]
THEIRS = {"reduce_lr/value": 7, "reduce_lr/old_lr": 8}


def test_another_rule_s_looks_stand_where_it_would_have_written_them():
    rows = HEADER + "".join([*BEFORE, *MEASURED, *OWN, *AFTER, *LAST])
    found = branch_rows(rows, {10: THEIRS, 20: {"reduce_lr/value": 9}})
    assert found.splitlines(keepends=True) == [
        *(HEADER, *BEFORE, *MEASURED),
        *(line("reduce_lr/value", "run", 10, 7), line("reduce_lr/old_lr", "run", 10, 8)),
        *(*AFTER, LAST[0], line("reduce_lr/value", "run", 20, 9), *LAST[1:]),
    ]


def test_a_run_without_a_rule_has_none_of_its_rows():
    rows = HEADER + "".join([*BEFORE, *MEASURED, *OWN, *AFTER])
    assert branch_rows(rows, {}) == HEADER + "".join([*BEFORE, *MEASURED, *AFTER])


def test_a_place_that_runs_do_not_write_is_refused(tmp_path):
    for wrong in ({"sec": -1}, {"kimg": "x"}, {"trunk": 1}, {"iteration": None}, {"sec": []}):
        (tmp_path / "machine.json").write_text(
            json.dumps({"format": 1, "shared": [{**PLACE, **wrong}]})
        )
        with pytest.raises(RecordsError, match="does not describe a machine"):
            read_machine(tmp_path / "machine.json")
    assert read_json(tmp_path / "machine.json")
