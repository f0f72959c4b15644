"""What a report says of how its numbers were measured."""

from report_records import record
from small_spec import plan

from harness.report import frames
from harness.report.provenance import protocol

STYLED = {
    "model": {"type": "StyleGAN2", "out_scale": 16, "base_channels": 32},
    "data": {"type": "cifar10"},
    "evaluate__extractor": "inception-v3-compat",
}


def last_lines(folder, **fields):
    asked = plan(**fields)
    lines = protocol(frames.collect(asked, record(asked, folder))).splitlines()
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
