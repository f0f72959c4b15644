"""Files of weights are read, or refused with one line; nothing in them ever runs."""

import pickle
import re

import pytest
import torch
from published import RunsCode, checkpoint, network, state
from safetensors.torch import save_file

from harness.checkpoints.reading import read
from harness.errors import DataError

ENTRIES = {"generator.a.weight": torch.arange(600.0)}


def refused(path):
    with pytest.raises(DataError) as caught:
        read(path)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


@pytest.mark.parametrize("zipped", [True, False], ids=["new", "old"])
def test_mmengines_checkpoints_are_read_in_both_of_torchs_formats(tmp_path, zipped):
    generator = network("pggan")
    path = tmp_path / "a.pth"
    content = checkpoint(state(generator, "generator"), harness_pickle_data={"curr_stage": 2})
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    held = read(path)
    assert held.data == {"curr_stage": 2}
    assert held.tensors.keys() == state(generator, "generator").keys()
    for name, entry in state(generator, "generator").items():
        assert torch.equal(held.tensors[name], entry)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_weights_are_found_however_deep_they_are_nested(tmp_path, depth):
    content = ENTRIES
    for _ in range(depth):
        content = {"state_dict": content, "meta": {}}
    torch.save(content, tmp_path / "a.pth")
    assert read(tmp_path / "a.pth").tensors.keys() == ENTRIES.keys()


@pytest.mark.parametrize(
    "name",
    [
        "module.generator.a.weight",
        "generator.module.a.weight",
        "_orig_mod.generator._orig_mod.a.weight",
        "module.generator.module._orig_mod.a.weight",
    ],
)
def test_what_wrappers_put_into_names_is_taken_out(tmp_path, name):
    torch.save({"state_dict": {name: torch.ones(2)}}, tmp_path / "a.pth")
    assert [*read(tmp_path / "a.pth").tensors] == ["generator.a.weight"]


def test_safetensors_are_read_whatever_their_suffix(tmp_path):
    save_file(ENTRIES, tmp_path / "a.pth")
    held = read(tmp_path / "a.pth")
    assert torch.equal(held.tensors["generator.a.weight"], ENTRIES["generator.a.weight"])


@pytest.mark.parametrize("zipped", [True, False], ids=["new", "old"])
def test_a_checkpoint_that_holds_code_is_refused_and_runs_none(tmp_path, zipped):
    ran, path = tmp_path / "ran", tmp_path / "a.pth"
    content = checkpoint(ENTRIES, extra=RunsCode(ran))
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert re.match(
        r"names \w+\.system, which could run code: nothing of it was run", refused(path)
    )
    assert not ran.exists()
    torch.load(path, weights_only=False)  # the payload would have worked
    assert ran.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_bare_pickle_that_holds_code_is_refused_and_runs_none(tmp_path, protocol):
    ran, path = tmp_path / "ran", tmp_path / "a.pth"
    path.write_bytes(pickle.dumps({"state_dict": RunsCode(ran)}, protocol))
    refused(path)
    assert not ran.exists()


def test_a_whole_pickled_module_is_refused(tmp_path):
    torch.save(torch.nn.Linear(1, 1), tmp_path / "a.pth")
    assert "names torch.nn.modules.linear.Linear, which could run code" in refused(
        tmp_path / "a.pth"
    )


@pytest.mark.parametrize("kind", ["new", "old", "safetensors"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_truncated_file_is_said_to_be_cut_off(tmp_path, kind, share):
    path = tmp_path / "a.pth"
    if kind == "safetensors":
        save_file(ENTRIES, path)
    else:
        torch.save(ENTRIES, path, _use_new_zipfile_serialization=kind == "new")
    content = path.read_bytes()
    path.write_bytes(content[: max(12, int(len(content) * share))])
    assert "cut off" in refused(path)


def test_a_flipped_bit_is_noticed(tmp_path):
    """torch itself does not look at the checksums."""
    torch.save(ENTRIES, tmp_path / "a.pth")
    content = bytearray((tmp_path / "a.pth").read_bytes())
    content[content.find(ENTRIES["generator.a.weight"].numpy().tobytes()) + 1000] ^= 1
    (tmp_path / "a.pth").write_bytes(content)
    torch.load(tmp_path / "a.pth")
    assert "damaged" in refused(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is no checkpoint"),
        (b"just some words\n", "is no checkpoint"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "is no checkpoint"),
        (pickle.dumps([1, 2]), "no checkpoint of torch"),
    ],
    ids=["empty", "text", "picture", "list"],
)
def test_other_files_are_no_checkpoints(tmp_path, content, told):
    (tmp_path / "a.pth").write_bytes(content)
    assert told in refused(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "value",
    [{"meta": {"iter": 1}}, {}, [torch.ones(1)], {"a": torch.ones(2).to_sparse()}],
    ids=["meta", "empty", "list", "sparse"],
)
def test_a_file_without_weights_says_what_it_holds(tmp_path, value):
    torch.save(value, tmp_path / "a.pth")
    assert re.match(r"holds (no weights, but (meta|nothing|a)|a list)", refused(tmp_path / "a.pth"))


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    assert "No such file" in refused(tmp_path / "a.pth")
    assert "directory" in refused(tmp_path)
