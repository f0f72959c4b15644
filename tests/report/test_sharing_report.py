"""What a report says of runs that took over what another had trained."""

from report_records import MACHINE, RULES, plan_of, record

from harness.report import frames, provenance
from harness.report.text import markdown_blocks
from harness.report.verify import compare
from harness.report.write import write

PLACE = {"iteration": 1200, "kimg": 60.0, "sec": 90.0}
ASKED = plan_of(seeds=(0, 1), factors={"reduce_lr": RULES})


def shared(folder, resumed=()):
    """Leave two runs without a rule, and two that branched from them."""
    record(ASKED, folder)
    trunks = {run.seed: run.name for run in ASKED.runs[:2]}
    for run in ASKED.runs[2:]:
        one = ASKED.__class__(ASKED.experiment, ASKED.tier, ASKED.spec, (run,))
        earlier = {"trunk": "before", **PLACE, "sec": 1.0}
        places = [earlier, {"trunk": trunks[run.seed], **PLACE}]
        record(one, folder, machine={**MACHINE, "shared": places, "resumed": list(resumed)})
    return frames.collect(ASKED, folder)


def cost(results):
    return markdown_blocks(provenance.cost(results))


def test_a_report_says_what_was_trained_once_and_counted_more_often(tmp_path):
    told = cost(shared(tmp_path))
    assert (
        "2 runs were branched from another run of the same seed, up to where the two part: 120 of "
        "400 kimg were trained once for several runs."
    ) in told
    assert "180 s of them were spent once and are counted again." in told
    branch, trunk = ASKED.runs[2].name, ASKED.runs[0].name
    assert f"- `{branch}` from `{trunk}`, after 60.0 kimg." in told


def test_nothing_is_said_of_runs_apart(tmp_path):
    assert "branched" not in cost(frames.collect(ASKED, record(ASKED, tmp_path)))


def test_written_results_say_it_again(tmp_path):
    results = shared(tmp_path / "runs")
    write(results, None, tmp_path / "results")
    again = frames.read(tmp_path / "results")
    assert cost(again) == cost(results)
    assert "2 runs were branched" in (tmp_path / "results" / "report.md").read_text()
    plain = frames.collect(ASKED, record(ASKED, tmp_path / "apart"))
    assert compare(again, plain).check == "bits"
    assert compare(again, plain).holds


def test_a_branch_that_began_where_it_parted_was_not_resumed(tmp_path):
    here = {"iteration": 1200, "same_kind": True, "same_source": True}
    later, moved = {**here, "iteration": 1300}, {**here, "same_source": False}
    assert "resumed" not in shared(tmp_path / "a", [here]).machine
    assert len(shared(tmp_path / "b", [here, later]).machine["resumed"]) == 2
    assert len(shared(tmp_path / "c", [moved]).machine["resumed"]) == 2
