"""Rows read at once are those that are read one by one, and so are their refusals."""

import json
from dataclasses import asdict

import pytest

from harness.errors import RecordsError
from harness.records import rows
from harness.records.rows import Columns, read_columns, read_rows
from harness.records.types import Row

ROWS = [
    Row("fid[digits-cnn]", "real", 0.5, 0.0, 0, 0.0),
    Row("fid[digits-cnn]", "raw", float("inf"), 0.3, 15, 2.25),
    Row("loss/d", "run", float("nan"), 0.3, 15, 2.5),
    Row("loss/g", "run", -1.0, 0.3, 15, 2.5),
]


def write(path, lines, end=""):
    text = "".join(f"{line}\n" for line in ['{"format": 1}', *lines])
    path.write_text(text + end)
    return path


def lines_of(found):
    return [json.dumps(asdict(row)) for row in found]


def by_field(found):
    return Columns(*([getattr(row, name) for row in found] for name in Columns._fields))


@pytest.fixture
def refused_one_by_one(monkeypatch):
    def refuse(path, lines):
        raise AssertionError("these rows are as runs write them")

    monkeypatch.setattr(rows, "_read", refuse)


@pytest.mark.usefixtures("refused_one_by_one")
def test_what_runs_write_is_read_at_once(tmp_path):
    found = read_columns(write(tmp_path / "rows.jsonl", lines_of(ROWS)))
    assert repr(found) == repr(by_field(ROWS))  # NaN is not equal to itself


@pytest.mark.parametrize(
    "odd",
    [
        '{"quantity": "is", "arm": "raw", "value": 2, "kimg": 1, "iteration": 7, "sec": 3}',
        ' {"quantity": "is", "arm": "raw", "value": 2.0, "kimg": 1.0, "iteration": 7, "sec": 3.0}',
        '{"arm": "raw", "quantity": "is", "value": 2.0, "kimg": 1.0, "iteration": 7, "sec": 3.0} ',
    ],
    ids=["whole numbers", "a space before", "a space behind"],
)
def test_unusual_rows_are_rows_and_become_floats(tmp_path, odd):
    path = write(tmp_path / "rows.jsonl", [*lines_of(ROWS), odd])
    found = read_columns(path)
    assert repr(found) == repr(by_field([*ROWS, Row("is", "raw", 2.0, 1.0, 7, 3.0)]))
    assert {type(number) for column in found[2:4] for number in column} == {float}


GOOD = lines_of(ROWS)[0]


@pytest.mark.parametrize(
    "change",
    [
        ('"value": 0.5', '"value": true'),
        ('"value": 0.5', '"value": "0.5"'),
        ('"kimg": 0.0', '"kimg": -1.0'),
        ('"kimg": 0.0', '"kimg": NaN'),
        ('"kimg": 0.0', f'"kimg": {10**400}'),
        ('"sec": 0.0', '"sec": Infinity'),
        ('"iteration": 0', '"iteration": 0.0'),
        ('"iteration": 0', '"iteration": false'),
        ('"iteration": 0', f'"iteration": {2**53 + 1}'),
        ('"fid[digits-cnn]"', '"speed"'),
        ('"real"', '"re\\nal"'),
        ('"real"', '["real"]'),
        ('"sec": 0.0', '"sec": 0.0, "more": 1'),
        (', "sec": 0.0', ""),
        ("}", '}, {"quantity": 1}'),
        (GOOD, "[1, 2, 3, 4, 5, 6]"),
        (GOOD, ""),
    ],
    ids=str,
)
def test_both_ways_refuse_a_row_with_the_same_words(tmp_path, change):
    assert change[0] in GOOD
    path = write(tmp_path / "rows.jsonl", [*lines_of(ROWS), GOOD.replace(*change)])
    with pytest.raises(RecordsError) as one_by_one:
        read_rows(path)
    with pytest.raises(RecordsError) as at_once:
        read_columns(path)
    assert str(at_once.value) == str(one_by_one.value)
    assert f"{path}:6: " in str(at_once.value)


@pytest.mark.parametrize(
    "pair",
    [
        (GOOD.replace("real", "re}"), "{" + GOOD.replace("real", "re}").partition("re}")[2]),
        (f"{GOOD[:-1]}, [{{}}", GOOD[1:]),
        (f"{GOOD}, {GOOD}", '"more"'),
        ('{"quantity": "fid[digits-cnn]", "arm": "re}', "{al" + GOOD.partition("real")[2]),
        (f"{GOOD},", GOOD),
        (f"{GOOD}\u2028", GOOD),
        (GOOD, f"{{{GOOD}"),
        (GOOD.partition(" ")[0], GOOD.partition(" ")[2]),
    ],
)
def test_lines_that_are_rows_only_together_are_none(tmp_path, pair):
    path = write(tmp_path / "rows.jsonl", [*lines_of(ROWS), *pair])
    with pytest.raises(RecordsError) as one_by_one:
        read_rows(path)
    with pytest.raises(RecordsError) as at_once:
        read_columns(path)
    assert str(at_once.value) == str(one_by_one.value)


def test_a_brace_in_a_name_is_no_row_s(tmp_path):
    odd = Row("fid", "a{b}", 1.0, 2.0, 3, 4.0)
    found = read_columns(write(tmp_path / "rows.jsonl", lines_of([*ROWS, odd])))
    assert found.arm[-1] == "a{b}"


@pytest.mark.parametrize("end", ["", '{"quantity": "fid', GOOD])
def test_a_row_that_a_crash_cut_off_is_left_out(tmp_path, end):
    path = write(tmp_path / "rows.jsonl", lines_of(ROWS), end)
    assert read_columns(path).iteration == [0, 15, 15, 15]


def test_no_rows_are_none(tmp_path):
    assert read_columns(tmp_path / "rows.jsonl") == Columns([], [], [], [], [], [])
    assert read_columns(write(tmp_path / "rows.jsonl", [])).value == []
