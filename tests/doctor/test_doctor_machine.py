"""Each check of the machine, on what is really taken away from it."""

import os
import shutil
import subprocess
import time

import pytest
import torch
from doctored import elsewhere, states

from harness.doctor import State, machine
from harness.records.machine import PACKAGE, describe

MACHINE = {"cpu": "Test CPU", "cores": 4, "isa": "avx2", "system": "Linux"}
GIB = 2**30


def test_this_machine_has_a_processor_and_says_which():
    described = describe("cpu", "", 1)
    states(machine.processor(described, described["cores"]), State.OK, str(described["cores"]))


def test_cores_that_this_process_may_not_use_are_named():
    if not hasattr(os, "sched_setaffinity") or os.cpu_count() == 1:
        pytest.skip("this system has one core, or pins no process to it")
    code = """
import os
from harness.doctor import machine
from harness.records.machine import describe
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
show(machine.processor(describe("cpu", "", 1), machine.usable_cores()))
"""
    (seen,) = elsewhere(code)
    assert seen["state"] == "note"
    assert seen["text"].endswith(" cores, 1 of them usable by this process")


def test_a_processor_without_vectors_is_warned_of_where_it_can_be_told():
    states(machine.vectors(MACHINE), State.OK, "avx2")
    states(machine.vectors(MACHINE | {"isa": ""}), State.WARNING, "none of AVX2")
    states(machine.vectors(MACHINE | {"isa": "", "system": "Darwin"}), State.NOTE, "Darwin")


def meminfo(folder, total_gib, available_gib):
    path = folder / "meminfo"
    kib = [
        f"{name}: {round(gib * 2**20)} kB"
        for name, gib in (("MemTotal", total_gib), ("MemAvailable", available_gib))
    ]
    path.write_text("\n".join([*kib, "HugePages_Total: 0"]))
    return path


def test_memory_is_what_the_kernel_says(tmp_path):
    found = machine.memory(meminfo(tmp_path, 16, 8.5), ())
    states(found, State.OK, "16.0 GiB, 8.5 GiB available")
    states(machine.memory(meminfo(tmp_path, 16, 1.5), ()), State.WARNING, "1.5 GiB available")


def test_a_lower_limit_of_a_container_counts(tmp_path):
    limit = tmp_path / "memory.max"
    limit.write_text(f"{4 * GIB}\n")
    found = machine.memory(meminfo(tmp_path, 16, 8.5), (limit, tmp_path / "missing"))
    states(found, State.OK, "4.0 GiB available", "limited to 4.0 GiB by the control group")
    limit.write_text(f"{GIB}\n")
    states(machine.memory(meminfo(tmp_path, 16, 8.5), (limit,)), State.WARNING, "1.0 GiB")
    for nothing in ("max\n", f"{2**63 - 4096}\n"):
        limit.write_text(nothing)
        found = machine.memory(meminfo(tmp_path, 16, 8.5), (limit,))
        states(found, State.OK)
        assert "control group" not in found.text


def test_memory_that_cannot_be_told_is_no_problem(tmp_path):
    states(machine.memory(tmp_path / "missing", ()), State.NOTE)
    (tmp_path / "meminfo").write_text("MemTotal:\n")
    states(machine.memory(tmp_path / "meminfo", ()), State.NOTE)


def test_the_disk_is_that_of_the_nearest_parent_which_exists(tmp_path):
    free = shutil.disk_usage(tmp_path).free / GIB
    folders = {"runs": tmp_path / "runs", "results": tmp_path / "results" / "more"}
    assert machine.by_disk(folders) == [folders]
    found = machine.disk(folders, free / 2)
    states(found, State.OK if free >= 1 else State.WARNING, "runs, results", "predicted")
    states(machine.disk(folders, free * 2), State.PROBLEM, "predicted")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_warned_of_and_another_disk_is_told_apart(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=1m none "$0" && exec "$@"']
    if subprocess.run([*mount, small, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets no user mount a file system of their own")
    code = """
from pathlib import Path
from harness.doctor import machine
small, large = {"runs": Path(sys.argv[1], "runs")}, {"cache": Path(sys.argv[1]).parent}
print(json.dumps([list(disk) for disk in machine.by_disk(small | large)]))
show(machine.disk(small))
show(machine.disk(small, 1 / 512))
"""
    disks, warned, refused = elsewhere(code, small, before=[*mount, small])
    assert disks == [["runs"], ["cache"]]
    assert (warned["state"], refused["state"]) == ("warning", "problem")
    assert "1.0 MiB free" in warned["text"]
    assert refused["text"].endswith("2.0 MiB predicted")


def test_a_folder_for_temporary_files_that_is_not_there_is_told(tmp_path):
    code = "from harness.doctor import machine; show(machine.temporary())"
    (sound,) = elsewhere(code, TMPDIR=str(tmp_path))
    assert (sound["state"], sound["text"]) == ("ok", f"{tmp_path} can be written")
    (seen,) = elsewhere(code, TMPDIR=str(tmp_path / "missing"))
    assert seen["state"] == "warning"
    assert "missing, which cannot be written" in seen["text"]


def test_a_clock_behind_the_source_is_warned_of(tmp_path):
    states(machine.clock(time.time(), PACKAGE), State.OK)
    source = tmp_path / "deep" / "module.py"
    source.parent.mkdir()
    source.touch()
    os.utime(source, (time.time() + 3600,) * 2)
    states(machine.clock(time.time(), tmp_path), State.WARNING, "is before the newest source file")
    os.utime(source, (time.time() + 5,) * 2)
    states(machine.clock(time.time(), tmp_path), State.OK)


@pytest.mark.parametrize("name", ["utf-8", "UTF8"])
def test_utf8_prints_everything(name):
    states(machine.encoding(name), State.OK)


@pytest.mark.parametrize("name", ["ascii", "latin-1", None])
def test_other_encodings_are_noted(name):
    states(machine.encoding(name), State.NOTE, "not UTF-8")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_device_is_needed_only_by_who_asks_for_it():
    states(machine.device("cpu"), State.NOTE, "runs use the CPU")
    states(machine.device("cuda"), State.PROBLEM)
    assert "--device cpu" in machine.device("cuda").advice


@pytest.mark.gpu
def test_a_device_that_computes_is_in_order():
    states(machine.device("cuda"), State.OK, torch.cuda.get_device_name(), "GiB free")


def test_the_driver_is_what_the_kernel_says(tmp_path):
    path = tmp_path / "version"
    assert machine.driver_version(path) == "unknown"
    path.write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024\n"
        "GCC version: gcc version 12.3.0\n"
    )
    assert machine.driver_version(path) == "550.54.14"
