"""How far other kernels move the golden runs: `python tests/golden_spread.py [FILE.md]`.

Each micro-run is trained by a process of its own: as it is, on two threads, and with the kernels
that torch, oneDNN and MKL take on processors without AVX-512 and without AVX2. What faults of one
per cent move stands beside it. The tolerances of ``golden_runs`` were chosen from this table.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
KERNELS = {
    "two threads": {"OMP_NUM_THREADS": "2"},
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "SSE4": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
}
FAULTS = {
    "rate 1 % off": "train__optimizer__lr=0.00202",
    "momentum 1 % off": "observers__ema__m0.1__interp_cfg__momentum=0.101",
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


def trained(name, variables, *fields):
    """Return the table of a micro-run of a process with these variables."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        command = [sys.executable, __file__, "--one", name, folder, *fields]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        return pd.read_csv(Path(folder) / "table.csv")


def largest(found, golden, family):
    """Return the largest difference of a family's columns, as a share of each column's size."""
    names = [name for name in golden if family in name and "ema_error" not in name]
    if not names:
        return np.nan
    size = golden[names].abs().max()
    return ((found[names] - golden[names]).abs().max() / size.where(size > 0, 1)).max()


def spread():
    """Return the largest difference over all models, a row a family and a column a change."""
    import golden_runs

    changes = {name: (variables, ()) for name, variables in KERNELS.items()}
    changes |= {name: ({}, (field,)) for name, field in FAULTS.items()}
    worst = pd.DataFrame(0.0, index=[*FAMILIES], columns=[*changes])
    for name in golden_runs.SPECS:
        golden = trained(name, {})
        for change, (variables, fields) in changes.items():
            found = trained(name, variables, *fields)
            for family, part in FAMILIES.items():
                moved = largest(found, golden, part)
                worst.loc[family, change] = np.nanmax([worst.loc[family, change], moved])
            print(name, change, flush=True)
    return worst


def one(name, folder, *fields):
    """Train here and write the table."""
    import golden_runs
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    pairs = (field.split("=") for field in fields)
    changed = {path: float(value) for path, value in pairs}
    golden_runs.run(name, Path(folder) / "run", **changed).to_csv(
        Path(folder) / "table.csv", index=False
    )


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
