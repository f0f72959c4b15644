"""What is read from a spec's file, and how every problem in it is worded."""

import re
import time
from pathlib import Path

import pytest
from small_spec import TEXT, content, write

from harness.errors import SpecError
from harness.spec.load import load, validated

MESSAGES = [
    ("  kimg: 0.6\n", "  kimg: lots\n", "FILE:12: train.kimg: 'lots' is not a number"),
    ("  kimg: 0.6\n", "", "FILE:11: train.kimg: is missing"),
    ("kimg: 0.6", "kimg: 0", "FILE:12: train.kimg: 0 is not in [0.001, 1e9] thousand images"),
    ("kimg: 0.6", "kimg: .inf", "FILE:12: train.kimg: inf is not a finite number"),
    ("size: 20", "size: 1.5", "FILE:13: train.batch_size: 1.5 is not a whole number"),
    ("size: 20", "size: true", "FILE:13: train.batch_size: true is not a number"),
    ("size: 20", "size: {}", "FILE:13: train.batch_size: {} is empty: name at least one"),
    (
        "size: 20",
        "size: {5: 2}",
        "FILE:13: train.batch_size.5: 5 is not a power of two in [4, 1024]",
    ),
    (
        "size: 20",
        "size: {4: 0}",
        "FILE:13: train.batch_size.4: 0 is not a whole number in [1, 2^31)",
    ),
    ("seeds: [0, 1]", "seeds: 3", "FILE:20: seeds: 3 is not a list"),
    ("seeds: [0, 1]", "seeds: []", "FILE:20: seeds: [] is empty: name at least one"),
    ("seeds: [0, 1]", "seeds: [0, x]", "FILE:20: seeds.1: 'x' is not a number"),
    (
        "question: Which",
        "question: [Which",
        "FILE:2: is not YAML: did not find expected ',' or ']'",
    ),
    ("question: Which average is best?", "question: 3", "FILE:1: question: 3 is not text"),
    (
        "type: PGGAN",
        "type: DCGAN",
        "FILE:3: model.type: 'DCGAN' is not one of 'PGGAN', 'StyleGAN1', 'StyleGAN2', 'SinGAN'",
    ),
    (
        "momentum: 0.1",
        "momentum: 1.5",
        "FILE:23: observers.ema.m0.1.interp_cfg.momentum: 1.5 is not in (0, 1)",
    ),
    (
        "momentum: 0.1",
        "momentm: 0.1",
        "FILE:23: observers.ema.m0.1.interp_cfg.momentm: is not a field; did you mean 'momentum'?; "
        "known: momentum, decay, half_life_kimg, momentum_nontrainable, inv_gamma, power, rampup, "
        "sigma_rel",
    ),
    (
        "{interp_cfg: {momentum: 0.1}}",
        "3",
        "FILE:23: observers.ema.m0.1: 3 is not a mapping of fields",
    ),
    (
        "extractor: digits-cnn",
        "extractor: {type: digits-cnn, weigths: a}",
        "FILE:17: evaluate.extractor.weigths: is not a field; did you mean 'weights'?; "
        "known: type, weights, weights_sha256",
    ),
    (
        "extractor: digits-cnn",
        "extractor: vgg",
        "FILE:17: evaluate.extractor: 'vgg' is not one of 'digits-cnn', 'inception-v3-compat' or "
        "'random-conv-64'",
    ),
    (
        "metrics: [fid]",
        "metrics: [fid, fad]",
        "FILE:19: evaluate.metrics.1: 'fad' is not one of 'fid', 'fid_inf', 'is', 'kid', "
        "'precision', 'recall', 'density', 'coverage', 'swd', 'ms_ssim', 'ppl_z', 'ppl_w', "
        "'sifid' or 'diversity'",
    ),
    (
        "seeds: [0, 1]",
        "seeds: [0, 1]\nhooks: [{type: VisualisationHook}]",
        "FILE:21: hooks.0.type: 'VisualisationHook' is not a hook; did you mean "
        "'VisualizationHook'?; known: VisualizationHook, PickleDataHook",
    ),
    ("seeds: [0, 1]", "seeds: [0, 1]\nseeds: [2]", "FILE:21: seeds: stands twice"),
    ("size: 20", "size: *b", "FILE:13: *b is an alias: write out what it stands for"),
    (
        "size: 20",
        "size: !!python/object/apply:os.system [id]",
        "FILE:13: is not YAML: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object/apply:os.system'",
    ),
]


def problems(path: Path, *overrides: str, tier: str = "quick") -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(path, tier, overrides)
    return list(caught.value.problems)


@pytest.mark.parametrize(("old", "new", "message"), MESSAGES, ids=[m[2][:50] for m in MESSAGES])
def test_a_problem_names_file_line_path_value_and_what_is_allowed(old, new, message, tmp_path):
    assert old in TEXT
    path = write(tmp_path, TEXT.replace(old, new, 1))
    assert problems(path) == [message.replace("FILE", str(path))]


