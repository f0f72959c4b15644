"""Dotted overrides reach every field, and a wrong one is blamed on the command line."""

from pathlib import Path
from types import UnionType
from typing import get_args, get_origin

import pytest
from pydantic import BaseModel
from small_spec import TEXT, content, write

from harness.errors import SpecError
from harness.spec.load import apply_override, load
from harness.spec.schema import Extractor, Fast, Posthoc, Spec


def problems(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(path, overrides=overrides)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("train.kimg=1e0", ("train", "kimg"), 1.0),
        ("train.batch_size.8=32", ("train", "batch_size"), {4: 20, 8: 32}),
        ("train.lr_per_scale.8=0.5", ("train", "lr_per_scale"), {8: 0.5}),
        ("model.nkimgs_per_scale.8=3", ("model", "nkimgs_per_scale"), {4: 0.2, 8: 3}),
        ("train.optimizer.betas.0=0.5", ("train", "optimizer", "betas"), (0.5, 0.99)),
        ("train.optimizer.betas=[0.5, 0.9]", ("train", "optimizer", "betas"), (0.5, 0.9)),
        ("seeds.1=7", ("seeds",), (0, 7)),
        ("data.max_images=null", ("data", "max_images"), None),
    ],
)
def test_overrides(override, path, value, tmp_path):
    file = write(tmp_path, TEXT.replace("log_every", "optimizer: {betas: [0, 0.99]}\n  log_every"))
    found = load(file, overrides=[override])
    for name in path:
        found = getattr(found, name)
    assert found == value


def test_overrides_reach_names_with_dots(tmp_path):
    spec = load(write(tmp_path), overrides=["observers.ema.m0.1.interp_cfg.momentum=0.25"])
    assert {name: ema.interp_cfg.momentum for name, ema in spec.observers.ema.items()} == {
        "m0.1": 0.25
    }


def test_the_extractor_s_options_are_fields_however_it_was_written(tmp_path):
    for override in (
        "evaluate.extractor=inception-v3-compat",
        "evaluate.extractor.type=inception-v3-compat",
    ):
        spec = load(write(tmp_path), overrides=[override, "evaluate.extractor.weights=w.pth"])
        assert spec.evaluate.extractor == Extractor(type="inception-v3-compat", weights="w.pth")


def test_a_wrong_override_is_blamed_on_the_command_line(tmp_path):
    file = write(tmp_path)
    assert problems(file, "observers.ema.fast.interp_cfg.momentum=1.5", "train.kimgs=3") == [
        "command line: train.kimgs: is not a field; did you mean 'kimg'?; known: kimg, batch_size, "
        "optimizer, lr_per_scale, reset_optimizer_per_scale, loss, augment, fast, log_every_kimg",
        "command line: observers.ema.fast.interp_cfg.momentum: 1.5 is not in (0, 1)",
    ]


def test_a_section_given_whole_is_the_command_line_s_in_all_its_fields(tmp_path):
    (problem,) = problems(write(tmp_path), "model={type: PGAN, noise_size: 8}")[:1]
    assert problem.startswith("command line: model.type: 'PGAN' is not one of 'PGGAN', ")


@pytest.mark.parametrize(
    "override",
    ["train.kimg", "=3", "train kimg=3", "a..b=1", ".=1", "train.kimg.=1", "train.kimg=[1", "a=*b"],
)
def test_malformed_overrides_are_quoted_back(override, tmp_path):
    (problem,) = problems(write(tmp_path), override)
    assert problem.startswith(f"command line: {override!r}")


def test_all_malformed_overrides_are_named(tmp_path):
    found = problems(write(tmp_path), "a", "train.kimg.x=1", "seeds.9=1")
    assert found == [
        "command line: 'a' is not an override: write path=value, as train.kimg=20",
        "command line: train.kimg: 0.6 has no field 'x'",
        "command line: seeds.9: is not an item of the list, which has 2",
    ]


def test_an_override_changes_a_copy():
    before = content()
    apply_override(before, "train.optimizer.lr", 0.5)
    apply_override(before, "seeds.0", 9)
    assert before == content()


def leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        section = field.annotation
        if get_origin(section) is UnionType and (*path, name) in (("model",), ("train", "loss")):
            section = get_args(section)[0]
        if isinstance(section, type) and issubclass(section, BaseModel):
            found += leaves(section, (*path, name))
        else:
            found.append(".".join((*path, name)))
    return found


VALUES = {
    "question": "Why?",
    "model.noise_size": 9,
    "model.base_channels": 64,
    "model.max_channels": 9,
    "model.fused": False,
    "model.mbstd_group": 2,
    "model.paper_form": False,
    "model.transition_kimgs": 0.05,
    "data.crop": "center",
    "data.broken": "skip",
    "data.max_images": 100,
    "train.kimg": 0.5,
    "train.batch_size": 10,
    "train.optimizer.lr": 0.5,
    "train.optimizer.betas": (0.5, 0.5),
    "train.optimizer.eps": 1e-7,
    "train.lr_per_scale": {8: 0.5},
    "train.reset_optimizer_per_scale": True,
    "train.loss.penalty_weight": 1.0,
    "train.loss.drift_weight": 1.0,
    "train.loss.drift": "both",
    "train.fast": Fast(channels_last=True),
    "train.log_every_kimg": 0.2,
    "evaluate.every_kimg": 0.2,
    "evaluate.fake_images": 700,
    "evaluate.metrics": ("fid", "is"),
    "evaluate.kid_subsets": 3,
    "evaluate.kid_subset_size": 9,
    "evaluate.batch_size": 50,
    "evaluate.first_kimg": 0.1,
    "evaluate.fresh": 2,
    "evaluate.ppl_pairs": 20,
    "evaluate.reference": "real.npz",
    "seeds": (5,),
    "model.nkimgs_per_scale": {4: 0.1, 8: 0.1},
    "evaluate.extractor": "inception-v3-compat",
    "observers.ema": {},
    "observers.posthoc": Posthoc(every_kimg=0.05, rebuild=(0.1, 0.2)),
    "tiers": {},
    "factors": {},
    "hooks": ({"type": "VisualizationHook", "interval": 3},),
}
TOGETHER = {"data.root": "data.type=image_folder"}
ONLY_VALUE = {
    "model.type": "PGGAN",
    "model.out_scale": 8,
    "data.type": "digits",
    "data.root": "a",
    "train.optimizer.type": "Adam",
    "train.loss.type": "wgan-gp",
}


OF_OTHER_MODELS = {"train.augment", "evaluate.truncation", "evaluate.lpips"}


@pytest.mark.parametrize("path", [path for path in leaves(Spec) if path not in OF_OTHER_MODELS])
def test_every_field_can_be_set_by_its_dotted_path(path, tmp_path):
    """A new field fails here until it has a value in the table above."""
    value = (VALUES | ONLY_VALUE)[path]
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    text = str(list(plain) if isinstance(plain, tuple) else plain)
    also = [TOGETHER[path]] if path in TOGETHER else []
    file = write(tmp_path)
    spec, before = load(file, overrides=[f"{path}={text}", *also]), load(file)
    for name in path.split("."):
        spec, before = getattr(spec, name), getattr(before, name)
    assert spec == value
    assert path in ONLY_VALUE or before != value or value == {}
