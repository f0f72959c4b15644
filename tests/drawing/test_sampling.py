"""`harness sample`: a seed's image is the same however it is asked for; what cannot be is said."""

import json
from itertools import pairwise
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from published import NETWORKS, network, published
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_spec import content

from harness.checkpoints.kept import Generator, to_bytes
from harness.cli import main
from harness.drawing.drawers import drawer
from harness.drawing.subjects import open_subject
from harness.engine.families import gan
from harness.engine.weights import networks_of, packed
from harness.errors import RecordsError
from harness.images import to_uint8
from harness.records.store import dump_yaml
from harness.spec.load import validated


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with an imported generator of each family in it, to stand in."""
    monkeypatch.chdir(tmp_path)
    maps = tuple(torch.randn(1, 3 if n else 1, 8 + n, 10 + n) for n in range(3))
    for family, arguments in NETWORKS.items():
        given = {name: value for name, value in arguments.items() if name != "type"}
        more = {"noise_weights": (1.0, 0.3, 0.2), "fixed_noises": maps}
        kept = Generator(family, given, network(family), **(more if family == "singan" else {}))
        (tmp_path / family).mkdir()
        (tmp_path / family / "generator.safetensors").write_bytes(to_bytes(kept))
    return tmp_path


def drawn(*arguments):
    """Run a command that draws into a folder; return its files' pixels by name."""
    out = Path(f"out-{len([*Path().iterdir()])}")
    assert main(["sample", *map(str, arguments), "--out", str(out)]) == 0
    return {path.name: iio.imread(path) for path in sorted(out.iterdir())}