def test_all_problems_of_a_file_at_once(tmp_path):
    text = TEXT.replace("momentum: 0.1", "momentum: 1.5").replace("[fid]", "[fid, fad]")
    text = text.replace("seeds: [0, 1]", "seeds: [1, 1]\nhooks: [{type: A}, {type: IterTimerHook}]")
    path = write(tmp_path, text.replace("{type: digits}", "{type: digits, rot: a}"))
    found = problems(path)
    assert [re.sub(r".*yaml:(\d+: [\w.]+).*", r"\1", problem) for problem in found] == [
        "10: data.rot",
        "19: evaluate.metrics.1",
        "24: observers.ema.m0.1.interp_cfg.momentum",
        "20: seeds",
        "21: hooks.0.type",
        "21: hooks.1.type",
    ]


def test_a_wrong_field_draws_no_other_complaint(tmp_path):
    text = TEXT.replace("[fid]", "[fid, kid]\n  kid_subset_size: many")
    assert len(problems(write(tmp_path, text))) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "{}: is not a mapping of fields such as 'question: ...'"),
        (b"- 1\n", "{}: is not a mapping of fields such as 'question: ...'"),
        (b"a: \xff\xfe", "{}: is not a text file in UTF-8"),
        (b"a: " + b"[" * 45_000, "{}:1: nested more than 20 deep"),
        (b"#" * 50_001, "{}: is too large (50000 bytes at most)"),
        (b"a: &a [x]\nb: [*a, *a]\n", "{}:2: *a is an alias: write out what it stands for"),
        (b"a: &a [*a]\n", "{}:1: *a is an alias: write out what it stands for"),
        (b"? [1]\n: 2\n", "{}:1: is not YAML: found unhashable key"),
        (b"a: !!int x\n", "{}: is not YAML: invalid literal for int() with base 10: 'x'"),
        (b"a: !!timestamp x\n", None),
        (b"a: 1\n---\nb: 2\n", "{}:2: is not YAML: but found another document"),
        (b"a: \x00", None),
        (b"null: 1\n1: 2\n", None),
        (b'"a\\nb": 1\n', None),
    ],
)
def test_odd_files_are_refused_in_one_line_and_at_once(data, message, tmp_path):
    path = write(tmp_path, data)
    begin = time.process_time()
    found = problems(path)
    assert time.process_time() - begin < 3
    assert all(len(line.splitlines()) == 1 for line in found)
    assert found == [message.format(path)] if message else found[0].startswith(str(path))


def test_a_largest_spec_is_read_in_seconds(tmp_path):
    path = write(tmp_path, "a: [" + "1," * 24_000 + "]")
    begin = time.process_time()
    assert any("a: is not a field" in problem for problem in problems(path))
    assert time.process_time() - begin < 10


def test_a_missing_file_and_a_folder(tmp_path):
    absent = tmp_path / "no.yaml"
    assert problems(absent) == [f"{absent}: cannot be read (No such file or directory)"]
    assert problems(tmp_path) == [f"{tmp_path}: cannot be read (Is a directory)"]


def test_a_tier_lies_over_the_spec_and_keeps_its_lines(tmp_path):
    path = write(tmp_path)
    assert load(path).train.kimg == 0.6
    assert load(path, "gpu").train.kimg == 2
    assert load(path, "gpu").train.batch_size == 20
    wrong = write(tmp_path, TEXT.replace("{kimg: 2}", "{kimg: 0}"))
    assert problems(wrong, tier="gpu") == [
        f"{path}:26: train.kimg: 0 is not in [0.001, 1e9] thousand images"
    ]
    assert problems(path, tier="huge") == [f"{path}: tier 'huge' is not one of quick, gpu"]


def test_a_tier_replaces_a_section_of_another_type(tmp_path):
    tier = "    data: {type: image_folder, root: a}\n"
    data = load(
        write(tmp_path, TEXT.replace("digits}", "zip, root: b, broken: skip}") + tier), "gpu"
    )
    assert (data.data.type, data.data.root, data.data.broken) == ("image_folder", "a", "refuse")


def test_a_tier_may_be_another_file(tmp_path):
    (tmp_path / "other").mkdir()
    write(tmp_path / "other", TEXT.replace("best?", "best there?"))
    path = write(tmp_path, TEXT.replace("\n    train: {kimg: 2}", " other/question.yaml"))
    assert load(path, "gpu").question == "Which average is best there?"
    here = write(
        tmp_path, TEXT.replace("\n    train: {kimg: 2}", " question.yaml\n  quick: question.yaml")
    )
    assert problems(here, tier="gpu") == [
        f"{here}:26: tiers.quick: 'question.yaml' leads back to this file"
    ]
    number = write(tmp_path, TEXT.replace("\n    train: {kimg: 2}", " 3"))
    assert "gpu: 3 is neither a mapping of fields nor the path" in problems(number, tier="gpu")[0]


def test_what_is_validated_without_a_file_names_the_path_alone():
    with pytest.raises(SpecError, match=r"^train\.kimg: 0 is not in"):
        validated(content(train__kimg=0))
