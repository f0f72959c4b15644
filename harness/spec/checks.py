"""Checks that span several fields of a spec, each worded as a problem at a dotted path."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from harness.errors import SpecError
from harness.spec import wording
from harness.spec.image_checks import image_problems, metric_problems
from harness.spec.schema import (
    LOSSES,
    PGGAN,
    Ema,
    Logistic,
    ReduceLR,
    SinGAN,
    Spec,
    StyleGAN1,
    StyleGAN2,
    rebuilt_arms,
)
from harness.spec.size_checks import size_problems
from harness.spec.vis_checks import hook_problems, pickle_problems
from harness.spec.vocabulary import (
    HOOKS,
    HOOKS_ELSEWHERE,
    INTERP_MODES,
    NAME,
    NAMES,
    NATIVE_RESOLUTION,
    RAW,
    closest,
)
from harness.spec.wording import Problem
from harness.spec.yaml_text import dotted

_RESERVED = frozenset({RAW, "real", "run"})
_APART = 1.2
"""Nearer tracks of a post-hoc EMA say too much the same."""
_REBUILT = (0.5, 2.5)
"""How far beyond its tracks an average is rebuilt well, as shares of the outer ones."""
_SNAPSHOTS = 8
"""Fewer snapshots leave gaps that wide averages fall into."""


def problems(spec: Spec) -> list[Problem]:
    """Return every problem of a spec whose single fields are all right."""
    missing = list(_needed(spec))
    if missing:
        return missing
    checks = (_model, _data, _train, _evaluate, _codes, _seeds, _shadows, _posthoc, _hooks)
    found = [problem for check in checks for problem in check(spec)]
    too_much = list(size_problems(spec))
    if too_much:
        return found + too_much
    # A level is checked as a spec of its own; what is wrong without it was said already.
    said = {f"{dotted(path)}: {text}" for path, text in found}
    return found + [problem for problem in _factors(spec) if problem[1] not in said]


def metric_names(spec: Spec) -> list[str]:
    """Return the quantities that a spec evaluates, each with its protocol."""
    return [spec.evaluate.quantity(name) for name in spec.evaluate.metrics]


def _needed(spec: Spec) -> Iterator[Problem]:
    """Say what a model needs in ``train``, or has no use for."""
    for name in ("kimg", "batch_size"):
        given = getattr(spec.train, name) is not None
        if isinstance(spec.model, SinGAN) and given:
            yield ("train", name), "is not used by SinGAN, whose scales decide it: leave it out"
        elif not isinstance(spec.model, SinGAN) and not given:
            yield ("train", name), "is missing"


def _model(spec: Spec) -> Iterator[Problem]:
    model = spec.model
    if isinstance(model, SinGAN):
        return
    expected = [2**power for power in range(2, model.out_scale.bit_length())]
    if isinstance(model, StyleGAN1) and model.nkimgs_per_scale.keys() == {*expected[1:]}:
        expected = expected[1:]  # may begin at 8x8
    scales = [] if isinstance(model, StyleGAN2) else sorted(model.nkimgs_per_scale)
    if not isinstance(model, StyleGAN2) and scales != expected:
        allowed = f"has to name every scale up to out_scale: {expected}"
        yield ("model", "nkimgs_per_scale"), f"{scales} {allowed}"
    needed = model.out_scale // 2
    if model.base_channels < needed:
        at = ("model", "base_channels")
        yield at, f"{model.base_channels} is below {needed}: no channel is left at out_scale"


def _data(spec: Spec) -> Iterator[Problem]:
    data = spec.data
    one_image = isinstance(spec.model, SinGAN)
    if one_image != (data.type == "image"):
        allowed = "image, for SinGAN" if one_image else "a set of images: digits, cifar10, ..."
        yield ("data", "type"), f"{data.type} is not {allowed}"
        return
    native = NATIVE_RESOLUTION.get(data.type)
    if native is not None and spec.model.out_scale > native:
        at = ("model", "out_scale")
        yield at, f"{spec.model.out_scale} is above the {native} pixels of data.type {data.type}"
    if data.type in {"image_folder", "zip", "image"} and data.root is None:
        yield ("data", "root"), f"is missing: data.type {data.type} needs the images' path"
    if data.type == "digits" and data.root is not None:
        yield ("data", "root"), "is not used by data.type digits, which ships with scikit-learn"
    if isinstance(spec.model, SinGAN):
        yield from image_problems(spec)


def _train(spec: Spec) -> Iterator[Problem]:
    kind = spec.model.type
    if spec.train.loss.type != LOSSES[kind]:
        at = ("train", "loss", "type")
        yield at, f"{spec.train.loss.type!r} is not {kind}'s loss, which is {LOSSES[kind]!r}"
    loss = spec.train.loss
    if isinstance(loss, Logistic) and loss.path_weight and not isinstance(spec.model, StyleGAN2):
        yield ("train", "loss", "path_weight"), f"is for StyleGAN2, not for {kind}: leave it out"
    if spec.train.augment is not None and not isinstance(spec.model, StyleGAN2):
        yield ("train", "augment"), f"is for StyleGAN2's small sets, not for {kind}"
    if spec.train.fast is not None and not isinstance(spec.model, PGGAN):
        yield ("train", "fast"), f"is for PGGAN, not for {kind}: leave it out"
    if isinstance(spec.model, SinGAN):
        return
    for name in ("batch_size", "lr_per_scale"):
        value = getattr(spec.train, name)
        unknown = sorted(set(value) - set(spec.growth.scales)) if isinstance(value, dict) else []
        for scale in unknown:
            known = ", ".join(map(str, spec.growth.scales))
            yield ("train", name, scale), f"is not a scale of the model; scales: {known}"


def _evaluate(spec: Spec) -> Iterator[Problem]:
    evaluate = spec.evaluate
    extractor = evaluate.extractor_spec
    yield from metric_problems(spec)
    if extractor.type == "digits-cnn" and spec.model.out_scale != 8:
        at = ("evaluate", "extractor")
        yield at, f"digits-cnn reads 8x8 digits, not model.out_scale {spec.model.out_scale}"
    if extractor.type == "digits-cnn" and extractor.weights is not None:
        yield ("evaluate", "extractor", "weights"), "digits-cnn ships with its weights"
    if "swd" in evaluate.metrics and spec.model.out_scale < 16:
        yield ("evaluate", "metrics"), "swd needs model.out_scale of at least 16"
    if "ms_ssim" in evaluate.metrics and spec.model.out_scale < 16:
        yield ("evaluate", "metrics"), "ms_ssim needs model.out_scale of at least 16"
    if evaluate.fake_images < 4 and {"precision", "recall"}.intersection(evaluate.metrics):
        yield ("evaluate", "fake_images"), "precision and recall need at least 4"
    if "kid" in evaluate.metrics and evaluate.kid_subset_size > evaluate.fake_images:
        size = evaluate.kid_subset_size
        at = ("evaluate", "kid_subset_size")
        yield at, f"{size} is above evaluate.fake_images {evaluate.fake_images}"
    if len(set(evaluate.metrics)) != len(evaluate.metrics):
        yield ("evaluate", "metrics"), f"{list(evaluate.metrics)} names a metric twice"
    if evaluate.first_kimg is not None and evaluate.first_kimg >= evaluate.every_kimg:
        at = ("evaluate", "first_kimg")
        yield at, f"{evaluate.first_kimg:g} is not below every_kimg {evaluate.every_kimg:g}"
    if spec.train.kimg is not None and evaluate.every_kimg > spec.train.kimg:
        at = ("evaluate", "every_kimg")
        yield at, f"{evaluate.every_kimg:g} is above train.kimg {spec.train.kimg:g}"


def _codes(spec: Spec) -> Iterator[Problem]:
    """Say what a model has no latents or style codes for."""
    kind, evaluate, at = spec.model.type, spec.evaluate, ("evaluate", "metrics")
    if not isinstance(spec.model, StyleGAN1 | StyleGAN2):
        if evaluate.sample_kwargs:
            yield ("evaluate", "truncation"), f"is of style codes, {kind} has none: leave it out"
        if "ppl_w" in evaluate.metrics:
            yield at, f"ppl_w walks between style codes, {kind} has none: leave it out"
        if "ppl_z" in evaluate.metrics and isinstance(spec.model, SinGAN):
            yield at, f"ppl_z walks between latents, {kind} has maps of noise: leave it out"
    if evaluate.lpips is not None and spec.model.out_scale < 16:
        yield ("evaluate", "lpips"), "needs model.out_scale of at least 16"


def _seeds(spec: Spec) -> Iterator[Problem]:
    if len(set(spec.seeds)) != len(spec.seeds):
        yield ("seeds",), f"{list(spec.seeds)} names a seed twice"


def _shadows(spec: Spec) -> Iterator[Problem]:
    for name, ema in spec.observers.ema.items():
        at = ("observers", "ema", name)
        if not NAME.fullmatch(name) or name in _RESERVED:
            yield at, f"is not a name for a shadow: {NAMES}, not {', '.join(sorted(_RESERVED))}"
        yield from ((at + path, text) for path, text in _interpolation(ema))
        momentum = ema.hook_cfg(spec.final_batch_size).get("momentum", 0.5)
        if not 0 < momentum < 1:
            yield (*at, "interp_cfg"), f"comes to a momentum of {momentum:g}, not in (0, 1)"


def _interpolation(ema: Ema) -> Iterator[Problem]:
    given = set(ema.interp_cfg.model_dump())
    allowed = INTERP_MODES[ema.interp_mode]
    for name in sorted(given - allowed):
        takes = ", ".join(sorted(allowed))
        yield ("interp_cfg", name), f"interp_mode {ema.interp_mode!r} takes {takes}"
    if len(given & {"momentum", "decay", "half_life_kimg"}) > 1:
        yield ("interp_cfg",), "momentum, decay and half_life_kimg are one setting: give one"
    needed = {"ramp": "half_life_kimg", "power": "sigma_rel"}.get(ema.interp_mode)
    if needed is not None and needed not in given:
        yield ("interp_cfg", needed), f"is missing: interp_mode {ema.interp_mode!r} needs it"


def _posthoc(spec: Spec) -> Iterator[Problem]:
    posthoc, at = spec.observers.posthoc, ("observers", "posthoc")
    if posthoc is None:
        return
    if isinstance(spec.model, SinGAN):
        yield at, "is not for SinGAN, whose scales begin one after another"
        return
    narrow, wide = sorted(posthoc.sigma_rel)
    low, high = _REBUILT[0] * narrow, _REBUILT[1] * wide
    outside = [
        (index, width)
        for index, width in enumerate(posthoc.rebuild)
        if not low * (1 - 1e-9) <= width <= high * (1 + 1e-9)
    ]
    if wide < _APART * narrow:
        given = f"{list(posthoc.sigma_rel)} has to be two widths"
        yield (*at, "sigma_rel"), f"{given}, one at least {_APART:g} times the other"
    else:
        for index, width in outside:
            allowed = f"half the narrower sigma_rel to 2.5 times the wider, {low:g} to {high:g}"
            yield (*at, "rebuild", index), f"{width:g} is not in {allowed}"
    if len(rebuilt_arms(spec)) < len(posthoc.rebuild):
        yield (*at, "rebuild"), f"{list(posthoc.rebuild)} names a width twice"
    most = spec.kimg / _SNAPSHOTS
    if posthoc.every_kimg > most:
        text = f"{posthoc.every_kimg:g} leaves too few snapshots: at most {most:g}"
        yield (*at, "every_kimg"), f"{text}, an eighth of train.kimg"
    for name in sorted(spec.observers.ema.keys() & rebuilt_arms(spec).keys()):
        yield ("observers", "ema", name), "is the name of an average in observers.posthoc.rebuild"


def _factors(spec: Spec) -> Iterator[Problem]:
    for path, levels in spec.factors.items():
        at = ("factors", path)
        for name in levels:
            if not NAME.fullmatch(name):
                yield (*at, name), f"is not a name for a level: {NAMES}"
        if not levels:
            yield at, "has no levels"
        elif path.split(".")[0] in {"observers", "ema", "evaluate", "hooks"}:
            yield at, "does not change training: name it under observers, evaluate or hooks"
        elif path == "reduce_lr":
            for name, value in levels.items():
                yield from (((*at, name, *sub), text) for sub, text in _rule(spec, value))
        elif path.startswith(("train.", "model.", "data.")):
            yield from _settable(spec, path, levels)
        else:
            yield at, "is not a factor: reduce_lr, or a path that begins with train, model or data"


def _rule(spec: Spec, value: Any) -> Iterator[Problem]:
    if value is None:
        return
    try:
        rule = ReduceLR.model_validate(value)
    except ValidationError as error:
        yield from wording.problems(error.errors(), ReduceLR)
        return
    metric, _, arm = rule.val_metric.rpartition("/")
    metrics, arms = metric_names(spec), [RAW, *spec.observers.ema]
    if metric not in metrics or arm not in arms:
        near = closest(rule.val_metric, [f"{m}/{a}" for m in metrics for a in arms])
        allowed = f"METRIC/ARM with METRIC of {', '.join(metrics)} and ARM of {', '.join(arms)}"
        yield ("val_metric",), f"{rule.val_metric!r} is not {allowed}{near}"


def _settable(spec: Spec, path: str, levels: dict[str, Any]) -> Iterator[Problem]:
    from harness.spec.load import apply_override, validated

    base = spec.model_dump(exclude={"factors", "tiers"})
    for name, value in levels.items():
        try:
            validated(apply_override(base, path, value))
        except SpecError as error:
            yield from ((("factors", path, name), problem) for problem in error.problems)


def _hooks(spec: Spec) -> Iterator[Problem]:
    for index, hook in enumerate(spec.hooks):
        at = ("hooks", index)
        kind = hook.get("type")
        if not isinstance(kind, str):
            yield (*at, "type"), f"{wording.shown(kind)} is not a hook; known: {', '.join(HOOKS)}"
        elif kind in HOOKS_ELSEWHERE:
            yield (*at, "type"), f"{kind} is not listed here: {HOOKS_ELSEWHERE[kind]}"
        elif kind not in HOOKS:
            near = closest(kind, list(HOOKS))
            yield (*at, "type"), f"{kind!r} is not a hook{near}; known: {', '.join(HOOKS)}"
        else:
            for name in sorted(set(hook) - HOOKS[kind] - {"type"}):
                known = ", ".join(sorted(HOOKS[kind]))
                yield (*at, name), f"is not an argument of {kind}; known: {known}"
            check = pickle_problems if kind == "PickleDataHook" else hook_problems
            yield from (((*at, *path), text) for path, text in check(hook))
