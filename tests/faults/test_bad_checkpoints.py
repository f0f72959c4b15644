"""Hostile checkpoints, pickles and weights: nothing in them runs, none is half imported."""

import hashlib
import json
import os
import pickle
import shutil
import struct
import zipfile

import hostile_archives
import hostile_pickles as hostile
import pytest
import torch
from bad_files import either, told
from bad_input import harvest, hold, refused
from fuzz import damaged
from hostile_pickles import saved, zip_checkpoint
from published import checkpoint, network, noises, published, state
from safetensors.torch import save, save_file
from tiny_singan import singan_run

from harness.checkpoints.kept import FILE, Generator, to_bytes
from harness.ema import snapshots
from harness.engine import checkpoints
from harness.engine.weights import _COUNTERS
from harness.errors import RecordsError
from harness.files.pickles import load_pickled_data, to_safetensors
from harness.metrics.features import load_extractor
from harness.metrics.perceptual import load_distance

CANARY = "canary"
RUNNING = [*hostile.running(CANARY)]
FILLING = [*hostile.filling()]
SIZED = [*hostile.wrongly_sized(["a"])]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to stand in; where a canary must not appear."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not (tmp_path / CANARY).exists()


def imported(path, model="pggan", *more):
    return ["import", path, "--model", model, *more, "--out", path.parent / "out"]


@pytest.mark.parametrize("case", RUNNING)
def test_code_in_a_checkpoint_is_not_run(ledger, place, case):
    value = hostile.running(place / CANARY)[case]
    for way, zipped in (("in a zip", True), ("in a bare pickle", False)):
        (place / "bad.pth").write_bytes(saved({"state_dict": {}, "extra": value}, zipped))
        answer = refused(imported(place / "bad.pth"), place)
        hold(ledger, "checkpoint", f"{case}, {way}", answer)
        assert not (place / CANARY).exists()


@pytest.mark.parametrize("case", RUNNING)
def test_code_in_a_pickle_is_not_run(ledger, place, case):
    path, _ = published(place, "singan")
    value = hostile.running(place / CANARY)[case]
    (place / "bad.pkl").write_bytes(pickle.dumps({"noise_weights": [value]}, 2))
    answer = refused(imported(path, "singan", "--noises", place / "bad.pkl"), place, ["bad.pkl"])
    hold(ledger, "pickle", case, answer)
    assert "which could run code" in answer.lines[0]


@pytest.mark.parametrize("case", RUNNING)
def test_code_in_an_extractors_weights_is_not_run(ledger, place, case):
    """The digest is right: whoever sends a spec with a file sends its digest, too."""
    content = saved({"fc.weight": hostile.running(place / CANARY)[case]})
    (place / "bad.pth").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    given = {"weights": place / "bad.pth", "weights_sha256": digest}
    answer = told(lambda: load_extractor("inception-v3-compat", **given), place, ["bad.pth"])
    hold(ledger, "weights", f"{case}, as Inception's weights", answer)
    files = {"weights": place / "bad.pth", "vgg16_weights": place / "bad.pth"}
    answer = told(lambda: load_distance("lpips-vgg16", **files), place, ["bad.pth"])
    hold(ledger, "weights", f"{case}, as LPIPS's weights", answer)


@pytest.mark.parametrize("case", FILLING)
def test_what_would_fill_the_memory_is_refused(ledger, place, case):
    path, _ = published(place, "singan")
    value = hostile.filling()[case]
    data = {"noise_weights": [1.0, 1.0, 1.0], "fixed_noises": [value] * 3}
    for protocol in (2, 5):
        (place / "bad.pkl").write_bytes(pickle.dumps(data, protocol))
        asked = imported(path, "singan", "--noises", place / "bad.pkl")
        answer = refused(asked, place, ["bad.pkl"])
        hold(ledger, "pickle", f"{case}, protocol {protocol}", answer)
        if case != "an array of 2^60 numbers":  # which is empty, whatever it is told
            assert "is damaged" in answer.lines[0]
    (place / "bad.pth").write_bytes(saved({"state_dict": {}, "extra": value}))
    answer = refused(imported(place / "bad.pth"), place)
    hold(ledger, "checkpoint", case, answer)
    if case != "an array of 2^60 numbers":
        assert "holds no weights" not in answer.lines[0]


@pytest.mark.parametrize("case", SIZED)
def test_tensors_larger_than_their_bytes_are_no_weights(ledger, place, case):
    value = hostile.wrongly_sized(state(network("pggan"), "generator"))[case]
    (place / "bad.pth").write_bytes(saved(value))
    hold(ledger, "checkpoint", case, refused(imported(place / "bad.pth"), place))


@pytest.mark.parametrize("case", hostile.streams())
def test_a_stream_that_is_no_pickle_is_refused(ledger, place, case):
    path, _ = published(place, "singan")
    (place / "bad.pkl").write_bytes(hostile.streams()[case])
    asked = imported(path, "singan", "--noises", place / "bad.pkl")
    hold(ledger, "pickle", case, refused(asked, place, ["bad.pkl"]))
    parts = hostile.parts_of(saved({"a": 1}))
    name = next(name for name in parts if name.endswith("data.pkl"))
    (place / "bad.pth").write_bytes(zip_checkpoint({**parts, name: hostile.streams()[case]}))
    hold(ledger, "checkpoint", f"{case}, in a zip", refused(imported(place / "bad.pth"), place))


