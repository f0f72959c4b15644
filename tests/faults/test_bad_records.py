"""Records that are torn, foreign or hostile: they are refused, and none is lost."""

import json
import math
import os
import random
import shutil

import pytest
from bad_input import harvest, hold, refused
from mutations import damaged
from records_world import world

from harness.report import figures

pytestmark = pytest.mark.timeout(60)

JUNK = {
    "empty": b"",
    "one line end": b"\n",
    "NUL bytes": b"\x00" * 64,
    "no UTF-8": b"\xff\xfe\x80",
    "UTF-16": '{"format": 1}\n'.encode("utf-16"),
    "lists 100,000 deep": b"[" * 100_000,
    "objects 20,000 deep": b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"\n",
    "a number of 5,000 digits": b'{"format": ' + b"1" * 5_000 + b"}\n",
    "a list": b"[1]\n",
    "a word": b"null\n",
    "HTML": b"<script>alert(1)</script>\n",
    "a pickle": b"\x80\x04\x95\x1e\x00\x00\x00cos\nsystem\n.",
    "a line of 3 MB": b"x" * 3_000_000,
    "a newer format": b'{"format": 99}\n',
    "a format that is text": b'{"format": "1"}\n',
    "a format that is true": b'{"format": true}\n',
    "no format": b'{"a": 1}\n',
}
RUN_FILES = ("machine.json", "outcome.json", "protocols.json", "rows.jsonl")
RESULT_FILES = ("machine.json", "protocols.json", "spec.yaml", "runs.csv", "outcomes.csv")


def _facts(facts):
    return {"protocols": {"swd": {"fingerprint": "0123456789", "facts": facts}}}


