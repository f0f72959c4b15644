"""The fault suite's report says what the rows say, and of no rows that nothing was run."""

from fault_ledger import TABLES
from fault_report import report

KILL = {
    "model": "PGGAN",
    "kill": 1,
    "killed": "worker",
    "after_sec": "1.2",
    "killed_at": "25",
    "resumed_at": "25",
    "iterations": 100,
    "weights": "same",
    "shadows": "same",
    "rows": "same",
    "samples": "same",
    "lost": "nothing",
}
EMPTY = {name: [] for name in TABLES}


def test_kills_are_counted_by_model():
    kills = [
        KILL,
        {**KILL, "killed": "worker, 2 times", "killed_at": "0 + 90", "resumed_at": "0 + 90"},
        {**KILL, "model": "SinGAN", "lost": "rows: a|b", "rows": "a|b"},
        {**KILL, "model": "SinGAN", "killed_at": "100", "resumed_at": ""},
    ]
    text = report({**EMPTY, "kills": kills})
    assert "**3 of 4 killed runs of 2 models ended with the bits" in text
    assert "| PGGAN | 2 | 2 | 0% to 90% | 2 | 1 | 1 | nothing |" in text
    assert "| SinGAN | 2 | 1 | 25% to 100% | 1 | 0 | 0 | rows: a\\|b |" in text


def test_generated_inputs_are_counted_and_wrong_answers_said():
    given = {"kind": "spec", "found_by": "by hand", "answer": "refused", "message": "m"}
    chance = {**given, "found_by": "hypothesis"}
    inputs = [
        {**given, "case": "no model"},
        {**given, "case": "no data", "answer": "WRONG: a traceback"},
        {**chance, "case": "an example"},
        {**chance, "case": "in all, 1200 changed specs", "answer": "1200 refused", "message": ""},
    ]
    text = report({**EMPTY, "inputs": inputs})
    assert "Of 1,202 malformed inputs, **1** was answered wrongly." in text
    assert "| spec | by hand | 2 | 1 |\n| spec | hypothesis | 1200 | 0 |" in text


def test_other_faults_and_the_cost_of_a_resume_are_rows():
    fault = {"fault": "disk full", "done": "in a row", "promised": "failed", "held": "yes"}
    cost = {"model": "PGGAN", "iteration": 1_000_000, "read_sec": 0.01234}
    cost |= {"batches_replayed": 0, "first_step_sec": 0.5}
    tables = {"faults": [fault, {**fault, "held": "no: nothing was said"}], "resume_cost": [cost]}
    text = report({**EMPTY, **tables})
    assert "What is promised held in 1 of 2 other faults." in text
    assert "| disk full | in a row | failed | no: nothing was said |" in text
    assert "| PGGAN | 1,000,000 | 0 | 0.0123 | 0.500 |" in text


def test_what_was_not_run_is_said():
    text = report(EMPTY)
    assert text.count("\n\nNot run.") == 4
    assert "Kills were not run. Other faults were not run. Malformed inputs were not run." in text
