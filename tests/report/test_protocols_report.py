"""Numbers of several protocols: never in one column, never compared, and said to be apart."""

import csv
import json
from dataclasses import replace

import pytest
from report_records import FID, IS, MACHINE, SHADOWS, plan_of, record

from harness.errors import RecordsError
from harness.records.protocols import FILE, Protocol, named, write
from harness.report import figures, frames
from harness.report.answer import answer
from harness.report.leaderboard import main_table, other_metrics, within_levels
from harness.report.markdown import readme_table
from harness.report.provenance import protocol
from harness.report.tables import summary
from harness.report.text import markdown_blocks
from harness.report.verify import check_tables, compare
from harness.report.write import write as write_results

FACTS = {
    "metric": "fid",
    "extractor": "digits-cnn",
    "extractor_sha256": "f6" * 32,
    "real_images": 1797,
    "real_sha256": "ab" * 32,
    "form": "|m - m'|^2 <b>*",
}
ALL = Protocol(FACTS)
FEW = Protocol(FACTS | {"real_images": 600, "real_sha256": "cd" * 32})
SCORE = Protocol({"metric": "is", "extractor": "digits-cnn"})
FID_ALL, FID_FEW = named(FID, ALL), named(FID, FEW)
SETS = {"data.max_images": {"all": None, "few": 600, "fewer": 600}}


def measured(plan, folder, by, **records):
    """Return results whose runs have the protocols that ``by`` gives for level and seed."""
    runs = record(plan, folder, **records)
    for run in plan.runs:
        if own := by(run.level, run.seed):
            write(runs / run.name / FILE, own)
    return frames.collect(plan, runs)


def alike(level, seed):
    return {FID: ALL, IS: SCORE}


def by_level(level, seed):
    return {FID: ALL if level.endswith("=all") else FEW, IS: SCORE}


@pytest.fixture
def undrawn(monkeypatch):
    monkeypatch.setattr(figures, "DRAWINGS", {})


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return measured(plan_of(), tmp_path_factory.mktemp("one"), alike)


@pytest.fixture(scope="module")
def sets():
    return plan_of(factors=SETS, shadows={"paper": SHADOWS["paper"]})


@pytest.fixture(scope="module")
def split(sets, tmp_path_factory):
    """The level ``all`` against other images than ``few`` and ``fewer``."""
    return measured(sets, tmp_path_factory.mktemp("split"), by_level)


def test_results_of_one_protocol_have_it_by_their_usual_names(one, results):
    assert dict(one.protocols) == {FID: ALL, IS: SCORE}
    assert one.metrics == results.metrics == (FID, IS)
    assert one.rows == results.rows
    assert answer(one) == answer(results)
    assert readme_table(one) == readme_table(results)


def test_the_report_shows_every_fact_once_and_as_text(one):
    text = markdown_blocks(protocol(one))
    assert (
        f"| FID[digits-cnn] | `{ALL.fingerprint}` | digits-cnn, weights f6f6f6f6f6, 1797 real"
        in text
    )
    assert f"| IS[digits-cnn] | `{SCORE.fingerprint}` | digits-cnn |" in text
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert "| all | `extractor` | digits-cnn |" in lines
    assert f"| FID[digits-cnn] | `real_sha256` | {'ab' * 32} |" in lines
    assert "| FID[digits-cnn] | `form` | \\|m - m'\\|^2 &lt;b&gt;\\* |" in lines
    assert sum("`extractor`" in line for line in lines) == 1


def test_older_results_say_that_theirs_is_not_recorded(results):
    assert "not recorded" in markdown_blocks(protocol(results))
    assert "`real_sha256`" not in markdown_blocks(protocol(results))


def test_levels_of_other_images_are_other_quantities(split):
    assert split.metrics == (FID_FEW, FID_ALL, IS)  # that of most numbers first
    assert dict(split.protocols) == {FID_ALL: ALL, FID_FEW: FEW, IS: SCORE}
    levels = {(line.cell.quantity, line.cell.level) for line in summary(split)}
    assert {(q, level.partition("=")[2]) for q, level in levels if q != IS} == {
        (FID_ALL, "all"),
        (FID_FEW, "few"),
        (FID_FEW, "fewer"),
    }


def test_no_difference_crosses_protocols(split):
    for line in summary(split):
        if line.cell.quantity != IS:
            assert line.to_first is None
    assert any(line.to_first for line in summary(split) if line.cell.quantity == IS)
    by_metric = {q: [x for x in summary(split) if x.cell.quantity == q] for q in split.metrics}
    families = {q: {x.to_raw.family for x in lines if x.to_raw} for q, lines in by_metric.items()}
    assert families == {FID_FEW: {2}, FID_ALL: {1}, IS: {3}}  # Holm's correction, each by itself