FIELDS = {  # of a run's JSON files: the file, its content changed
    "outcome: a status that is a number": ("outcome.json", {"status": 3}),
    "outcome: an unknown status": ("outcome.json", {"status": "done"}),
    "outcome: a status that is a list": ("outcome.json", {"status": []}),
    "outcome: no status": ("outcome.json", {"status": None}),
    "outcome: a reason that is a number": ("outcome.json", {"reason": 3}),
    "outcome: a reason that is null": ("outcome.json", {"reason": None}),
    "outcome: an iteration that is text": ("outcome.json", {"iteration": "x"}),
    "outcome: seconds that are a list": ("outcome.json", {"sec": [1]}),
    "outcome: a lone surrogate": ("outcome.json", {"reason": "\ud800"}),
    "machine: a source that is text": ("machine.json", {"source": "x"}),
    "machine: a digest that is a list": ("machine.json", {"source": {"digest": []}}),
    "machine: libraries that are a list": ("machine.json", {"libraries": ["torch"]}),
    "machine: kernels that are a number": ("machine.json", {"kernels": 3}),
    "machine: a processor that is a list": ("machine.json", {"cpu": [1]}),
    "machine: a lone surrogate": ("machine.json", {"cpu": "\udcff"}),
    "protocols: a list": ("protocols.json", {"protocols": []}),
    "protocols: none": ("protocols.json", {"protocols": None}),
    "protocols: of an unknown quantity": ("protocols.json", {"protocols": {"speed": {}}}),
    "protocols: a text": ("protocols.json", {"protocols": {"swd": "x"}}),
    "protocols: no facts": ("protocols.json", {"protocols": {"swd": {"fingerprint": "x"}}}),
    "protocols: a fact that is a list": ("protocols.json", _facts({"k": [1]})),
    "protocols: a fact with a line break": ("protocols.json", _facts({"k": "a\nb"})),
    "protocols: a fact named in HTML": ("protocols.json", _facts({"<b>": 1})),
    "protocols: facts of another fingerprint": ("protocols.json", _facts({"k": 3})),
    "protocols: a lone surrogate": ("protocols.json", _facts({"k": "\ud800"})),
}
ROWS = {  # a line put among a run's rows
    "a value that is text": {"value": "x"},
    "a value that is null": {"value": None},
    "a value that is a list": {"value": [1]},
    "a value that is true": {"value": True},
    "a value beyond floats": {"value": 10**400},
    "an iteration that is half": {"iteration": 0.5},
    "an iteration that is null": {"iteration": None},
    "an infinite iteration": {"iteration": float("inf")},
    "an iteration below 0": {"iteration": -1},
    "an iteration beyond 2^63": {"iteration": 2**64},
    "kimg that are text": {"kimg": "1"},
    "kimg that are not a number": {"kimg": float("nan")},
    "kimg that are infinite": {"kimg": float("inf")},
    "kimg below 0": {"kimg": -3.0},
    "seconds that are null": {"sec": None},
    "a quantity that is a number": {"quantity": 3},
    "a quantity that is a list": {"quantity": ["fid"]},
    "an unknown quantity": {"quantity": "speed"},
    "a loss on fresh latents": {"quantity": "fresh1/loss/d"},
    "a quantity of HTML": {"quantity": "fid[<script>]"},
    "a quantity of Markdown": {"quantity": "fid[`|x](http://x)"},
    "an arm that is null": {"arm": None},
    "an arm that is a list": {"arm": []},
    "an arm with a line break": {"arm": "a\nb"},
    "an arm of a lone surrogate": {"arm": "\ud800"},
    "a field too many": {"extra": 1},
}
LINES = {
    "no JSON": b"{\n",
    "a bare word": b"finished\n",
    "a list": b"[1, 2]\n",
    "an empty line": b"\n",
    "a row cut in the middle": b'{"quantity": "fid[digits-cnn]", "ar\n',
    "lists 100,000 deep": b"[" * 100_000 + b"\n",
    "a number of 5,000 digits": b"1" * 5_000 + b"\n",
    "a header in the middle": b'{"format": 1}\n',
}
CSV = {  # what stands in runs.csv and what takes its place
    "a value that is text": (",1.0\n", ",one\n"),
    "a field too few": (",1.0\n", "\n"),
    "a field too many": (",1.0\n", ",1.0,2.0\n"),
    "a seed that is text": ("-,0,", "-,zero,"),
    "a seed that was not planned": ("-,0,", "-,7,"),
    "a level that was not planned": (",-,0", ",x,0"),
    "a seed of 5,000 digits": ("-,0,", f"-,{'1' * 5000},"),
    "an iteration below 0": (",400,", ",-400,"),
    "an iteration that overflows": (",400,", f",{2**64},"),
    "kimg that are not a number": (",20.0,400", ",nan,400"),
    "kimg that are infinite": (",20.0,400", ",1e999,400"),
    "a column that is missing": ("run,level", "run"),
    "a column that is new": ("run,level", "run,new,level"),
    "columns in another order": ("run,level", "level,run"),
    "fresh latents of no number": ("fid[digits-cnn]", "fresh0/fid[digits-cnn]"),
    "a quantity of HTML": ("fid[digits-cnn]", "fid[<script>]"),
    "an unknown quantity": ("fid[digits-cnn]", "speed"),
    "an open quote": ("seed0-", '"seed0-'),
    "a field of 200,000 characters": ("seed0-", "x" * 200_000),
    "NUL in a field": ("seed0-", "\x00"),
}
SETTINGS = {
    "an experiment that is a list": ("experiment: demo", "experiment: [demo]"),
    "an experiment that goes up": ("experiment: demo", "experiment: ../../x"),
    "an experiment with a line break": ("experiment: demo", 'experiment: "a\\nb"'),
    "a tier that is a number": ("tier: quick", "tier: 3"),
    "a tier that is a path": ("tier: quick", "tier: ../x"),
    "no tier": ("tier: quick\n", ""),
    "a tag": ("tier: quick", "tier: !!python/name:os.system"),
    "an alias": ("tier: quick", "tier: &a quick\nquestion: *a"),
    "a wrong field": ("transition_kimgs: 10", "transition_kimgs: many"),
    "brackets 10,000 deep": ("tier: quick", "tier: " + "[" * 10_000),
}


