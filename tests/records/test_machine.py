"""What a machine is, and when two of them are of one kind."""

import json
import subprocess

import pytest

from harness.records import hardware, machine
from harness.records.machine import describe, kind, slug, source_digest, source_state

MACHINE = {
    "cpu": "Test CPU @ 2.0 GHz",
    "isa": "avx2 avx512f",
    "cores": 2,
    "memory_gib": 8.0,
    "device": "cpu",
    "threads": 1,
    "jobs": 2,
    "arithmetic": "float32",
    "system": "Linux",
    "python": "3.11.7",
    "libraries": {"torch": "2.11.0", "numpy": "2.4.6"},
    "source": {"version": "0.1.0", "commit": "f" * 40},
}


def test_machines_of_one_kind_whatever_the_order_of_their_fields():
    turned = json.loads(json.dumps(dict(reversed(MACHINE.items()))))
    assert kind(MACHINE) == kind(turned)
    assert len(kind(MACHINE)) == 12


@pytest.mark.parametrize(
    "changed",
    [
        {"cpu": "Other CPU"},
        {"isa": "avx2"},
        {"device": "cuda: H200"},
        {"threads": 2},
        {"arithmetic": "tf32"},
        {"python": "3.12.0"},
        {"libraries": {"torch": "2.11.1", "numpy": "2.4.6"}},
        {"libraries": {"torch": "2.11.0"}},
        {"ranks": 2},
        {"backend": "nccl"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_decides_the_bits_makes_another_kind(changed):
    assert kind(MACHINE | changed) != kind(MACHINE)


@pytest.mark.parametrize(
    "changed",
    [
        {"memory_gib": 64.0},
        {"cores": 64},
        {"jobs": 9},
        {"hostname": "elsewhere"},
        {"source": {"version": "0.2.0", "commit": "0" * 40}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_does_not_is_left_out(changed):
    assert kind(MACHINE | changed) == kind(MACHINE)


def test_this_machine_is_described_in_plain_values():
    here = describe("cpu", "", 1, 2)
    assert json.loads(json.dumps(here)) == here
    assert set(here) == {*MACHINE, "data_libraries"}
    assert here["data_libraries"]["pillow"][0].isdigit()
    assert here["cpu"]
    assert here["cores"] >= 1
    assert here["memory_gib"] > 0.1
    assert (here["threads"], here["jobs"], here["device"]) == (1, 2, "cpu")
    assert here["libraries"]["torch"][0].isdigit()
    assert kind(here) == kind(describe("cpu", "", 1, 1))
    assert describe("cuda", "H200, driver 1", 1)["device"] == "cuda: H200, driver 1"
    path = {"filtering": "depthwise conv2d"}
    assert describe("cpu", "", 1, kernels=path) == describe("cpu", "", 1) | {"kernels": path}


def test_an_accelerator_s_driver_is_named_and_decides_no_kind(tmp_path, monkeypatch):
    said = []
    for version in ("550.54.14", "570.1"):
        (tmp_path / "version").write_text(f"NVRM version: NVIDIA  Kernel Module  {version}  x\n")
        monkeypatch.setattr(machine, "DRIVER", tmp_path / "version")
        said.append(describe("cuda", "H200", 1))
    assert [one["kernels"]["driver"] for one in said] == ["550.54.14", "570.1"]
    assert kind(said[0]) == kind(said[1])
    assert describe("cuda", "H200", 1, kernels={"tf32": "off"})["kernels"]["tf32"] == "off"
    assert "kernels" not in describe("cpu", "", 1)


def test_nothing_names_the_user_or_the_place():
    text = json.dumps(describe("cpu", "", 1))
    assert str(machine.PACKAGE) not in text
    assert set(source_state()) <= {"version", "digest", "commit", "clean"}


@pytest.mark.parametrize(
    ("changed", "name"),
    [({}, "test-cpu-2-0-ghz-x2"), ({"device": "cuda: NVIDIA H200 (1)"}, "cuda-nvidia-h200-1")],
)
def test_a_folder_s_name(changed, name):
    assert slug(MACHINE | changed) == name


def test_the_source_s_digest_follows_what_a_run_executes(tmp_path, monkeypatch):
    files = {
        "cli.py": "a",
        "report/x.py": "a",
        "bench/x.py": "a",
        "engine/x.py": "a",
        "seeding.py": "a",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(machine, "PACKAGE", tmp_path)
    before = source_digest()
    changes = {}
    for name in files:
        (tmp_path / name).write_text("b")
        changes[name] = source_digest() != before
        (tmp_path / name).write_text("a")
    assert changes == {
        "cli.py": False,
        "report/x.py": False,
        "bench/x.py": False,
        "engine/x.py": True,
        "seeding.py": True,
    }
    assert source_digest() == before
    (tmp_path / "seeding.py").rename(tmp_path / "seeds.py")
    assert source_digest() != before


def test_a_source_outside_of_a_repository_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "PACKAGE", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert set(source_state()) == {"version", "digest"}


def test_a_changed_source_is_not_clean(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True
        )

    (tmp_path / "a.py").write_text("1")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr(machine, "PACKAGE", tmp_path)
    assert source_state()["clean"]
    assert len(source_state()["commit"]) == 40
    (tmp_path / "a.py").write_text("2")
    assert not source_state()["clean"]


def test_a_machine_without_git_or_proc_is_described_all_the_same(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for module in (machine, hardware):
        monkeypatch.setattr(module, "Path", lambda name: tmp_path / "none")
    here = describe("cpu", "", 1)
    assert here["isa"] == ""
    assert set(here["source"]) == {"version", "digest"}
