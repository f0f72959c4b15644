"""What was predicted when runs began is kept, whole, for those that began then."""

from harness.records.predicted import FILE, Prediction, note, of_run, read, write

LEVELS = {"-": {"run_sec": (100.0, 90.0, 120.0), "peak_rss_gib": (0.5, 0.4, 0.6)}}
ONE = Prediction("cpu", 3, "a calibration", LEVELS)
OTHER = Prediction("cpu", 2, "a guess", {"-": {"run_sec": (50.0, 20.0, 150.0)}})


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / FILE
    assert read(path) == ()
    write(path, [ONE, OTHER])
    assert read(path) == (ONE, OTHER)
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_a_first_prediction_holds_for_all(tmp_path):
    note(tmp_path, ONE, ["a", "b"], [])
    assert read(tmp_path / FILE) == (ONE,)
    assert of_run(read(tmp_path / FILE), "b", "-") == LEVELS["-"]
    assert of_run((ONE,), "b", "other") == {}
    assert of_run((), "b", "-") == {}


def test_runs_that_have_begun_keep_theirs(tmp_path):
    note(tmp_path, ONE, ["a", "b", "c"], [])
    note(tmp_path, OTHER, ["a", "b", "c"], ["a"])
    found = read(tmp_path / FILE)
    assert of_run(found, "a", "-") == LEVELS["-"]
    assert of_run(found, "b", "-") == of_run(found, "c", "-") == OTHER.levels["-"]
    note(tmp_path, ONE, ["a", "b", "c"], ["a", "b"])
    found = read(tmp_path / FILE)
    assert of_run(found, "b", "-") == OTHER.levels["-"]
    assert of_run(found, "c", "-") == LEVELS["-"]


def test_the_same_again_changes_nothing(tmp_path):
    note(tmp_path, ONE, ["a", "b"], [])
    before = (tmp_path / FILE).read_bytes()
    note(tmp_path, ONE, ["a", "b"], ["a"])
    note(tmp_path, OTHER, ["a", "b"], ["a", "b"])
    assert (tmp_path / FILE).read_bytes() == before


def test_where_no_run_has_begun_the_last_prediction_counts(tmp_path):
    note(tmp_path, ONE, ["a"], [])
    note(tmp_path, OTHER, ["a"], [])
    assert read(tmp_path / FILE) == (OTHER,)


def test_runs_from_before_there_were_predictions_have_none(tmp_path):
    note(tmp_path, ONE, ["a", "b"], ["a"])
    found = read(tmp_path / FILE)
    assert of_run(found, "a", "-") == {}
    assert of_run(found, "b", "-") == LEVELS["-"]
