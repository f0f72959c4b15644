from harness.records.hardware import gpu_name, hardware, version_of
from harness.records.machine import describe


def test_a_gpu_is_named_as_its_driver_names_it(tmp_path):
    for bus, name in (("0000:0a:00.0", "NVIDIA H200"), ("0000:0b:00.0", "Another")):
        (tmp_path / bus).mkdir()
        (tmp_path / bus / "information").write_text(f"Model: \t\t {name}\nIRQ:   \t\t 47\n")
    assert gpu_name(tmp_path) == "NVIDIA H200"
    assert gpu_name(tmp_path / "none") == ""


def test_it_is_what_a_run_s_machine_says():
    here, run = hardware("cpu"), describe("cpu", "", 1)
    assert {name: run[name] for name in ("cpu", "cores", "device", "python")} == {
        name: here[name] for name in ("cpu", "cores", "device", "python")
    }
    assert here["libraries"].items() <= run["libraries"].items()
    assert hardware("cuda")["device"].startswith("cuda: ")
    assert version_of("no-such-library") is None
