"""Planning, listing and help answer at once: nothing heavy is imported, wherever it would be."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.bench import many_runs

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "torchvision", "mmengine", "pandas", "matplotlib", "scipy", "rich", "sklearn")
CODE = """
import sys
from harness.cli import main
code = 0
try:
    code = main(sys.argv[2:])
except SystemExit as end:
    code = end.code
print(",".join(name for name in sys.argv[1].split(",") if name in sys.modules), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["list"],
        ["plan", "experiments/pggan-ema.yaml"],
        ["plan", "experiments/pggan-ema.yaml", "--tier", "paper", "--gpus", "8"],
        ["plan", "experiments/pggan-reduce-lr.yaml", "train.kimg=0"],
        ["calibrate", "--help"],
        ["report", "--help"],
        ["verify", "--help"],
        ["compare", "--help"],
        ["export", "--help"],
        ["run", "--help"],
        ["schema"],
        ["check-ema", "--help"],
        ["scale", "--help"],
        ["singan", "--help"],
        ["import", "--help"],
        ["sample", "--help"],
        ["doctor", "--help"],
        ["reference", "--help"],
    ],
    ids=" ".join,
)
def test_a_light_command_imports_nothing_heavy(arguments):
    done = subprocess.run(
        [sys.executable, "-c", CODE, ",".join(HEAVY), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == (2 if "train.kimg=0" in arguments else 0)
    assert done.stderr.splitlines()[-1] == ""


PLANNING = (
    "numpy",
    "filelock",
    "subprocess",
    "multiprocessing",
    "asyncio",
    "harness.records.store",
)
TRAINING = ("torch", "torchvision", "mmengine", "pandas", "rich", "sklearn", "asyncio")
DRAWING = ("matplotlib", "PIL")


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["--help"], (*PLANNING, "pydantic", "yaml")),
        (["plan", "experiments/pggan-ema.yaml"], PLANNING),
        (["schema"], PLANNING),
        (["verify", "results/pggan-ema/quick", "--tables-only"], (*TRAINING, *DRAWING)),
        (["compare", *["results/pggan-ema/quick"] * 2], (*TRAINING, *DRAWING)),
        (["report", "many.yaml"], TRAINING),
    ],
    ids=lambda given: given[0],
)
def test_a_command_imports_no_more_than_it_needs(arguments, unneeded, tmp_path):
    folder = ROOT
    if "many.yaml" in arguments:
        many_runs.write(tmp_path, many_runs.Shape().levels)
        folder = tmp_path
    done = subprocess.run(
        [sys.executable, "-c", CODE, ",".join(unneeded), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.stderr.splitlines()[-1] == ""


NEVER = ("mmcv", "mmagic", "lpips", "albumentations", "diffusers", "transformers")
RUNNING = """
import sys
import harness.engine.build, harness.engine.multi_loops, harness.gen_metrics, harness.hooks
from harness.registry import register_all
register_all()
print(",".join(name for name in sys.argv[1].split(",") if name in sys.modules))
"""


def test_c4_no_module_of_training_or_evaluation_imports_other_fields_libraries():
    done = subprocess.run(
        [sys.executable, "-c", RUNNING, ",".join(NEVER)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == "\n"


def test_c4_no_module_names_one_either():
    # The peer's script runs under a Python of its own.
    peer = ROOT / "harness/bench/peer/mmagic_pggan.py"
    for path in sorted({*(ROOT / "harness").rglob("*.py")} - {peer}):
        assert not {name.split(".")[0] for name in imported(path)} & {*NEVER}, path


def imported(path):
    """Yield the top-level packages that a module's code names, at any depth."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


TORCH_FREE = ("spec", "plan", "records", "report")


@pytest.mark.parametrize("package", [*TORCH_FREE, "cli.py", "errors.py"])
def test_the_torch_free_packages_name_no_torch(package):
    place = ROOT / "harness" / package
    for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
        found = {name.split(".")[0] for name in imported(path)}
        assert not found & {"torch", "torchvision", "mmengine", "torch_fidelity"}, path


LAYERS = (
    ("cli",),
    ("conformance", "bench", "scale"),
    ("commands",),
    ("report", "drawing", "doctor"),
    ("launch",),
    ("engine",),
    ("hooks",),
    ("gans", "gen_metrics", "checkpoints"),
    ("networks", "data", "metrics", "ema", "visuals"),
    ("registry",),
    ("structures", "isolation", "interrupts"),
    ("seeding", "images", "ranks"),
    ("plan",),
    ("records",),
    ("spec",),
    ("files", "compat"),
    ("errors",),
)


def test_a_step_imports_only_what_stands_below_it():
    height = {name: -index for index, names in enumerate(LAYERS) for name in names}
    wrong = []
    for path in sorted((ROOT / "harness").rglob("*.py")):
        own = path.relative_to(ROOT / "harness").parts[0].removesuffix(".py")
        for name in imported(path):
            parts = name.split(".")
            if own.startswith("__") or parts[0] != "harness" or len(parts) < 2:
                continue
            other = parts[1]
            if other in height and other != own and height[other] > height[own]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_every_module_has_its_place_in_the_layers():
    known = {name for names in LAYERS for name in names}
    found = {
        path.name.removesuffix(".py")
        for path in (ROOT / "harness").iterdir()
        if not path.name.startswith(("__", "."))
        and (path.suffix == ".py" or any(path.glob("*.py")))
    }
    assert found == known
