"""`harness import`: what it writes, and that a bad checkpoint leaves nothing behind."""

import hashlib

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from published import NETWORKS, RunsCode, checkpoint, network, noises, published, state
from safetensors.torch import save_file

from harness.checkpoints.kept import from_file
from harness.cli import main


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder, to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(place, capsys, *arguments):
    """Run a command that is refused; return its one line. Nothing is written or printed else."""
    before = files(place)
    code = main(["import", *map(str, arguments)])
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert "Traceback" not in line
    assert files(place) == before
    assert line.startswith("harness: ")
    return line.removeprefix("harness: ")


def saved(place, entries, **more):
    torch.save(checkpoint(entries, **more), place / "a.pth")
    return place / "a.pth"


def extra(place, family):
    return ["--noises", str(noises(place))] if family == "singan" else []


@pytest.mark.parametrize("family", NETWORKS)
def test_a_published_checkpoint_is_kept_as_safetensors_with_samples(place, capsys, family):
    path, ema = published(place, family)
    assert main(["import", str(path), "--model", family, *extra(place, family)]) == 0
    told = capsys.readouterr().out
    folder = place / "imported" / f"{family}_x-generator_ema"
    assert sorted(files(folder)) == ["generator.safetensors", "samples.png"]
    kept = from_file(folder / "generator.safetensors")
    ours, theirs = kept.network.state_dict(), ema.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert kept.source == {"file": path.name, "sha256": sha256, "network": "generator_ema"}
    assert f"{path}: {family}, generator_ema (also there: generator)" in told
    assert sha256 in told
    assert "imported/" in told
    side = 5 * 15 if family == "singan" else 4 * 16
    picture = iio.imread(folder / "samples.png")
    assert picture.shape[0] == 4 * (side + 4) - 4
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


def test_the_raw_network_is_kept_where_it_is_asked_for(place):
    path, _ = published(place, "pggan")
    main(["import", str(path), "--model", "pggan", "--network", "generator", "--out", "here"])
    kept = from_file(place / "here" / "generator.safetensors")
    assert torch.equal(kept.network.noise2feat.bias, network("pggan", 1).noise2feat.bias)


def test_the_same_import_again_changes_nothing_and_another_is_refused(place, capsys):
    path, _ = published(place, "pggan")
    command = [str(path), "--model", "pggan", "--out", "here"]
    assert main(["import", *command]) == 0
    before = {path: path.stat().st_mtime_ns for path in (place / "here").iterdir()}
    assert main(["import", *command]) == 0
    assert {path: path.stat().st_mtime_ns for path in (place / "here").iterdir()} == before
    capsys.readouterr()
    told = refused(place, capsys, *command, "--network", "generator")
    assert told.startswith("here/generator.safetensors and 1 more: there already, and not what ")


def test_a_file_of_another_command_is_never_overwritten(place, capsys):
    path, _ = published(place, "pggan")
    (place / "here").mkdir()
    (place / "here" / "samples.png").write_text("mine")
    told = refused(place, capsys, path, "--model", "pggan", "--out", "here")
    assert told.startswith("here/samples.png: there already, and not what would be written")


def test_a_checkpoint_of_safetensors_is_taken_too(place, capsys):
    save_file(state(network("pggan"), "generator"), place / "a.safetensors")
    assert main(["import", "a.safetensors", "--model", "pggan"]) == 0
    kept = from_file(place / "imported/a-generator/generator.safetensors")
    assert torch.equal(kept.network.noise2feat.bias, network("pggan").noise2feat.bias)


def test_what_was_imported_already_is_refused(place, capsys):
    path, _ = published(place, "singan")
    main(["import", str(path), "--model", "singan", *extra(place, "singan"), "--out", "one"])
    capsys.readouterr()
    told = refused(place, capsys, "one/generator.safetensors", "--model", "singan")
    assert told.startswith("one/generator.safetensors: was imported already: `harness sample")


def test_where_growth_stood_is_kept_with_the_weights(place, capsys):
    held = state(network("pggan"), "generator")
    held |= {"_curr_scale_int": torch.tensor(8), "_curr_transition_weight": torch.tensor(0.5)}
    saved(place, held)
    assert main(["import", "a.pth", "--model", "pggan"]) == 0
    assert "curr_scale=8, transition_weight=0.5" in capsys.readouterr().out
    kept = from_file(place / "imported/a-generator/generator.safetensors")
    assert kept.stage == {"curr_scale": 8, "transition_weight": 0.5}
    assert iio.imread(place / "imported/a-generator/samples.png").shape == (268, 268, 3)
    main(["import", "a.pth", "--model", "pggan", "curr_scale=16", "--out", "full"])
    assert from_file(place / "full/generator.safetensors").stage == {"curr_scale": 16}


@pytest.mark.parametrize(("digits", "told"), [(8, "as its name says"), (0, "BUT its name says")])
def test_the_digits_in_a_published_name_are_compared(place, capsys, digits, told):
    path, _ = published(place, "pggan")
    end = hashlib.sha256(path.read_bytes()).hexdigest()[:digits].ljust(8, "0")
    path.rename(place / f"pggan-{end}.pth")
    assert main(["import", f"pggan-{end}.pth", "--model", "pggan"]) == 0
    assert told in capsys.readouterr().out


# What is refused, each with one line, exit code 2 and nothing written.


def test_another_architecture_is_refused_by_name(place, capsys):
    path, _ = published(place, "pggan")
    told = refused(place, capsys, path, "--model", "stylegan2")
    assert told == f"{path}: looks like pggan, not like stylegan2"


