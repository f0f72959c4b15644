import inspect

from harness.records.silent import SilentFolder
from harness.records.store import RunFolder
from harness.records.types import Outcome, Row, Status


def test_a_silent_folder_leaves_no_trace(tmp_path):
    folder = SilentFolder(tmp_path / "run")
    assert folder.lock()
    folder.begin({"a": 1}, {"cpu": "x"}, None)
    folder.append([Row("fid", "raw", 1.0, 0.1, 1, 0.5)])
    folder.end(Outcome(Status.FINISHED))
    folder.unlock()
    assert list(tmp_path.rglob("*")) == []


def test_it_reads_what_another_wrote(tmp_path):
    RunFolder(tmp_path).end(Outcome(Status.DIVERGED, "so it was", 3, 1.0))
    assert SilentFolder(tmp_path).outcome() == Outcome(Status.DIVERGED, "so it was", 3, 1.0)


def test_all_that_writes_is_silenced():
    reading = {"holds", "mark", "outcome", "rows", "columns"}
    public = {name for name, _ in inspect.getmembers(RunFolder, inspect.isfunction)}
    named = {name for name in public if not name.startswith("_")}
    assert named - reading == {n for n in vars(SilentFolder) if not n.startswith("_")}
