"""What a report says of how its numbers were measured."""

from report_records import MACHINE, record
from small_spec import plan

from harness.report import frames, provenance
from harness.report.tables import CLOCKS
from harness.report.text import markdown_blocks
from harness.report.verify import compare


def protocol(results):
    return markdown_blocks(provenance.protocol(results))


def cost(results):
    return markdown_blocks(provenance.cost(results))


def machine(results):
    return markdown_blocks(provenance.machine(results))


STYLED = {
    "model": {"type": "StyleGAN2", "out_scale": 16, "base_channels": 32},
    "data": {"type": "cifar10"},
    "evaluate__extractor": "inception-v3-compat",
}


def last_lines(folder, **fields):
    asked = plan(**fields)
    text = protocol(frames.collect(asked, record(asked, folder)))
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert [line.partition(":")[0] for line in lines[:3]] == [
        "- Model",
        "- Training",
        "- Evaluation",
    ]
    return lines[3:]


def test_neighbours_are_part_of_the_protocol(tmp_path):
    (line,) = last_lines(tmp_path, evaluate__metrics=["recall", "coverage"])
    assert line.startswith("- Metrics: recall, ")
    assert "of 3 neighbours (arXiv 1904.06991); coverage, " in line
    assert line.endswith("in their ball of 5 neighbours (arXiv 2002.09797).")


def test_paths_say_their_steps_noise_and_distance(tmp_path):
    *_, line = last_lines(tmp_path, evaluate__metrics=["fid", "ppl_z"], evaluate__ppl_pairs=70)
    assert line == (
        "- Path lengths: 70 steps of 1e-4 anywhere on whole paths, no crop, the same injected "
        "noise at both ends; distance `digits-cnn`, squared difference of features of length 1: "
        "not LPIPS."
    )
    files = {"weights": "a.pth", "vgg16_weights": "b.pth"}
    asked = STYLED | {"evaluate__metrics": ["ppl_w"], "evaluate__lpips": files}
    *_, line = last_lines(tmp_path / "lpips", **asked)
    assert line.endswith(
        ": 1000 steps of 1e-4 anywhere on whole paths, no crop, the same injected "
        "noise at both ends; distance `lpips-vgg16`."
    )


def test_truncation_is_said_where_there_is_any(tmp_path):
    *_, line = last_lines(tmp_path, **STYLED, evaluate__truncation=0.7)
    assert line == "- Generated images: truncation 0.7; path lengths without it."
    assert len(last_lines(tmp_path / "not", **STYLED, evaluate__truncation=1)) == 1


def test_the_eval_tax_is_a_column_for_every_level(results, levelled_results):
    head, _, line, _, words = cost(results).splitlines()
    column = head.split(" | ").index("eval tax")
    assert head.split(" | ")[column - 1] == "evaluation (s)"
    taxes = sorted(
        clocks["eval"] / sum(clocks.values())
        for seed in (0, 1, 2)
        if (clocks := {name: last(results, "-", seed, name) for name in CLOCKS})
    )
    low, median, high = (f"{tax:.1%}" for tax in taxes)
    assert line.split(" | ")[column] == f"{median} ({low} to {high})"
    assert line.split(" | ")[column - 1].count("%") == 0
    assert words.endswith("that of evaluations is the *eval tax*.")
    lines = cost(levelled_results).splitlines()[2:4]
    assert all("%" in line.split(" | ")[column] for line in lines)


def last(results, level, seed, clock):
    (curve,) = (
        curves[seed]
        for cell, curves in results.curves.items()
        if (cell.level, cell.quantity) == (level, f"time/{clock}_sec")
    )
    return curve[-1][1]


def resumed(folder, *places):
    asked = plan()
    record(asked, folder)
    moved = [{"iteration": at, "same_kind": kind, "same_source": src} for at, kind, src in places]
    one = asked.runs[0]
    run = folder / one.name
    record(plan(seeds=[one.seed]), folder, machine={**MACHINE, "resumed": moved})
    assert run.is_dir()
    return frames.collect(asked, folder), one.name


def test_a_resumed_run_is_said_to_be_exact_where_it_is(tmp_path):
    plain = frames.collect(plan(), record(plan(), tmp_path / "plain"))
    assert "resumed" not in machine(plain)
    results, _ = resumed(tmp_path / "same", (10, True, True), (20, True, True))
    told = "1 run was resumed, always on the same kind of machine and source: exact."
    assert machine(results).splitlines()[-1] == told
    assert compare(results, plain).check == "bits"


def test_a_run_that_moved_is_said_to_have_other_bits_and_from_where_on(tmp_path):
    places = ((10, True, True), (20, False, True), (30, True, False), (40, False, False))
    results, name = resumed(tmp_path / "moved", *places)
    *_, told, empty, first, second, third = machine(results).splitlines()
    assert told.startswith("1 run was resumed, not always on the same kind of machine and source.")
    assert "may differ" in told
    assert empty == ""
    assert first == f"- `{name}` from iteration 20 on, another machine."
    assert second == f"- `{name}` from iteration 30 on, another source."
    assert third == f"- `{name}` from iteration 40 on, another machine and another source."
    plain = frames.collect(plan(), record(plan(), tmp_path / "plain"))
    assert compare(results, plain).check == "spread"