def _giant(place):
    """A few entries that tell of a network of terabytes."""
    entries = {
        "noise2feat.linear.weight_orig": torch.zeros(1, 2**18),
        "noise2feat.bias": torch.zeros(1),
        "torgb_layers.0.conv.weight_orig": torch.zeros(3, 2**18, 1, 1),
        "torgb_layers.0.conv.bias": torch.zeros(3),
    }
    return saved(checkpoint(state_of(entries)))


def state_of(entries):
    return {f"generator.{name}": value for name, value in entries.items()}


def _with(changes):
    def made(place):
        held = state(network("pggan"), "generator")
        return saved(checkpoint({**held, **changes(held)}))

    return made


def _itself(place):
    content = {"state_dict": {}}
    content["state_dict"] = content
    return saved(content)


def _deflated(place):
    return zip_checkpoint({"a/data.pkl": b"x", "a/data/0": bytes(2**26)}, zipfile.ZIP_DEFLATED)


CHECKPOINTS = {
    "of a network of terabytes": _giant,
    "that holds itself": _itself,
    "packed, 64 MiB in 64 KB": _deflated,
    "with a member above its folder": lambda _: zip_checkpoint({"../../data.pkl": b"}."}),
    "with a program of TorchScript": lambda _: zip_checkpoint(
        {"a/data.pkl": b"\x80\2}.", "a/constants.pkl": b"\x80\2).", "a/code/x.py": b"import os"}
    ),
    "a tar, as torch wrote in 2016": lambda _: hostile_archives._tar(),
    "of another family": lambda place: published(place, "stylegan2")[0].read_bytes(),
    "NaN in one weight": _with(
        lambda held: {name: value * float("nan") for name, value in [*held.items()][:1]}
    ),
    "an infinite weight": _with(
        lambda held: {name: value + float("inf") for name, value in [*held.items()][:1]}
    ),
    "shapes the wrong way round": _with(
        lambda held: {name: value.mT for name, value in held.items() if value.ndim == 2}
    ),
    "scalars for weights": _with(lambda held: dict.fromkeys(held, torch.tensor(1.0))),
    "empty weights": _with(lambda held: dict.fromkeys(held, torch.zeros(0))),
    "whole numbers for weights": _with(lambda held: {n: v.long() for n, v in held.items()}),
    "text for weights": _with(lambda held: dict.fromkeys(held, "weights")),
    "a stage that is no number": _with(
        lambda _: {
            "_curr_scale_int": torch.zeros(2),
            "_curr_transition_weight": torch.tensor(float("nan")),
        }
    ),
    "a layer of number 10^9": _with(
        lambda _: {"generator.torgb_layers.1000000000.conv.weight_orig": torch.zeros(1)}
    ),
    "a name of 10^6 characters": _with(lambda _: {"generator." + "x" * 10**6: torch.zeros(1)}),
    "a name with an escape": _with(lambda _: {"generator.\x1b[2J\n": torch.zeros(1)}),
    "no names": lambda _: saved([torch.zeros(1)]),
    "numbers for names": lambda _: saved({"state_dict": {1: torch.zeros(1), (2, 3): 4}}),
}


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_a_checkpoint_that_does_not_fit_is_refused(ledger, place, case):
    (place / "bad.pth").write_bytes(CHECKPOINTS[case](place))
    hold(ledger, "checkpoint", case, refused(imported(place / "bad.pth"), place))


@pytest.mark.parametrize("case", hostile.broken_safetensors())
def test_broken_safetensors_are_refused_by_all_that_read_them(ledger, place, whole, case):
    content = hostile.broken_safetensors()[case]
    (place / "bad.safetensors").write_bytes(content)
    path = place / "bad.safetensors"
    hold(ledger, "checkpoint", f"safetensors: {case}", refused(imported(path), place))
    hold(ledger, "weights", f"generator: {case}", refused(["sample", path], place))
    digest = hashlib.sha256(content).hexdigest()
    extractor = told(
        lambda: load_extractor("digits-cnn", weights=path, weights_sha256=digest),
        place,
        [path.name],
    )
    hold(ledger, "weights", f"digits-cnn: {case}", extractor)
    hold(ledger, "weights", f"snapshot: {case}", told(lambda: snapshots.find(place), place))


def _kept(**changes):
    """A file as `harness import` writes it, with changes to what it says of itself."""
    arguments = {"noise_size": 6, "out_scale": 16, "base_channels": 32, "max_channels": 8}
    content = to_bytes(Generator("pggan", arguments, network("pggan")))
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    about = json.loads(header["__metadata__"]["gan_harness"]) | changes
    header["__metadata__"]["gan_harness"] = json.dumps(about)
    return hostile.safetensors(header, content[8 + length :])


