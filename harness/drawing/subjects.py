"""What can be drawn from: an imported generator, or the networks of a run."""

from pathlib import Path

from harness.checkpoints.kept import FILE, Generator, from_file
from harness.checkpoints.loading import differences
from harness.engine.build import shadow_attribute
from harness.engine.families import gan
from harness.errors import DataError, RecordsError, SpecError
from harness.pickles import load_pickled_data
from harness.spec.load import validated
from harness.spec.schema import Spec
from harness.spec.vocabulary import RAW
from harness.spec.yaml_text import Unreadable, parse

WEIGHTS = "weights.safetensors"
_GROWING = ("pggan", "stylegan1")
_OF_RUN = ("level", "seed", "reduce_lr")
"""What a run's spec.yaml has beside the spec's own fields."""


def open_subject(path: Path, arm: str | None) -> tuple[Generator, str]:
    """Return a generator and a name for the folder of its pictures.

    Args:
        path: an imported ``generator.safetensors`` or its folder, or the folder of a run.
        arm: of a run, ``raw`` or a shadow's name; ``raw`` by default.

    Raises:
        DataError: if there is no generator.
        SpecError: if there is no such arm.
    """
    if (path / WEIGHTS).exists():
        return _of_run(path, arm or RAW), f"{path.name}-{arm or RAW}"
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise DataError(
            f"{path}: is neither a generator's file nor a folder with {FILE}, as `harness import` "
            f"writes it, or with {WEIGHTS}, as a finished run has it"
        )
    if arm is not None:
        raise SpecError([f"--arm {arm}: {file} holds one network; leave it out"])
    return from_file(file), file.parent.resolve().name if file.name == FILE else file.stem


def _of_run(folder: Path, arm: str) -> Generator:
    spec, seed = _settings(folder / "spec.yaml")
    if arm != RAW and arm not in spec.observers.ema:
        known = ", ".join([RAW, *spec.observers.ema])
        raise SpecError([f"--arm {arm}: {folder} holds the weights of {known}"])
    start = f"{'generator' if arm == RAW else shadow_attribute(arm)}."
    kept = load_pickled_data(folder / WEIGHTS)
    held = {name.removeprefix(start): v for name, v in kept.items() if name.startswith(start)}
    network = gan(spec, seed).generator.eval().requires_grad_(False)
    problems = differences(network.state_dict(), held)
    if problems:
        raise DataError(f"{folder / WEIGHTS}: does not fit its spec.yaml: {'; '.join(problems)}")
    network.load_state_dict(held, strict=True)
    state = kept.get("_extra_state", {})
    stage = spec.growth.stage(state.get("images_shown", spec.total_images))
    at = {"curr_scale": stage.scale, "transition_weight": stage.transition_weight}
    family = spec.model.type.lower()
    return Generator(
        family,
        {},
        network,
        at if family in _GROWING else {},
        noise_weights=tuple(state.get("noise_weights", ())),
        fixed_noises=tuple(state.get("fixed_noises", ())),
    )


def _settings(path: Path) -> tuple[Spec, int]:
    """Return the spec and the seed that a run's folder says it was trained with."""
    try:
        content = parse(path.read_text(encoding="utf-8"))[0]
        seed, rest = content["seed"], {k: v for k, v in content.items() if k not in _OF_RUN}
    except OSError as error:
        raise RecordsError(f"{path}: cannot be read ({error.strerror})") from None
    except (Unreadable, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        raise RecordsError(f"{path}: is not the spec of a run: was it cut off?") from None
    return validated({"question": "-", "seeds": [seed], **rest}, str(path)), seed
