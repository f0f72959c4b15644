"""Read a spec: YAML to a checked value, every problem found at once, each with its line."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import SpecError
from harness.files.plain import NoText, read_text
from harness.spec import checks, wording
from harness.spec.schema import Spec
from harness.spec.vocabulary import NAME, NAMES
from harness.spec.yaml_text import FieldPath, Unreadable, dotted, parse

DEFAULT_TIER = "quick"
_LARGEST_SPEC_BYTES = 50_000

Places = Mapping[FieldPath, str]
"""Where each field was written: ``FILE:LINE``, or the command line."""


def load(path: Path, tier: str = DEFAULT_TIER, overrides: Iterable[str] = ()) -> Spec:
    """Read the spec in ``path`` at one tier, with dotted overrides such as ``train.kimg=20``.

    A tier is a mapping laid over the spec, or the path of a spec that stands for it.

    Raises:
        SpecError: one line a problem: file, line or dotted path, value, and what is allowed.
    """
    if not NAME.fullmatch(tier):
        raise SpecError([f"tier {tier!r} of {path} is not a name: {NAMES}"])
    content, places = _at_tier(path, tier, ())
    content, places = _overridden(content, places, overrides)
    return validated(content, str(path), places)


def validated(content: Mapping[str, Any], origin: str = "", places: Places | None = None) -> Spec:
    """Check a spec that has been read.

    Raises:
        SpecError: naming ``origin`` and, where known, the place of each problem.
    """
    known = places or {}

    def at(path: FieldPath) -> str:
        inner = (path[:length] for length in range(len(path), 0, -1))
        place = next((known[part] for part in inner if part in known), origin)
        return f"{place}: " if place else ""

    try:
        spec = Spec.model_validate(content)
    except ValidationError as error:
        found = wording.problems(error.errors(), Spec)
        found += _problems_elsewhere(content, [path for path, _ in found])
    else:
        found = checks.problems(spec)
    if found:
        raise SpecError([f"{at(path)}{dotted(path)}: {text}" for path, text in found])
    return spec


def apply_override(content: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return ``content`` with the field at a dotted path set to ``value``.

    Raises:
        SpecError: if the path leads into something that has no fields.
    """
    changed, _ = _set(dict(content), path.split("."), value, ())
    return dict(changed)


def _set(place: Any, names: list[str], value: Any, path: FieldPath) -> tuple[Any, FieldPath]:
    """Return ``place`` with the field at ``names`` set, and the full path of that field."""
    if not names:
        return value, path
    place = _long_form(place, path)
    if isinstance(place, list | tuple):
        if not (names[0].isdecimal() and int(names[0]) < len(place)):
            at = dotted((*path, names[0]))
            raise SpecError([f"{at}: is not an item of the list, which has {len(place)}"])
        key, rest = int(names[0]), names[1:]
        item, full = _set(place[key], rest, value, (*path, key))
        return [*place[:key], item, *place[key + 1 :]], full
    if not isinstance(place, dict):
        raise SpecError([f"{dotted(path)}: {wording.shown(place)} has no field {names[0]!r}"])
    # Names with dots in them, such as those of shadows, are taken whole where they stand already.
    lengths = range(len(names), 0, -1)
    length = next((n for n in lengths if ".".join(names[:n]) in place), 1)
    key = _key(place, ".".join(names[:length]))
    item, full = _set(place.get(key, {}), names[length:], value, (*path, key))
    return {**place, key: item}, full


def _long_form(place: Any, path: FieldPath) -> Any:
    """Return a field that may be written shortly in its full form, into which a path can lead."""
    if place is None:
        return {}
    if path == ("train", "batch_size") and isinstance(place, int):
        return {4: place}
    if path == ("evaluate", "extractor") and isinstance(place, str):
        return {"type": place}
    return place


def _key(place: Mapping[Any, Any], name: str) -> Any:
    # Resolutions are numbers in YAML and words in a dotted path.
    return int(name) if name.isdecimal() and all(isinstance(key, int) for key in place) else name