def test_the_answer_says_so_first_and_answers_for_each(split):
    text = answer(split)
    assert text.startswith(
        f"`fid[digits-cnn]` was measured by 2 protocols, whose numbers are not compared: "
        f"`{FEW.fingerprint}` of `data.max_images=few`, `data.max_images=fewer`; "
        f"`{ALL.fingerprint}` of `data.max_images=all`. They differ in real_images (600, 1797), "
        "real_sha256 (cdcdcdcdcd, ababababab). "
    )
    for name in (FID_ALL, FID_FEW):
        assert name.replace("fid", "FID") in text
    assert "than `data.max_images=all`" not in text


def test_tables_are_one_for_each_protocol(split):
    blocks = (main_table(split), within_levels(split))
    for text in (readme_table(split), *map(markdown_blocks, blocks)):
        tables = [part for part in text.split("\n\n") if part.startswith("| ")]
        for table in tables:
            head, _, body = table.partition("\n")
            levels = {name for name in ("all", "few", "fewer") if f"images={name}`" in body}
            of_all, of_few = (name.replace("fid", "FID") in head for name in (FID_ALL, FID_FEW))
            assert of_all != of_few
            assert levels <= ({"all"} if of_all else {"few", "fewer"})
    others = markdown_blocks(other_metrics(split))
    assert "FID" not in others
    assert "IS[digits-cnn]" in others


def test_a_seed_of_another_protocol_is_apart_in_one_level(tmp_path):
    plan = plan_of()
    found = measured(plan, tmp_path, lambda level, seed: {FID: FEW if seed == 1 else ALL})
    assert found.metrics == (FID_ALL, FID_FEW, IS)
    seeds = {line.cell.quantity: line.last.n for line in summary(found) if line.cell.arm == "raw"}
    assert seeds == {FID_ALL: 2, FID_FEW: 1, IS: 3}
    assert f"`{ALL.fingerprint}` of seeds 0, 2; `{FEW.fingerprint}` of seed 1." in answer(found)


def test_runs_without_a_record_are_apart_from_those_with_one(tmp_path):
    found = measured(plan_of(), tmp_path, lambda level, seed: {FID: ALL} if seed else {})
    unknown = named(FID, None)
    assert found.metrics == (FID_ALL, unknown, IS)
    assert dict(found.protocols) == {FID_ALL: ALL}
    assert "`unknown` of seed 0. Of one no facts were recorded. " in answer(found)
    assert "| FID[digits-cnn;protocol=unknown] | not recorded |" in markdown_blocks(protocol(found))


def test_split_results_are_written_drawn_read_and_verified(split, tmp_path):
    write_results(split, None, tmp_path)
    back = frames.read(tmp_path)
    assert back.protocols == split.protocols
    assert back.rows == split.rows
    assert check_tables(tmp_path) == []
    with (tmp_path / "summary.csv").open() as file:
        assert {line["metric"] for line in csv.DictReader(file)} == {FID_ALL, FID_FEW, IS}
    assert (tmp_path / "curves.png").is_file()


@pytest.mark.usefixtures("undrawn")
def test_results_without_protocols_leave_no_file_of_earlier_ones(one, results, tmp_path):
    write_results(one, None, tmp_path)
    assert (tmp_path / FILE).is_file()
    write_results(results, None, tmp_path)
    assert not (tmp_path / FILE).exists()
    assert check_tables(tmp_path) == []


@pytest.mark.usefixtures("undrawn")
def test_edited_facts_are_found(one, tmp_path):
    write_results(one, None, tmp_path)
    held = json.loads((tmp_path / FILE).read_text())
    held["protocols"][FID]["facts"]["real_images"] = 1796
    (tmp_path / FILE).write_text(json.dumps(held))
    with pytest.raises(RecordsError, match="were the facts edited"):
        check_tables(tmp_path)


def test_new_runs_of_another_protocol_are_not_compared(one, tmp_path):
    other = measured(plan_of(), tmp_path, lambda level, seed: {FID: FEW, IS: ALL})
    found = compare(other, one)
    assert (found.check, found.holds, found.failed) == ("protocol", False, 2)
    head, first, second = found.sentence.splitlines()
    assert head.startswith("not compared")
    assert first == (
        f"{FID}: real_images is 600, committed 1797; real_sha256 is cdcdcdcdcd, "
        "committed ababababab"
    )
    assert second.startswith(f"{IS}: metric is fid, committed is; ")
    assert compare(one, one).check == "bits"
    elsewhere = replace(other, machine={**MACHINE, "cpu": "Other CPU"})
    assert compare(elsewhere, one).check == "protocol"


def test_new_runs_that_are_split_are_not_compared_with_whole_ones(one, tmp_path):
    new = measured(plan_of(), tmp_path, lambda level, seed: {FID: FEW if seed else ALL, IS: SCORE})
    for ours, theirs in ((new, one), (one, new)):
        found = compare(ours, theirs)
        assert (found.check, found.failed) == ("protocol", 1)
        assert "real_images is" in found.worst


def test_committed_runs_without_a_record_are_still_compared(one, results):
    assert compare(one, results).holds
    assert compare(results, one).holds