def refused(capsys, *arguments):
    """Return the one line that a command is refused with; it writes nothing."""
    before = sorted(Path().rglob("*"))
    capsys.readouterr()
    assert main(["sample", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert sorted(Path().rglob("*")) == before
    return line.removeprefix("harness: ")


@pytest.mark.parametrize("family", NETWORKS)
def test_a_seeds_image_is_the_same_in_any_batch_and_order(place, family):
    many = drawn(family, "--seeds", "0-4,9")
    few = drawn(family, "--seeds", "9,3")
    assert sorted(many) == [*(f"seed-{n:04}.png" for n in (0, 1, 2, 3, 4, 9)), "seeds-0-4,9.png"]
    assert np.array_equal(few["seed-0009.png"], many["seed-0009.png"])
    assert np.array_equal(few["seed-0003.png"], many["seed-0003.png"])
    assert not np.array_equal(few["seed-0003.png"], few["seed-0009.png"])


def test_a_grid_holds_the_images_in_the_order_of_their_seeds(place):
    files = drawn("pggan", "--seeds", "5,2")
    large = [files[f"seed-{n:04}.png"].repeat(4, 0).repeat(4, 1) for n in (5, 2)]
    white = np.full((len(large[0]), 4, 3), 255, np.uint8)
    whole = np.concatenate([large[0], white, large[1]], axis=1)
    assert np.array_equal(files["seeds-5,2.png"], whole)


def test_sixteen_seeds_are_drawn_where_nothing_is_asked_for(place):
    assert main(["sample", "pggan/generator.safetensors"]) == 0
    names = {path.name for path in (place / "drawn" / "pggan").iterdir()}
    assert names == {*(f"seed-{n:04}.png" for n in range(16)), "seeds-0-15.png"}


def test_drawing_again_changes_nothing_and_never_overwrites(place, capsys):
    assert main(["sample", "pggan", "--seeds", "1"]) == 0
    image = place / "drawn/pggan/seed-0001.png"
    before = image.stat().st_mtime_ns
    assert main(["sample", "pggan", "--seeds", "1"]) == 0
    assert image.stat().st_mtime_ns == before
    image.write_bytes(b"mine")
    told = refused(capsys, "pggan", "--seeds", "0-1")
    assert told.startswith(
        "drawn/pggan/seed-0001.png: there already, and not what would be written"
    )
    assert image.read_bytes() == b"mine"


def test_truncation_draws_styles_towards_their_mean(place):
    spread = {}
    for psi in ("0", "0.5", "1"):
        files = drawn("stylegan2", "--seeds", "0-3", "--truncation", psi)
        images = [image.astype(float) for name, image in files.items() if name.startswith("seed-")]
        spread[psi] = np.std(images, axis=0).mean()
        end = "" if psi == "1" else f"-truncation-{psi}"
        assert f"seed-0000{end}.png" in files
    assert spread["0"] == 0
    assert 0 < spread["0.5"] < spread["1"]


@pytest.mark.parametrize(
    ("family", "space"), [("pggan", "z"), ("stylegan2", "z"), ("stylegan2", "w")]
)
def test_a_film_goes_through_the_images_of_its_seeds(place, family, space):
    files = drawn(
        *(family, "--interpolate", "0,1,2", "--frames", "9", "--space", space),
        *("--seeds", "0-2", "--out", "film"),
    )
    (film,) = (files[name] for name in files if name.endswith(".gif"))
    assert film.shape == (9, 128, 128, 3)
    for frame, seed in ((0, 0), (4, 1), (8, 2)):
        image = files[f"seed-{seed:04}.png"].repeat(8, 0).repeat(8, 1)
        # A GIF has 256 colours a frame.
        assert np.abs(film[frame].astype(int) - image).mean() < 4
    steps = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(film)]
    assert min(steps) > 0.5


def test_straight_ways_in_w_are_not_those_in_z(place):
    films = {}
    for space in ("z", "w"):
        files = drawn("stylegan2", "--interpolate", "0,1", "--frames", "3", "--space", space)
        assert list(files) == [f"interpolation-{space}-0,1-3.gif"]
        films[space] = files[f"interpolation-{space}-0,1-3.gif"].astype(int)
    assert np.abs(films["z"][1] - films["w"][1]).mean() > 1
    assert np.abs(films["z"][0] - films["w"][0]).mean() == 0


def test_a_mixing_grid_takes_the_columns_styles_in_the_given_layers(place):
    files = drawn(
        *("stylegan2", "--mix-rows", "0-1", "--mix-columns", "2-4", "--layers", "0-5"),
        *("--seeds", "0-4"),
    )
    tile, gap = 64, 4
    whole = files["mix-0-1-by-2-4-layers-0-5.png"]
    assert whole.shape == (3 * (tile + gap) - gap, 4 * (tile + gap) - gap, 3)

    def at(grid, row, column):
        return grid[row * (tile + gap) :, column * (tile + gap) :][:tile, :tile]

    images = [files[f"seed-{n:04}.png"].repeat(4, 0).repeat(4, 1) for n in range(5)]
    assert (at(whole, 0, 0) == 255).all()
    for row in (1, 2):
        assert np.array_equal(at(whole, row, 0), images[row - 1])
        for column in (1, 2, 3):
            assert np.array_equal(at(whole, 0, column), images[column + 1])
            # All six layers of 16 px: nothing of the row is left.
            assert np.array_equal(at(whole, row, column), images[column + 1])
    part = drawn("stylegan2", "--mix-rows", "0-1", "--mix-columns", "2", "--layers", "4-5")
    mixed = part["mix-0-1-by-2-layers-4-5.png"]
    near = np.abs(at(mixed, 1, 1).astype(int) - images[0]).mean()
    assert 0 < near < np.abs(at(mixed, 1, 1).astype(int) - images[2]).mean()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["pggan", "--truncation", "0.7"], "--truncation 0.7: a pggan has no mean style"),
        (["singan", "--truncation", "0.7"], "--truncation 0.7: a singan has no mean style"),
        (["stylegan2", "--truncation", "nan"], "--truncation nan: give a number in [-1, 1]"),
        (["pggan", "--interpolate", "0,1", "--space", "w"], "--space w: a pggan interpolates in z"),
        (["singan", "--interpolate", "0,1"], "--interpolate: a singan has no codes between two"),
        (["pggan", "--interpolate", "0"], "--interpolate 0: give two seeds or more"),
        (["pggan", "--interpolate", "0-3", "--frames", "3"], "--interpolate 0-3: give two seeds"),
        (
            ["pggan", "--mix-rows", "0", "--mix-columns", "1", "--layers", "0"],
            "--mix-rows: a pggan has no styles to mix",
        ),
        (["stylegan2", "--mix-rows", "0"], "--mix-rows, --mix-columns and --layers are given"),
        (
            ["stylegan2", "--mix-rows", "0", "--mix-columns", "1", "--layers", "0-6"],
            "--layers: 6 is not in 0 to 5",
        ),
        (
            ["stylegan2", "--mix-rows", "0", "--mix-columns", "1", "--layers", "0,2"],
            "--layers 0,2: give one range, as 0-3",
        ),
        (["pggan", "--seeds", "3-1"], "--seeds 3-1: '3-1' is no number and no rising range"),
        (["pggan", "--seeds", "-"], "--seeds -: '-' is no number and no rising range"),
        (["pggan", "--seeds", ""], "--seeds : '' is no number and no rising range"),
        (["pggan", "--seeds", "0-99999999999"], "--seeds 0-99999999999: '0-99999999999' is no"),
        (["pggan", "--arm", "raw"], "--arm raw: pggan/generator.safetensors holds one network"),
        (["nowhere"], "nowhere: is neither a generator's file nor a folder with"),
        (["."], ".: is neither a generator's file nor a folder with"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_one_line(place, capsys, arguments, told):
    assert refused(capsys, *arguments).startswith(told)


def test_other_files_are_refused(place, capsys):
    path, _ = published(place, "pggan")
    assert "cannot be read as safetensors" in refused(capsys, path)
    save_file({"a": torch.ones(1)}, place / "a.safetensors")
    assert "`harness import` it first" in refused(capsys, "a.safetensors")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # ffmpeg's pipes
def test_mp4_is_written_where_ffmpeg_is_there_and_else_refused(place, capsys):
    command = ["pggan", "--interpolate", "0,1", "--frames", "4", "--video", "mp4"]
    try:
        import imageio_ffmpeg  # noqa: F401
    except ImportError:
        told = refused(capsys, *command)
        assert told == "--video mp4: needs `pip install 'gan-harness[video]'`; or take gif"
    else:
        (film,) = drawn(*command).values()
        assert film.shape == (4, 128, 128, 3)


# Runs.


def a_run(folder, **fields):
    """Write what is left of a finished run of seed 3; return its model."""
    spec = validated(content(**fields))
    model = gan(spec, 3)
    for arm in spec.observers.ema:
        model.add_module(networks_of(spec)[arm], gan(spec, 4).generator)
    model.images_shown = spec.total_images
    keep(folder, spec, model)
    return model


def keep(folder, spec, model):
    folder.mkdir()
    settings = spec.model_dump(mode="json", exclude={"question", "factors", "tiers", "seeds"})
    settings = {"level": "-", "seed": 3, "reduce_lr": None, **settings}
    (folder / "spec.yaml").write_text(dump_yaml(settings))
    (folder / "weights.safetensors").write_bytes(packed(model))


def test_a_singans_run_is_drawn_as_it_draws_itself(place):
    spec = validated(
        {
            "question": "?",
            "model": {"type": "SinGAN", "base_channels": 4, "min_feat_channels": 4}
            | {"min_size": 12, "max_size": 24},
            "data": {"type": "image", "root": "shipped:china"},
            "train": {"loss": {"type": "singan"}},
            "evaluate": {"every_kimg": 6, "extractor": "inception-v3-compat", "fake_images": 2}
            | {"metrics": ["diversity"]},
            "seeds": [3],
        }
    )
    model = gan(spec, 3)
    sizes = spec.pyramid.sizes
    model.curr_stage = len(sizes) - 1
    model.fixed_noises = [torch.zeros(1, 3 if n else 1, *size) for n, size in enumerate(sizes)]
    model.noise_weights = [1.0 / (n + 1) for n in range(len(sizes))]
    torch.nn.init.normal_(model.generator.blocks[0].tail.conv.weight)
    keep(place / "run", spec, model)
    generator, _ = open_subject(place / "run", None)
    draw = drawer(generator)
    theirs = model.draw(model.generator, torch.tensor([5, 6]))
    assert torch.equal(draw.image(draw.code(6)), to_uint8(theirs[1]))
    assert not torch.equal(draw.image(draw.code(5)), to_uint8(theirs[1]))


def test_each_arm_of_a_run_is_drawn_as_the_run_draws_it(place):
    model = a_run(place / "run")
    for arm, name in networks_of(validated(content())).items():
        generator, label = open_subject(place / "run", arm)
        assert label == f"run-{arm}"
        latent = torch.randn(1, 8)
        ours = generator.network(latent, **generator.stage)
        assert torch.equal(ours, model.draw(model.networks()[name], latent))
    raw, shadow = drawn("run", "--seeds", "1"), drawn("run", "--arm", "m0.1", "--seeds", "1")
    assert not np.array_equal(raw["seed-0001.png"], shadow["seed-0001.png"])


def test_a_run_of_styles_is_truncated_to_the_mean_that_its_training_kept(place):
    model = a_run(
        place / "run",
        model={"type": "StyleGAN1", "noise_size": 8, "out_scale": 8, "num_mlps": 2}
        | {"base_channels": 32, "max_channels": 8, "transition_kimgs": 0.1}
        | {"nkimgs_per_scale": {4: 0.2, 8: 0.4}},
        train__loss={"type": "logistic"},
    )
    model.generator.mean_latent.fill_(0.5)
    (place / "run/weights.safetensors").write_bytes(packed(model))
    generator, _ = open_subject(place / "run", "raw")
    assert (drawer(generator, 0.0).code(1) == 0.5).all()
    files = drawn("run", "--seeds", "1,2", "--truncation", "0.5")
    assert not np.array_equal(*(files[f"seed-000{n}-truncation-0.5.png"] for n in (1, 2)))


def test_a_run_that_ended_while_a_scale_faded_in_is_drawn_as_it_ended(place):
    model = a_run(place / "run", train__kimg=0.24, evaluate__every_kimg=0.1)
    assert 0 < model.stage.transition_weight < 1
    generator, _ = open_subject(place / "run", None)
    latent = torch.randn(1, 8)
    ours = generator.network(latent, **generator.stage)
    assert torch.equal(ours, model.draw(model.generator, latent))


def test_an_arm_that_a_run_lacks_is_named_with_those_it_has(place, capsys):
    a_run(place / "run")
    told = refused(capsys, "run", "--arm", "best")
    assert told == "--arm best: run holds the weights of raw, m0.1"


def test_a_run_whose_weights_do_not_fit_is_refused(place, capsys):
    a_run(place / "run")
    held = load_file(place / "run/weights.safetensors")
    del held["generator.noise2feat.bias"]
    with safe_open(place / "run/weights.safetensors", "pt") as file:
        kept = file.metadata()
    tree = json.loads(kept["harness_tree"])
    del tree["generator.noise2feat.bias"]
    save_file(held, place / "run/weights.safetensors", {"harness_tree": json.dumps(tree)})
    told = refused(capsys, "run")
    assert told.startswith("run: weights and spec.yaml do not fit: ")
    assert "generator.noise2feat.bias" in told


@pytest.mark.parametrize("text", ["", "- 1", "seed: [", "level: '-'"])
def test_a_run_with_a_torn_spec_is_refused(place, text):
    a_run(place / "run")
    (place / "run/spec.yaml").write_text(text)
    with pytest.raises(RecordsError, match="is not the spec of one run"):
        open_subject(place / "run", None)