@pytest.fixture(scope="session")
def sound(tmp_path_factory):
    """Return the folder of a spec, its runs and its results, as the harness wrote them."""
    return world(tmp_path_factory.mktemp("records"))


@pytest.fixture
def place(sound, tmp_path):
    """Return a copy of it that a test may break."""
    return shutil.copytree(sound, tmp_path / "world")


def arguments(place, command="report"):
    folders = ["--runs", place / "runs", "--results", place / "results"]
    return [command, place / "demo.yaml", *folders]


def verify(place):
    return ["verify", place / "results/demo/quick", "--tables-only"]


def a_run(place):
    return sorted((place / "runs/demo/quick").glob("seed0-*"))[0]


def results(place):
    return place / "results/demo/quick"


def rebuild(path, change):
    text = path.read_text()
    changed = change(text)
    assert changed != text
    path.write_text(changed)


@pytest.mark.parametrize("name", RUN_FILES)
@pytest.mark.parametrize("case", JUNK)
def test_a_run_s_file_of_junk(case, name, ledger, place):
    (a_run(place) / name).write_bytes(JUNK[case])
    answer = refused(arguments(place), place, [name])
    hold(ledger, "record", f"a run's {name}: {case}", answer)


@pytest.mark.parametrize("name", RESULT_FILES)
@pytest.mark.parametrize("case", JUNK)
def test_a_results_file_of_junk(case, name, ledger, whole, place):
    if not whole and name in {"outcomes.csv", "machine.json"}:
        pytest.skip("read as the others are")
    (results(place) / name).write_bytes(JUNK[case])
    hold(ledger, "record", f"results' {name}: {case}", refused(verify(place), place, [name]))


@pytest.mark.parametrize("case", FIELDS)
def test_a_field_of_another_type(case, ledger, place):
    name, fields = FIELDS[case]
    path = a_run(place) / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    hold(ledger, "record", case, refused(arguments(place), place, [name]))


@pytest.mark.parametrize("case", ROWS)
def test_a_row_that_cannot_be(case, ledger, place):
    path = a_run(place) / "rows.jsonl"
    header, first, *others = path.read_text().splitlines(keepends=True)
    wrong = json.dumps({**json.loads(first), **ROWS[case]}) + "\n"
    path.write_text("".join([header, wrong, *others]))
    hold(ledger, "record", f"a row: {case}", refused(arguments(place), place, ["rows.jsonl:2"]))


@pytest.mark.parametrize("case", LINES)
def test_a_line_that_is_no_row(case, ledger, place):
    path = a_run(place) / "rows.jsonl"
    header, *others = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([header, LINES[case], *others]))
    answer = refused(arguments(place), place, ["rows.jsonl:2"])
    hold(ledger, "record", f"a line among the rows: {case}", answer)


@pytest.mark.parametrize("case", CSV)
def test_a_table_that_cannot_be(case, ledger, place):
    old, new = CSV[case]
    rebuild(results(place) / "runs.csv", lambda text: text.replace(old, new, 1))
    hold(ledger, "record", f"runs.csv: {case}", refused(verify(place), place, ["runs.csv"]))


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_cannot_be(case, ledger, place):
    rebuild(results(place) / "spec.yaml", lambda text: text.replace(*SETTINGS[case], 1))
    answer = refused(verify(place), place, ["spec.yaml"])
    hold(ledger, "record", f"results' spec.yaml: {case}", answer)


def no_file(path, kind):
    """Put what is no file in place of one."""
    path.unlink()
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a link to itself":
        path.symlink_to(path.name)
    elif kind == "a device":
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "a link to itself", "a device"])
@pytest.mark.parametrize("name", [*RUN_FILES, *(f"results/{name}" for name in RESULT_FILES)])
def test_what_is_no_file(name, kind, ledger, place):
    of_results = name.startswith("results/")
    file = name.removeprefix("results/")
    no_file((results(place) if of_results else a_run(place)) / file, kind)
    asked = verify(place) if of_results else arguments(place)
    hold(ledger, "record", f"{name}: {kind} in its place", refused(asked, place, [file]))


