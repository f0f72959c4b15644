"""The ledger keeps what it is given, and nothing else."""

import pytest
from fault_ledger import Ledger

from harness.records.files import read_json


def test_a_table_is_written_in_one_order_whatever_the_tests_order_was(tmp_path):
    ledger = Ledger()
    for name in ("wind", "frost"):
        ledger.add("faults", fault=name, done="a", promised="b", held="yes")
    ledger.write(tmp_path)
    assert (tmp_path / "faults.csv").read_text() == (
        "fault,done,promised,held\nfrost,a,b,yes\nwind,a,b,yes\n"
    )
    assert read_json(tmp_path / "machine.json")["device"] == "cpu"
    assert not (tmp_path / "kills.csv").exists()


def test_numbers_are_sorted_as_numbers_and_the_report_stands_beside_them(tmp_path):
    ledger = Ledger()
    for iteration in (1_000_000, 10):
        fields = {"read_sec": 0.5, "batches_replayed": 0, "first_step_sec": None}
        ledger.add("resume_cost", model="PGGAN", iteration=iteration, **fields)
    ledger.write(tmp_path)
    lines = (tmp_path / "resume_cost.csv").read_text().splitlines()
    assert lines[1:] == ["PGGAN,10,0.5,0,", "PGGAN,1000000,0.5,0,"]
    assert "| PGGAN | 1,000,000 | 0 | 0.500 |  |" in (tmp_path / "report.md").read_text()


def test_a_row_that_names_this_machine_s_folders_is_refused(tmp_path):
    with pytest.raises(ValueError, match="names the folder of its case"):
        Ledger().add("faults", fault="frost", done=f"in {tmp_path}", promised="b", held="yes")


def test_a_row_of_other_fields_is_refused():
    with pytest.raises(ValueError, match="fields are"):
        Ledger().add("faults", fault="frost")
