"""Micro-runs: seconds of real training of each model, and one table of what came out of it.

A table has a row an iteration and a column a quantity: losses, rates and metrics as the run
recorded them, and of the trained networks their sizes and how far each average lies from the
weights that it averages.
"""

import copy
from typing import Any

import numpy as np
import pandas as pd
import torch
from keepers import keeper_of
from torch import nn

from harness.engine import weights
from harness.engine.build import train
from harness.plan.expand import expand
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status
from harness.spec.load import apply_override, validated

CPU = torch.device("cpu")
_SHADOWS = {
    "m0.1": {"interp_cfg": {"momentum": 0.1}},
    "late": {"interp_cfg": {"momentum": 0.1}, "interval": 2, "start_iter": 6},
    "ramp": {"interp_mode": "ramp", "interp_cfg": {"half_life_kimg": 0.1, "rampup": 0.5}},
}
_SMALL = {"noise_size": 8, "out_scale": 8, "base_channels": 32, "max_channels": 8}
_GROWING = _SMALL | {"nkimgs_per_scale": {4: 0.1, 8: 0.3}, "transition_kimgs": 0.1}
_STYLES = {"num_mlps": 2, "mixing_prob": 0.5}
_LAZY = {"r1_gamma": 1, "r1_interval": 4, "path_weight": 2, "path_interval": 4}
_ADA = {"type": "ada", "initial_p": 0.3, "interval": 2, "adjust_kimg": 1}


def _digits(
    model: dict[str, Any], metrics: tuple[str, ...] = ("fid", "is", "kid"), **train: Any
) -> dict[str, Any]:
    return {
        "question": f"Does {model['type']} train as it did?",
        "model": model,
        "data": {"type": "digits"},
        "train": {
            "kimg": 0.4,
            "batch_size": 20,
            "optimizer": {"lr": 0.002, "betas": [0.0, 0.99]},
            "log_every_kimg": 0.04,
            **train,
        },
        "evaluate": {
            "every_kimg": 0.2,
            "extractor": "digits-cnn",
            "fake_images": 400,
            "metrics": [*metrics],
            "kid_subsets": 4,
            "kid_subset_size": 100,
        },
        "seeds": [0],
        "observers": {"ema": _SHADOWS},
    }


_SINGAN = {
    "question": "Does SinGAN train as it did?",
    "model": {
        "type": "SinGAN",
        "base_channels": 4,
        "min_feat_channels": 4,
        "min_size": 18,
        "max_size": 32,
        "iters_per_scale": 3,
        "noise_weight_init": 1.0,
        "discriminator_steps": 1,
        "generator_steps": 1,
    },
    "data": {"type": "image", "root": "shipped:coffee"},
    "train": {"log_every_kimg": 0.001, "optimizer": {"lr": 0.002, "betas": [0.5, 0.999]}},
    "evaluate": {
        "every_kimg": 0.003,
        "extractor": "random-conv-64",
        "fake_images": 4,
        "metrics": ["sifid", "diversity"],
    },
    "seeds": [0],
    "observers": {"ema": _SHADOWS},
}
SPECS: dict[str, dict[str, Any]] = {
    "pggan": _digits({"type": "PGGAN", **_GROWING}),
    "stylegan1": _digits({"type": "StyleGAN1", **_GROWING, **_STYLES}, ("fid",), kimg=0.24),
    "stylegan2": _digits({"type": "StyleGAN2", **_SMALL, **_STYLES}, loss=_LAZY, augment=_ADA),
    "singan": _SINGAN,
}


def run(name, path, **fields):
    """Train a micro-run into a folder and return its table; a field's dots are two underscores."""
    content = copy.deepcopy(SPECS[name])
    for field, value in fields.items():
        content = apply_override(content, field.replace("__", "."), value)
    (planned,) = expand(name, "golden", validated(content)).runs
    folder = RunFolder(path)
    folder.begin(planned.settings, {})
    iterations = train(planned, keeper_of(planned, folder), CPU, path / "cache")
    folder.end(Outcome(Status.FINISHED, iteration=iterations))
    return table(folder, iterations)


def table(folder, iterations):
    """Return a run's table; NaN where a quantity was not measured in an iteration."""
    columns = folder.columns()
    pairs = zip(columns.arm, columns.quantity, strict=True)
    names = [f"{arm}/{quantity}" for arm, quantity in pairs]
    rows = pd.DataFrame({"iteration": columns.iteration, "name": names, "value": columns.value})
    measured = rows[~rows.name.str.contains("time/|memory/")]
    wide = measured.pivot_table("value", "iteration", "name", aggfunc="last")
    ends = pd.DataFrame(_networks(folder.path), index=[iterations])
    return wide.combine_first(ends).rename_axis(index="iteration", columns=None).reset_index()


def _networks(path):
    """Return the length of each network's weights, and an average's distance as a share of it."""
    spec, model = weights.trained(path, CPU)
    networks = model.networks()
    raw = _flat(networks["orig"])
    found = {"raw/size": raw.norm().item(), "critic/size": _flat(model.discriminator).norm().item()}
    for arm, name in weights.networks_of(spec).items():
        if name in networks and arm != "raw":
            found[f"{arm}/gap"] = ((_flat(networks[name]) - raw).norm() / raw.norm()).item()
    return found


def _flat(network: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().double().flatten() for p in network.parameters()])


_EXACT = {"rtol": 1e-4, "atol": 1e-7}
TOLERANCES = {
    "/ema_error": {"rtol": 0.0, "atol": 1e-5},  # what float32 rounds; a certificate's own limit
    "/loss/": {"rtol": 1e-4, "atol": 1e-5},
    "/gap": {"rtol": 1e-3, "atol": 1e-7},
    # A pixel at the border of two grey levels falls to either side.
    "fid": {"rtol": 1e-2, "atol": 1e-3},
    "/kid[": {"rtol": 1e-2, "atol": 1e-2},
    "/is[": {"rtol": 1e-2, "atol": 1e-4},
    "/diversity": {"rtol": 1e-2, "atol": 1e-4},
}
"""By a part of a column's name: ten times or more what other kernels move (``golden_spread``)."""
LOOSER = {
    # Channels of a young StyleGAN are constant but for rounding, which instance norm enlarges.
    "stylegan1": {"fid": {"rtol": 0.25, "atol": 1e-3}},
    # Batch norm of few positions, and a critic's loss that is a small difference.
    "singan": {"/loss/": {"rtol": 1e-2, "atol": 2e-3}},
}
"""The same of single models that are less well conditioned."""


def tolerances(name, frame):
    """Return what each column of a model's table may be off by, as pytest-regressions takes it."""
    limits = TOLERANCES | LOOSER.get(name, {})
    return {column: _tolerance(column, limits) for column in frame.columns}


def _tolerance(column, limits):
    return next((limit for part, limit in limits.items() if part in column), _EXACT)


def outside(name, frame, golden):
    """Return the columns of a model's table that are not within tolerance of a golden one."""
    limits = tolerances(name, golden)
    assert [*frame.columns] == [*golden.columns]
    close = {c: np.isclose(frame[c], golden[c], equal_nan=True, **limits[c]) for c in golden}
    return [column for column, fits in close.items() if not fits.all()]
