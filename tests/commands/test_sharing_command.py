"""`harness run` shares what begins alike, says so, and does without where it is told to."""

import json

from small_spec import RULE

from harness.cli import main
from harness.report import frames
from harness.report.verify import compare

LEVELS = {"off": None, "on": {**RULE, "scheduler": {"patience": 1, "threshold": 0.99}}}
ASKED = (
    *("question.yaml", "seeds=[0]", "train.kimg=0.4", "evaluate.every_kimg=0.1"),
    *(f"factors={json.dumps({'reduce_lr': LEVELS})}", "evaluate.fake_images=60"),
)


def test_a_question_is_answered_by_the_same_bits_shared_or_apart(place, capsys):
    assert main(["run", *ASKED]) == 0
    assert "  shared     1 run branches from another" in capsys.readouterr().out
    assert main(["run", *ASKED, "--no-share", "--runs", "apart", "--results", "other"]) == 0
    assert "  shared     " not in capsys.readouterr().out
    once, each = (next(place.glob(f"{name}/question/*/report.md")) for name in ("results", "other"))
    told = "1 run was branched from another run of the same seed"
    assert told in once.read_text()
    assert told not in each.read_text()
    found = compare(frames.read(once.parent), frames.read(each.parent))
    assert (found.check, found.holds) == ("bits", True)
    (shared,) = frames.read(once.parent).machine["shared"]
    assert shared["kimg"] == 0.3