def _overridden(
    content: dict[str, Any], places: Places, overrides: Iterable[str]
) -> tuple[dict[str, Any], Places]:
    problems: list[str] = []
    for override in overrides:
        try:
            names, value = _parsed(override)
            content, path = _set(content, names, value, ())
        except SpecError as error:
            problems += (f"command line: {problem}" for problem in error.problems)
            continue
        kept = {at: place for at, place in places.items() if at[: len(path)] != path}
        made = {path[:length]: "command line" for length in range(1, len(path))}
        places = {**made, **kept, path: "command line"}
    if problems:
        raise SpecError(problems)
    return content, places


def _parsed(override: str) -> tuple[list[str], Any]:
    path, equals, text = override.partition("=")
    if not equals or not re.fullmatch(r"[\w\-]+(\.[\w\-]+)*", path):
        raise SpecError([f"{override!r} is not an override: write path=value, as train.kimg=20"])
    try:
        return path.split("."), parse(text)[0]
    except Unreadable as error:
        raise SpecError([f"{override!r}: {reason}" for _, reason in error.problems]) from None


def _at_tier(path: Path, tier: str, passed: tuple[Path, ...]) -> tuple[dict[str, Any], Places]:
    content, places = _read(path)
    tiers = content.get("tiers") or {}
    if not isinstance(tiers, dict) or tier not in tiers:
        if tier == DEFAULT_TIER:
            return content, places
        known = dict.fromkeys(map(str, [DEFAULT_TIER, *tiers]))
        raise SpecError([f"{path}: tier {tier!r} is not one of {', '.join(known)}"])
    chosen, here = tiers[tier], places["tiers", tier]
    if isinstance(chosen, str):
        if path.resolve() in passed:
            raise SpecError([f"{here}: tiers.{tier}: {chosen!r} leads back to this file"])
        return _at_tier(path.parent / chosen, DEFAULT_TIER, (*passed, path.resolve()))
    if not isinstance(chosen, dict | None):
        what = "is neither a mapping of fields nor the path of a spec"
        raise SpecError([f"{here}: tiers.{tier}: {wording.shown(chosen)} {what}"])
    over = {at[2:]: place for at, place in places.items() if at[:2] == ("tiers", tier) and at[2:]}
    return _merged(content, chosen or {}), {**places, **over}


def _merged(base: Any, over: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    if "type" in over and over["type"] != base.get("type"):
        return over  # settings of another type would mean nothing
    merged = {
        key: _merged(value, over[key]) if key in over else value for key, value in base.items()
    }
    return merged | {key: value for key, value in over.items() if key not in base}


def _read(path: Path) -> tuple[dict[str, Any], Places]:
    try:
        content, lines = parse(read_text(path, _LARGEST_SPEC_BYTES))
    except NoText as error:
        raise SpecError([f"{path}: {error}"]) from None
    except Unreadable as error:
        raise SpecError(
            [
                f"{path}:{line}: {text}" if line else f"{path}: {text}"
                for line, text in error.problems
            ]
        ) from None
    if not isinstance(content, dict):
        raise SpecError([f"{path}: is not a mapping of fields such as 'question: ...'"])
    return content, {at: f"{path}:{line}" for at, line in lines.items()}


def _problems_elsewhere(content: Any, wrong: list[FieldPath]) -> list[wording.Problem]:
    """Return what can be said of a spec beside its wrong fields, by leaving those out."""
    for path in reversed(wrong):  # from the end: items of a list move up
        content = _without(content, path)
    try:
        found = checks.problems(Spec.model_validate(content))
    except ValidationError:
        return []
    return [
        (path, text)
        for path, text in found
        if not any(path[: len(at)] == at or at[: len(path)] == path for at in wrong)
    ]


def _without(place: Any, path: FieldPath) -> Any:
    if not path:
        return place
    key, rest = path[0], path[1:]
    if isinstance(place, dict) and key in place:
        entry = {key: _without(place[key], rest)} if rest else {}
        return {name: value for name, value in place.items() if name != key} | entry
    if isinstance(place, list | tuple) and isinstance(key, int) and key < len(place):
        entry_list = [_without(place[key], rest)] if rest else []
        return [*place[:key], *entry_list, *place[key + 1 :]]
    return place
