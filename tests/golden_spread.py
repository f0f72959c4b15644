"""How far other kernels move the golden runs: `python tests/golden_spread.py [FILE.md]`.

All micro-runs are trained by a process of their own: as they are, on two threads, and with the
kernels that torch, oneDNN and MKL take on processors without AVX-512 and without AVX2. What faults
of one per cent move stands beside it. The tolerances of ``golden_runs`` were chosen from this.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
CHANGES = {
    "AVX2": (
        {
            "ATEN_CPU_CAPABILITY": "avx2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        },
        (),
    ),
    "SSE4": (
        {
            "ATEN_CPU_CAPABILITY": "default",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        },
        (),
    ),
    "two threads": ({"OMP_NUM_THREADS": "2"}, ()),
    "momentum 1 % off": ({}, ("observers__ema__m0.1__interp_cfg__momentum=0.101",)),
    "rate 1 % off": ({}, ("train__optimizer__lr=*1.01",)),
}
FAMILIES = {
    "losses": "/loss/",
    "FID, SIFID": "fid",
    "KID": "/kid",
    "IS": "/is[",
    "diversity": "/diversity",
    "size of the weights": "/size",
    "distance of an average": "/gap",
}


def trained(folder, variables, *fields):
    """Return the tables of the micro-runs, by name, of a process with these variables."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    command = [sys.executable, __file__, "--one", folder, *fields]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return {path.stem: pd.read_csv(path) for path in sorted(Path(folder).glob("*.csv"))}


def largest(found, golden, part):
    """Return the largest difference of a family's columns, as a share of each column's size."""
    names = [name for name in golden if part in name]
    size = golden[names].abs().max()
    return ((found[names] - golden[names]).abs().max() / size.where(size > 0, 1)).max()


def spread():
    """Return the largest difference over all models, a row a family and a column a change."""
    worst = pd.DataFrame(0.0, index=[*FAMILIES], columns=[*CHANGES])
    with tempfile.TemporaryDirectory() as folder:
        golden = trained(f"{folder}/golden", {})
        for number, (change, (variables, fields)) in enumerate(CHANGES.items()):
            found = trained(f"{folder}/{number}", variables, *fields)
            for family, part in FAMILIES.items():
                moved = [largest(found[name], golden[name], part) for name in golden]
                worst.loc[family, change] = np.nanmax(moved)
            print(change, {name: found[name].equals(golden[name]) for name in golden}, flush=True)
    return worst


def one(folder, *fields):
    """Train every micro-run here and write its table."""
    import golden_runs
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    for name, spec in golden_runs.SPECS.items():
        changed = {path: _value(text, spec) for path, text in (f.split("=") for f in fields)}
        table = golden_runs.run(name, Path(folder) / name, **changed)
        table.to_csv(Path(folder) / f"{name}.csv", index=False)


def _value(text, spec):
    return spec["train"]["optimizer"]["lr"] * float(text[1:]) if text[0] == "*" else float(text)


def main(target=None):
    """Print the table, or write it."""
    worst = spread()
    lines = [
        f"| largest difference | {' | '.join(worst)} |",
        f"|---|{'--:|' * len(worst.columns)}",
        *(
            f"| {family} | {' | '.join('0' if v == 0 else f'{v:.0e}' for v in values)} |"
            for family, values in zip(worst.index, worst.to_numpy(), strict=True)
        ),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if target is not None:
        Path(target).write_text(text)


if __name__ == "__main__":
    one(*sys.argv[2:]) if sys.argv[1:2] == ["--one"] else main(*sys.argv[1:])
