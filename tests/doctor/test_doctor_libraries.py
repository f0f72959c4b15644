"""Each check of the libraries, on installations that are really broken."""

import json
import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch
from doctored import ROOT, elsewhere, states

from harness.doctor import State, libraries


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder in which Python looks for modules and their metadata first."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def distribution(folder, name, version, *needs, python=">=3"):
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Python: {python}", "Provides-Extra: wandb"]
    lines += [f"Requires-Dist: {need}" for need in needs]
    (info / "METADATA").write_text("\n".join(lines) + "\n")


def test_the_package_says_its_version_commit_and_changes():
    source = {"version": "0.1.0", "digest": "d", "commit": "f" * 40, "clean": True}
    states(libraries.harness(source), State.OK, "0.1.0 at ffffffffffff")
    states(libraries.harness(source | {"clean": False}), State.NOTE, "changed since")
    states(libraries.harness({"version": None, "digest": "d"}), State.OK, "not installed")


def test_this_installation_is_in_order():
    states(libraries.python(), State.OK, platform.python_version())
    states(libraries.torchvision(), State.OK, "torchvision")
    states(libraries.arithmetic(), State.OK, "twice alike")
    states(libraries.checkpoints(), State.OK, "loads with weights_only")
    states(libraries.imports(), State.OK, f"{len(libraries.IMPORTED)} of")


def test_a_python_out_of_range_is_a_problem(place):
    distribution(place, "asker", "1.0", python=">=99,<100")
    states(libraries.python("asker"), State.PROBLEM, platform.python_version(), ">=99,<100")


def test_dependencies_are_looked_at_to_any_depth(place):
    distribution(place, "asker", "1.0", "helper>=2", "numpy", "fancy>=3; extra == 'wandb'")
    distribution(place, "helper", "2.1", "deeper<5", "asker")
    distribution(place, "deeper", "4.9")
    found = libraries.dependencies("asker")
    states(found, State.OK, "3 libraries")


@pytest.mark.parametrize(
    ("needs", "text"),
    [
        (("helper>=3",), "helper is 2.1, asker needs >=3"),
        (("nowhere-to-be-found",), "nowhere-to-be-found is missing, asker needs it"),
        (("helper",), "deeper is 5.0, helper needs <5"),
    ],
)
def test_what_is_missing_or_out_of_range_is_named(place, needs, text):
    distribution(place, "asker", "1.0", *needs)
    distribution(place, "helper", "2.1", *(["deeper<5"] if needs == ("helper",) else []))
    distribution(place, "deeper", "5.0")
    states(libraries.dependencies("asker"), State.PROBLEM, text)


def test_versions_other_than_the_pins_are_noted(place):
    distribution(place, "asker", "1.0", "helper", "deeper", "unpinned")
    for name, version in (("helper", "2.1+cpu"), ("deeper", "5.0"), ("unpinned", "7")):
        distribution(place, name, version)
    pins = place / "constraints.txt"
    pins.write_text("# pins\nHelper==2.1\ndeeper==5.0\nruff==0.0.1\n")
    states(libraries.constraints(pins, "asker"), State.OK, "all 2 are those of constraints.txt")
    pins.write_text("helper==2.2\ndeeper==5.0\n")
    states(
        libraries.constraints(pins, "asker"), State.NOTE, "1 of 2", "helper 2.1+cpu (pinned 2.2)"
    )


def test_extras_that_are_there_and_those_that_are_not(place):
    distribution(place, "asker", "1.0", "numpy", "helper; extra == 'wandb'", "x; extra == 'video'")
    distribution(place, "helper", "2.1")
    states(libraries.optional("asker"), State.NOTE, "helper 2.1; not here: x", "[video]")
    distribution(place, "x", "1.0")
    assert libraries.optional("asker").text == "helper 2.1, x 1.0"


@pytest.mark.parametrize(
    "content", ["raise ImportError('libx.so.6: too old')", "import numpy; numpy.no_such", "def ("]
)
def test_a_library_that_does_not_import_is_named(place, content):
    name = f"broken_{abs(hash(content))}"
    (place / f"{name}.py").write_text(content)
    found = libraries.imports(("json", name))
    states(found, State.PROBLEM, name)
    assert "json" not in found.text


def test_arithmetic_of_few_bits_is_a_problem():
    def coarse(a, b):
        return (a.bfloat16() @ b.bfloat16()).float()

    states(libraries.arithmetic(coarse), State.PROBLEM, "is off by")


def test_arithmetic_that_differs_from_itself_is_a_problem():
    calls = []

    def unsteady(a, b):
        calls.append(1)
        return torch.nextafter(a @ b, torch.tensor(torch.inf)) if len(calls) > 1 else a @ b

    states(libraries.arithmetic(unsteady), State.PROBLEM, "other bits")


def test_a_torch_that_refuses_mmengines_checkpoints_is_a_problem():
    kept = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        states(libraries.checkpoints(), State.PROBLEM, "refused by weights_only")
    finally:
        torch.serialization.add_safe_globals(kept)
    states(libraries.checkpoints(), State.OK)


def test_a_torchvision_for_another_torch_is_a_problem(place):
    distribution(place, "torchvision", "0.1.0", "torch==1.0.0")
    states(
        libraries.torchvision(),
        State.PROBLEM,
        "torchvision 0.1.0 with torch",
        "needs torch ==1.0.0",
    )


def test_a_command_without_a_library_says_which_is_missing(tmp_path):
    """The metadata of all but pydantic are there, and one module, so that nothing slow loads."""
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        told = entry.suffix == ".dist-info" and not entry.name.startswith("pydantic-")
        if told or entry.name == "packaging":
            (tmp_path / entry.name).symlink_to(entry)
    code = "import harness.cli; raise SystemExit(harness.cli.main())"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, "doctor", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
    )
    assert done.returncode == 1, done.stderr
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert found["dependencies"]["state"] == "problem"
    assert "pydantic is missing, gan-harness needs it" in found["dependencies"]["text"]
    assert found["imports"]["text"].startswith("cannot be imported: numpy (ModuleNotFoundError")
    assert found["the rest"]["state"] == "note"


def test_a_broken_library_is_told_by_a_fresh_python(tmp_path):
    (tmp_path / "imageio").mkdir()
    (tmp_path / "imageio" / "__init__.py").write_text("raise RuntimeError('of another ABI')")
    code = "from harness.doctor import libraries; show(libraries.imports(('imageio',)))"
    (seen,) = elsewhere(code, first=tmp_path)
    assert seen["state"] == "problem"
    assert "imageio (RuntimeError: of another ABI)" in seen["text"]
