"""One entry of a visualization, complete: what is drawn from, how many, and in which style."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import SpecError
from harness.spec.vis_checks import entry_problems
from harness.spec.vis_kwargs import STYLE_KINDS, as_list, resolved
from harness.spec.yaml_text import dotted
from harness.visuals.pictures import Style

_SAMPLES = 64
_LIST = "vis_kwargs_list"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one entry asks for.

    Args:
        type: the sampler.
        name: of the pictures.
        n_samples: samples altogether.
        num_batches: samples in a batch; by default as the sampler has it.
        fixed_input: the same samples each time, or others.
        sample_model: the model's networks to draw from, joined by '/'.
        forward_kwargs: arguments handed to the model.
        style: how images become a picture.
        fps: frames a second of a moving picture; by default as the visualizer has it.
        stream: keeps the random streams of entries apart.
    """

    type: str
    name: str
    n_samples: int = _SAMPLES
    num_batches: int | None = None
    fixed_input: bool = True
    sample_model: str | None = None
    forward_kwargs: Mapping[str, Any] = field(default_factory=dict)
    style: Style = field(default_factory=Style)
    fps: float | None = None
    stream: str = ""

    @property
    def purpose(self) -> str:
        """Word that the entry's random streams are drawn for."""
        return f"visualization {self.stream}"


def entry_of(
    words: Mapping[str, Any], defaults: Mapping[str, Any] | None = None, index: int = 0
) -> Entry:
    """Return the entry that a config's words mean.

    Args:
        words: the user's; they stand above those of an alias, which stand above ``defaults``.
        defaults: the hook's.
        index: the entry's place in the list.

    Raises:
        SpecError: if it cannot be drawn; names every problem.
    """
    problems = [((_LIST, *at), text) for at, text in entry_problems(words)]
    if problems:
        raise SpecError([f"{dotted(at)}: {text}" for at, text in problems])
    full = resolved(words, defaults or {})
    style = style_of(full)
    kept = {k: v for k, v in full.items() if k in Entry.__dataclass_fields__}
    kept["n_samples"] = full.get("n_samples") or _SAMPLES
    return Entry(**{**kept, "style": style, "stream": f"{index} {full['name']}"})


def style_of(words: Mapping[str, Any]) -> Style:
    """Return the style among an entry's words."""
    names = (set(STYLE_KINDS) | {"draw_gt"}) & set(Style.__dataclass_fields__)
    given = {name: words[name] for name in names if words.get(name) is not None}
    return Style(**given, target_keys=tuple(as_list(words.get("target_keys"))))