@pytest.mark.parametrize("name", ["machine.json", "outcome.json"])
@pytest.mark.parametrize("case", ["empty", "a newer format", "lists 100,000 deep", "NUL bytes"])
def test_a_run_refuses_before_it_trains(case, name, ledger, place):
    (a_run(place) / name).write_bytes(JUNK[case])
    answer = refused(arguments(place, "run"), place, [name])
    hold(ledger, "record", f"harness run, a run's {name}: {case}", answer)


@pytest.mark.parametrize("case", ["empty", "a newer format", "objects 20,000 deep", "no UTF-8"])
def test_a_run_refuses_results_it_cannot_read(case, ledger, place):
    (results(place) / "machine.json").write_bytes(JUNK[case])
    answer = refused(arguments(place, "run"), place, ["machine.json"])
    hold(ledger, "record", f"harness run, results' machine.json: {case}", answer)


@pytest.mark.parametrize("name", ["weights.safetensors", "spec.yaml"])
@pytest.mark.parametrize("case", [case for case in JUNK if "format" not in case])
def test_what_is_drawn_from_is_junk(case, name, ledger, whole, place):
    folder = a_run(place)
    (folder / "weights.safetensors").write_bytes(b"")
    (folder / name).write_bytes(JUNK[case])
    for command in (["sample", folder], ["singan", folder, "sample"])[: 2 if whole else 1]:
        answer = refused(command, place, [name])
        hold(ledger, "record", f"harness {command[0]}, a run's {name}: {case}", answer)


@pytest.mark.parametrize(
    "value", [math.inf, -math.inf, math.nan, 1e308, 1e120, 5e-324, -0.0, 2**53]
)
def test_a_value_at_the_edge_is_reported_and_drawn(value, ledger, whole, place, capsys):
    if not whole and value != math.inf:
        pytest.skip("drawing takes seconds: one of a sample")
    for path in (place / "runs/demo/quick").glob("*/rows.jsonl"):
        header, *rows = map(json.loads, path.read_text().splitlines())
        changed = [header, *({**row, "value": value} for row in rows)]
        path.write_text("".join(json.dumps(row) + "\n" for row in changed))
    answer = refused(arguments(place), place, allowed=(0, 1))
    hold(ledger, "record", f"all values {value}", answer)


@pytest.mark.parametrize("missing", sorted({*RESULT_FILES} - {"protocols.json"}))
def test_results_that_lack_a_file(missing, ledger, place):
    (results(place) / missing).unlink()
    hold(ledger, "record", f"results: no {missing}", refused(verify(place), place, [missing]))


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_torn_last_row_is_left_out(cut, ledger, place, capsys):
    from harness.cli import main

    path = a_run(place) / "rows.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    code = main([*map(str, arguments(place))])
    answer = "left out, as promised" if code != 2 else "WRONG: refused"
    fields = {"kind": "record", "found_by": "by hand", "message": ""}
    ledger.add("inputs", case=f"a last row {cut} bytes short", answer=answer, **fields)
    assert code != 2, capsys.readouterr().err


@pytest.mark.parametrize("side", ["run", "results"])
def test_bytes_damaged_by_chance(side, ledger, whole, sound, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "DRAWINGS", {})  # seconds a case, of no new input
    chance = random.Random(f"records {side}")
    with harvest(ledger, "record", "fuzzer", f"bytes of a {side}'s files") as add:
        for number in range(500 if whole else 30):
            place = shutil.copytree(sound, tmp_path / str(number))
            folder, names = (
                (a_run(place), RUN_FILES) if side == "run" else (results(place), RESULT_FILES)
            )
            path = folder / chance.choice(names)
            path.write_bytes(damaged(path.read_bytes(), chance))
            asked = arguments(place) if side == "run" else verify(place)
            add(refused(asked, place, allowed=(0, 1)), f"{side}'s {path.name}, number {number}")
            shutil.rmtree(place)