def test_missing_and_unexpected_entries_are_refused(place, capsys):
    held = state(network("pggan"), "generator")
    held["generator.more"] = held.pop("generator.conv_blocks.1.conv.bias")
    told = refused(place, capsys, saved(place, held), "--model", "pggan")
    assert told.endswith("1 missing: conv_blocks.1.conv.bias; 1 unexpected: more")


def test_wrong_shapes_are_refused(place, capsys):
    held = state(network("pggan"), "generator")
    held["generator.conv_blocks.1.conv.bias"] = torch.zeros(7)
    told = refused(place, capsys, saved(place, held), "--model", "pggan")
    assert told.endswith("1 of another shape: conv_blocks.1.conv.bias (7,) for (8,)")


def test_weights_that_are_not_finite_are_refused(place, capsys):
    held = state(network("pggan"), "generator")
    held["generator.noise2feat.bias"][0, 3] = float("nan")
    told = refused(place, capsys, saved(place, held), "--model", "pggan")
    assert told.endswith("1 not finite: noise2feat.bias")


def test_images_that_are_not_finite_are_refused(place, capsys):
    held = state(network("pggan"), "generator")
    held["generator.torgb_layers.2.conv.weight_orig"].fill_(3e38)
    told = refused(place, capsys, saved(place, held), "--model", "pggan")
    assert told == "a pggan draws images that are not finite"


def test_a_generator_that_ignores_its_latents_is_refused(place, capsys):
    held = state(network("pggan"), "generator")
    held["generator.noise2feat.linear.weight_orig"].zero_()
    told = refused(place, capsys, saved(place, held), "--model", "pggan")
    assert "draws the same image from every latent" in told


def test_a_truncated_checkpoint_is_refused(place, capsys):
    path, _ = published(place, "pggan")
    path.write_bytes(path.read_bytes()[:-5000])
    assert "cut off" in refused(place, capsys, path, "--model", "pggan")


def test_what_is_no_checkpoint_is_refused(place, capsys):
    (place / "a.pth").write_text("weights\n")
    told = refused(place, capsys, "a.pth", "--model", "pggan")
    assert told == "a.pth: is no checkpoint: neither torch's format nor safetensors"


def test_a_checkpoint_that_holds_code_is_refused_and_runs_none(place, capsys):
    ran = place / "ran"
    path = saved(place, state(network("pggan"), "generator"), callback=RunsCode(ran))
    told = refused(place, capsys, path, "--model", "pggan")
    assert "system, which could run code: nothing of it was run" in told
    assert not ran.exists()


def test_a_missing_file_is_refused(place, capsys):
    told = refused(place, capsys, "a.pth", "--model", "pggan")
    assert told == "a.pth: cannot be read (No such file or directory)"


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("out_size=16", "out_size: no argument of PGGANGenerator; it has noise_size, out_scale, "),
        ("out_scale", "'out_scale' is no argument: write NAME=VALUE, as out_size=256"),
        ("out_scale=[", "'out_scale=[' is no argument: write NAME=VALUE, as out_size=256"),
        ("out_scale=12", "out_scale is 12: give a power of two, 4 or more"),
        ("out_scale=x", "PGGANGenerator(noise_size=6, out_scale='x', "),
        ("curr_scale=12", "curr_scale is 12: give -1 or a power of two, 4 to 16"),
    ],
)
def test_impossible_arguments_are_refused(place, capsys, override, told):
    path, _ = published(place, "pggan")
    assert refused(place, capsys, path, "--model", "pggan", override).startswith(told)


def test_a_singan_without_its_noises_is_refused(place, capsys):
    path, _ = published(place, "singan")
    told = refused(place, capsys, path, "--model", "singan")
    assert "holds no noise_weights and fixed_noises, without which a SinGAN cannot draw" in told


def test_a_pickle_of_noises_that_holds_code_is_refused_and_runs_none(place, capsys):
    ran = place / "ran"
    path, _ = published(place, "singan")
    pickled = noises(place, curr_stage=RunsCode(ran))
    told = refused(place, capsys, path, "--model", "singan", "--noises", pickled)
    assert "system, which could run code" in told
    assert not ran.exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"noise_weights": [1.0, 0.1]}, "2 noise weights and 3 noise maps"),
        ({"fixed_noises": [np.zeros((8, 10))] * 3}, "3 noise weights and 3 noise maps"),
        ({"noise_weights": [1.0, 0.1, float("nan")]}, "are not finite"),
        ({"noise_weights": "weights"}, "are no numbers"),
        ({"fixed_noises": [None] * 3}, "are no numbers"),
    ],
)
def test_noises_that_do_not_fit_are_refused(place, capsys, changes, told):
    path, _ = published(place, "singan")
    pickled = noises(place, **changes)
    assert told in refused(place, capsys, path, "--model", "singan", "--noises", pickled)


def test_noises_of_another_family_are_refused(place, capsys):
    path, _ = published(place, "pggan")
    told = refused(place, capsys, path, "--model", "pggan", "--noises", noises(place))
    assert told == "--noises: a pggan has none; leave it out"


def test_a_folder_that_cannot_be_written_is_refused(place, capsys):
    path, _ = published(place, "pggan")
    (place / "taken").write_text("")
    told = refused(place, capsys, path, "--model", "pggan", "--out", "taken")
    assert told.startswith("taken/generator.safetensors: cannot be written")
