"""What is written of benchmarks: goals of all, whatever was measured when."""

import csv

from harness.bench.finding import Finding, Goal
from harness.bench.suite import write


class Found(Finding):
    def __init__(self, goals, pictures=None):
        self._goals, self._pictures = goals, pictures or {}

    @property
    def sentence(self):
        return "It is fast."

    def csv(self):
        return "sec\n1\n"

    @property
    def goals(self):
        return self._goals

    @property
    def pictures(self):
        return self._pictures


def test_a_goal_is_a_bound_from_above_or_from_below():
    assert Goal("a", 1.0, 1, 1, "at most", 1.0).met
    assert not Goal("a", 1.01, 1, 1, "at most", 1.0).met
    assert Goal("a", 1.0, 1, 1, "at least", 1.0).met
    assert not Goal("a", 0.99, 1, 1, "at least", 1.0).met


def test_goals_of_other_benchmarks_stay(tmp_path):
    write("threads", Found([Goal("an old one", 1.0, 0.9, 1.1, "at most", 2.0)]), tmp_path)
    write("certificate", Found([Goal("notes, each", 3.0, 2.5, 3.5, "at most", 2.0, "s")]), tmp_path)
    write("threads", Found([Goal("a new one", 1.5, 1.4, 1.6, "at least", 1.0)]), tmp_path)
    with (tmp_path / "goals.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["benchmark"], row["what"]) for row in rows] == [
        ("certificate", "notes, each"),
        ("threads", "a new one"),
    ]
    report = (tmp_path / "report.md").read_text()
    assert "| notes, each | 3 s | 2.5 to 3.5 | at most 2 s | **missed** |" in report
    assert "| a new one | 1.5 | 1.4 to 1.6 | at least 1 | met |" in report


def test_pictures_stand_beside_the_page(tmp_path):
    write("threads", Found([], {"a.png": ("How it grows", b"bytes")}), tmp_path)
    assert (tmp_path / "a.png").read_bytes() == b"bytes"
    assert "![How it grows](a.png)" in (tmp_path / "threads.md").read_text()