KEPT = {
    "a format of the future": {"format": 99},
    "a format that is a list": {"format": [[]]},
    "a family that is none": {"family": "\x1b[2Jvae"},
    "a family that is a list": {"family": ["pggan"]},
    "arguments that are a list": {"arguments": [1]},
    "an unknown argument": {"arguments": {"__class__": "os", "\x1b[2J": 1}},
    "an argument of 10^9 layers": {"arguments": {"num_mlps": 10**9}},
    "an argument of 2^4000 px": {"arguments": {"out_scale": 2**4000}},
    "channels below 0": {"arguments": {"base_channels": -1}},
    "text for channels": {"arguments": {"base_channels": "many"}},
    "a size that is infinite": {"arguments": {"out_scale": float("inf")}},
    "noise weights that are text": {"noise_weights": "abc"},
    "a stage that is a list": {"stage": [1]},
    "a stage of no size": {"stage": {"curr_scale": -4, "transition_weight": "all"}},
    "no source": {"source": None},
}


@pytest.mark.parametrize("case", KEPT)
def test_a_generators_file_that_lies_is_refused(ledger, place, case):
    (place / FILE).write_bytes(_kept(**KEPT[case]))
    asked = ["sample", place / FILE, "--seeds", "0", "--out", place / "out"]
    answer = refused(asked, place, [FILE, "curr_scale"])
    hold(ledger, "weights", f"generator.safetensors: {case}", answer)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return singan_run(tmp_path_factory.mktemp("singan"), model__iters_per_scale=1)[1].path


@pytest.mark.parametrize(
    "case",
    ["NaN", "text for a weight", "no noises", "noises that are text", "a shape", "deep JSON"],
)
def test_a_runs_weights_that_lie_are_refused(ledger, place, run, case):
    shutil.copytree(run, place / "run")
    file = place / "run" / "weights.safetensors"
    held = load_pickled_data(file)
    name = next(name for name, value in held.items() if isinstance(value, torch.Tensor))
    changed = {
        "NaN": {name: held[name] * float("nan")},
        "text for a weight": {name: "text"},
        "no noises": {_COUNTERS: {}},
        "noises that are text": {_COUNTERS: {**held[_COUNTERS], "fixed_noises": "abc"}},
        "a shape": {name: torch.zeros(7)},
        "deep JSON": {},
    }[case]
    file.write_bytes(to_safetensors({**held, **changed}))
    if case == "deep JSON":
        save_file({}, file, {"harness_tree": '{"a":' * 50_000 + "1" + "}" * 50_000})
    asked = ["singan", place / "run", "sample", "--out", place / "out"]
    hold(ledger, "weights", f"a run's weights: {case}", refused(asked, place))


@pytest.mark.parametrize("header", [{}, {"sigma_rel": "nan"}, {"sigma_rel": "9"}, {"images": "-1"}])
def test_a_snapshot_that_lies_is_refused(ledger, place, header):
    about = {"sigma_rel": "0.1", "images": "7", **header} if header else {}
    (place / "a.safetensors").write_bytes(save({"a": torch.ones(1)}, about))
    hold(ledger, "weights", f"snapshot: {header}", told(lambda: snapshots.find(place), place))


@pytest.mark.parametrize("thing", ["pipe", "folder", "missing"])
def test_what_is_no_file_is_waited_for_by_nobody(ledger, place, thing):
    path = place / "bad.pth"
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "missing": lambda: None}[thing]()
    hold(ledger, "checkpoint", f"a {thing}", refused(imported(path), place))
    hold(ledger, "weights", f"a {thing}", refused(["sample", path], place))
    singan, _ = published(place, "singan")
    asked = imported(singan, "singan", "--noises", path)
    hold(ledger, "pickle", f"a {thing}", refused(asked, place))


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors", "pickle"])
def test_damaged_files_are_refused_or_read(ledger, whole, place, kind):
    held = {"generator.a.weight": torch.arange(6.0), "generator.b": torch.ones(2, 2)}
    sound = {
        "zip": lambda: saved(checkpoint(held)),
        "legacy": lambda: saved(checkpoint(held), zipped=False),
        "safetensors": lambda: save(held),
        "pickle": lambda: noises(place).read_bytes(),
    }[kind]()
    path = place / "bad.pth"
    row = "pickle" if kind == "pickle" else "checkpoint"
    with harvest(ledger, row, "fuzzer", f"damaged files, {kind}") as add:
        for number, data in enumerate(damaged(sound, 1000 if whole else 25, seed=kind)):
            path.write_bytes(data)
            if kind == "pickle":
                answer = told(lambda: load_pickled_data(path), place, [path.name])
            else:
                answer = refused(imported(path), place, [path.name])
            add(either(answer), f"{kind}, damage {number}")


def test_a_runs_checkpoint_of_deep_json_is_torn(place):
    path = place / "iteration-000000001.safetensors"
    text = '{"a":' * 50_000 + "1" + "}" * 50_000
    header = {"format": "1", "sha256": checkpoints._digest("1", {}, text), "data": text}
    path.write_bytes(save({}, header))
    with pytest.raises((checkpoints.Torn, RecordsError)):
        checkpoints.load(path)
