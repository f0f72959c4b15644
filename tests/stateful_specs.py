"""One small real spec of every model, with everything on that holds state."""

from typing import Any

from harness.plan.expand import Run, expand
from harness.spec.load import validated

_SHADOWS = {
    "lerp": {"interp_cfg": {"momentum": 0.02}, "interval": 3, "start_iter": 20},
    "half-life": {"interp_cfg": {"half_life_kimg": 0.1}},
    "warmup": {"interp_mode": "warmup", "interp_cfg": {"momentum": 0.01}},
    "ramp": {"interp_mode": "ramp", "interp_cfg": {"half_life_kimg": 1, "rampup": 0.1}},
    "power": {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.1}},
    "uniform": {"interp_mode": "uniform", "start_iter": 30},
}
_GROWING = {
    "noise_size": 16,
    "out_scale": 8,
    "base_channels": 64,
    "max_channels": 16,
    "nkimgs_per_scale": {4: 0.4, 8: 0.5},
    "transition_kimgs": 0.3,
}
_STYLES = {"num_mlps": 2, "mixing_prob": 0.5}
_PER_SCALE = {"lr_per_scale": {8: 0.008}, "reset_optimizer_per_scale": True}
_LAZY = {"r1_gamma": 1, "r1_interval": 16, "path_weight": 2, "path_interval": 8}


def _on_digits(model: dict[str, Any], **train: Any) -> dict[str, Any]:
    name = model["type"]
    return {
        "question": f"Is anything of {name} lost?",
        "model": model,
        "data": {"type": "digits"},
        "train": {
            "kimg": 0.9,
            "batch_size": 8,
            "optimizer": {"lr": 0.005, "betas": [0.0, 0.99]},
            "log_every_kimg": 0.04,
            **train,
        },
        "evaluate": {
            "every_kimg": 0.16,
            "first_kimg": 0.02,
            "extractor": "digits-cnn",
            "fake_images": 64,
            "metrics": ["fid"],
        },
        "seeds": [0],
        "observers": {
            "ema": _SHADOWS,
            "posthoc": {"every_kimg": 0.1, "rebuild": [0.07, 0.1]},
        },
        "hooks": [_pictures("GAN")],
        "factors": {"reduce_lr": {"raw": _rule("fid[digits-cnn]/raw")}},
    }


def _pictures(kind: str) -> dict[str, Any]:
    entry = {"type": kind, "name": "fake_img"}
    return {
        "type": "VisualizationHook",
        "interval": 25,
        "n_samples": 16,
        "vis_kwargs_list": entry,
    }


def _rule(metric: str) -> dict[str, Any]:
    # A threshold that is hardly ever met: the rule counts and acts several times in a run.
    scheduler = {"patience": 1, "factor": 0.7, "threshold": 0.9, "cooldown": 1}
    return {"val_metric": metric, "interval": 2, "scheduler": scheduler}


def _singan() -> dict[str, Any]:
    averages = {name: dict(_SHADOWS[name]) for name in ("warmup", "ramp", "power", "uniform")}
    slow = {"interp_cfg": {"momentum": 0.05, "momentum_nontrainable": 0.05}, "interval": 2}
    return {
        "question": "Is anything of SinGAN lost?",
        "model": {
            "type": "SinGAN",
            "base_channels": 4,
            "min_feat_channels": 4,
            "min_size": 12,
            "max_size": 32,
            "scale_factor_init": 0.6,
            "iters_per_scale": 24,
            "discriminator_steps": 2,
            "generator_steps": 1,
        },
        "data": {"type": "image", "root": "shipped:coffee"},
        "train": {"log_every_kimg": 0.01, "optimizer": {"lr": 0.002, "betas": [0.5, 0.999]}},
        "evaluate": {
            "every_kimg": 0.034,
            "extractor": "random-conv-64",
            "fake_images": 4,
            "metrics": ["sifid", "diversity"],
        },
        "seeds": [0],
        "observers": {"ema": {"lerp": slow, **averages}},
        "hooks": [_pictures("SinGAN")],
    }


SPECS = {
    "PGGAN": _on_digits({"type": "PGGAN", **_GROWING}, **_PER_SCALE),
    "StyleGAN1": _on_digits({"type": "StyleGAN1", **_GROWING, **_STYLES}, **_PER_SCALE),
    "StyleGAN2": _on_digits(
        {
            "type": "StyleGAN2",
            **{k: _GROWING[k] for k in ("noise_size", "out_scale", "base_channels")},
            "max_channels": 16,
            **_STYLES,
        },
        loss=_LAZY,
        augment={"type": "ada", "initial_p": 0.2, "adjust_kimg": 2},
    ),
    "SinGAN": _singan(),
}
"""Every feature that holds state is on in each, where the model allows it."""


def run_of(model: str) -> Run:
    """Return the model's one run."""
    return expand(model, "quick", validated(SPECS[model])).runs[0]
