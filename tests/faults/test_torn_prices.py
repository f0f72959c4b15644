"""Calibrations, reports and predictions that are torn or foreign: ignored or refused in a line."""

import json

import pytest
from priced import TABLE, measured, question, reported
from small_spec import spec

from harness.errors import RecordsError
from harness.plan.calibration import path_of, read, write
from harness.plan.price import Place, price
from harness.records import predicted
from harness.records.predicted import FILE, Prediction, note, of_run

LEVELS = {"-": {"run_sec": (100.0, 90.0, 120.0), "peak_rss_gib": (0.5, 0.4, 0.6)}}
ONE = Prediction("cpu", 3, "a calibration", LEVELS)
OTHER = Prediction("cpu", 2, "a guess", {"-": {"run_sec": (50.0, 20.0, 150.0)}})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"version": 2', '"version": 3'),
        lambda text: text.replace('"format": 1', '"format": 99'),
        lambda text: text.replace('"name": "', '"name": "0'),
        lambda text: text.replace("24.0", "-24.0"),
        lambda text: text.replace("24.0", "NaN"),
        lambda text: text.replace("24.0", '"fast"'),
        lambda text: text.replace('"passes"', '"other"'),
        lambda text: text.replace('"scale": 8', '"scale": null'),
        lambda text: text.replace('"steps": [', '"steps": [], "x": ['),
    ],
)
def test_a_damaged_file_is_as_good_as_none_and_is_told(spoil, tmp_path):
    path = path_of(tmp_path, spec(), "cpu", 2, 1)
    write(path, measured())
    text = path.read_text()
    path.write_text(spoil(text))
    assert path.read_text() != text
    found, note = read(path, spec())
    assert found is None
    assert str(path) in note
    assert "ignored" in note


@pytest.mark.parametrize(
    "table",
    [
        "",
        "level,run_sec\n",
        "a,b\n1,2\n",
        TABLE.replace("100,80,130", "fast,80,130"),
        TABLE.replace("100,80,130", "100,,"),
        TABLE.replace("100,80,130", "nan,nan,nan"),
        TABLE.replace("100,80,130", "100,130,80"),
        TABLE.replace("reduce_lr=on", "reduce_lr=other"),
    ],
)
def test_a_report_without_seconds_of_every_level_is_not_used(table, tmp_path):
    reported(tmp_path, question(), table)
    assert "reported" not in price(question(), Place("cpu", 1, results=tmp_path)).source


@pytest.mark.parametrize("name", ["machine.json", "spec.yaml", "timing.csv"])
@pytest.mark.parametrize("text", [None, "", "{", "- a\n- b\n", "\0"])
def test_a_report_that_lost_a_file_is_not_used(name, text, tmp_path):
    reported(tmp_path, question())
    (tmp_path / name).unlink() if text is None else (tmp_path / name).write_text(text)
    assert "reported" not in price(question(), Place("cpu", 1, results=tmp_path)).source


def test_a_torn_file_holds_for_nobody_and_stops_nobody(tmp_path):
    note(tmp_path, ONE, ["a", "b"], [])
    (tmp_path / FILE).write_text("{")
    note(tmp_path, OTHER, ["a", "b"], ["a"])
    found = predicted.read(tmp_path / FILE)
    assert of_run(found, "a", "-") == {}
    assert of_run(found, "b", "-") == OTHER.levels["-"]


def changed(text, old, new):
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:40],
        lambda text: "[]",
        lambda text: changed(text, '"format": 1', '"format": 7'),
        lambda text: changed(text, '"format": 1', '"format": "1"'),
        lambda text: changed(text, "90.0", "110.0"),
        lambda text: changed(text, "90.0", "-1"),
        lambda text: changed(text, "120.0", "Infinity"),
        lambda text: changed(text, "120.0", "NaN"),
        lambda text: changed(text, "120.0", "1" + 400 * "0"),
        lambda text: changed(text, "90.0,", ""),
        lambda text: changed(text, '"jobs": 3', '"jobs": true'),
        lambda text: changed(text, '"cpu"', "5"),
        lambda text: changed(text, "a calibration", "a\\u0007b"),
        lambda text: changed(text, '"runs": null', '"runs": [1]'),
        lambda text: json.dumps({"format": 1, "predictions": 5}),
    ],
)
def test_another_content_is_refused_in_one_line(spoil, tmp_path):
    path = tmp_path / FILE
    predicted.write(path, [ONE])
    path.write_text(spoil(path.read_text()))
    with pytest.raises(RecordsError) as refused:
        predicted.read(path)
    (line,) = refused.value.lines
    assert line.startswith(str(path))
