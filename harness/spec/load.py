"""Read a spec: YAML to a checked value, every problem found at once, each with its line."""

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from harness.errors import SpecError
from harness.spec import checks
from harness.spec.schema import Spec
from harness.spec.vocabulary import closest

DEFAULT_TIER = "quick"
_LARGEST_SPEC_BYTES = 1_000_000


class _Loader(yaml.SafeLoader):
    """YAML 1.2's words for booleans and numbers: a level named ``off`` is a name, 1e-3 a number."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":float"))]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
    list("-+0123456789."),
)


def parse_yaml(text: str) -> Any:
    """Return the value of YAML text; no tag builds an object.

    Raises:
        yaml.YAMLError: if it is not YAML.
    """
    return yaml.load(text, _Loader)


def load(path: Path, tier: str = DEFAULT_TIER, overrides: Iterable[str] = ()) -> Spec:
    """Read the spec in ``path`` at one tier, with dotted overrides such as ``train.kimg=20``.

    A tier is a mapping laid over the spec, or the path of a spec that stands for it.

    Raises:
        SpecError: one line a problem: file, line or dotted path, value, and what is allowed.
    """
    content, lines = _read(path)
    tiers = content.get("tiers") or {}
    if tier != DEFAULT_TIER or tier in tiers:
        if not isinstance(tiers, dict) or tier not in tiers:
            known = [DEFAULT_TIER, *tiers]
            raise SpecError([f"{path}: tier {tier!r} is not one of {', '.join(known)}"])
        if isinstance(tiers[tier], str):
            return load(path.parent / tiers[tier], DEFAULT_TIER, overrides)
        content = _merged(content, tiers[tier] or {})
    for override in overrides:
        content = _overridden(content, override)
    return validated(content, str(path), lines)


def validated(
    content: Mapping[str, Any], origin: str, lines: Mapping[tuple[Any, ...], int] | None = None
) -> Spec:
    """Check a spec that has been read.

    Raises:
        SpecError: naming ``origin`` and, where known, the line of each problem.
    """

    def at(path: tuple[Any, ...]) -> str:
        known = lines or {}
        while path and path not in known:
            path = path[:-1]
        return f"{origin}:{known[path]}" if path else origin

    try:
        spec = Spec.model_validate(content)
    except ValidationError as error:
        raise SpecError(
            [f"{at(e['loc'])}: {_worded(e, Spec)}" for e in _innermost(error.errors())]
        ) from None
    found = checks.problems(spec)
    if found:
        raise SpecError([f"{at(path)}: {_dotted(path)}: {text}" for path, text in found])
    return spec


def apply_override(content: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of ``content`` with the field at a dotted path set to ``value``."""
    result = copy.deepcopy(dict(content))
    *parents, last = path.split(".")
    place: Any = result
    for name in parents:
        place = place.setdefault(_key(place, name), {})
        if not isinstance(place, dict):
            raise SpecError([f"{path}: {name!r} has no fields"])
    place[_key(place, last)] = value
    return result


def _key(place: Mapping[Any, Any], name: str) -> Any:
    # Resolutions are numbers in YAML and words in a dotted path.
    return int(name) if name.isdigit() and (not place or int(name) in place) else name


def _overridden(content: dict[str, Any], override: str) -> dict[str, Any]:
    path, equals, text = override.partition("=")
    if not equals or not re.fullmatch(r"[\w.\-]+", path):
        raise SpecError([f"{override!r} is not an override: write path=value, as train.kimg=20"])
    try:
        value = parse_yaml(text)
    except yaml.YAMLError:
        raise SpecError([f"{override!r}: the value is not YAML"]) from None
    return apply_override(content, path, value)


def _merged(base: Any, over: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    if "type" in over and over["type"] != base.get("type"):
        return over  # settings of another type would mean nothing
    merged = {
        key: _merged(value, over[key]) if key in over else value for key, value in base.items()
    }
    return merged | {key: value for key, value in over.items() if key not in base}


def _read(path: Path) -> tuple[dict[str, Any], dict[tuple[Any, ...], int]]:
    try:
        if path.stat().st_size > _LARGEST_SPEC_BYTES:
            raise SpecError([f"{path}: larger than a spec can be ({_LARGEST_SPEC_BYTES} bytes)"])
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, _Loader)
        content = parse_yaml(text)
    except OSError as error:
        raise SpecError([f"{path}: cannot be read ({error.strerror})"]) from None
    except UnicodeDecodeError:
        raise SpecError([f"{path}: is not a text file in UTF-8"]) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise SpecError([f"{path}:{line}: is not YAML: {error.problem}"]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecError([f"{path}: is not YAML: {str(error).splitlines()[0]}"]) from None
    if not isinstance(content, dict):
        raise SpecError([f"{path}: is not a mapping of fields such as 'question: ...'"])
    lines: dict[tuple[Any, ...], int] = {}
    doubled = _walk(node, (), lines)
    if doubled:
        raise SpecError([f"{path}:{line}: {_dotted(at)}: stands twice" for at, line in doubled])
    return content, lines


def _walk(
    node: yaml.Node | None, path: tuple[Any, ...], lines: dict[tuple[Any, ...], int]
) -> list[tuple[tuple[Any, ...], int]]:
    """Note the line of every field; return the fields that stand twice."""
    doubled = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = int(key.value) if key.tag.endswith(":int") else key.value
            if (*path, name) in lines:
                doubled.append(((*path, name), key.start_mark.line + 1))
            lines[*path, name] = key.start_mark.line + 1
            doubled += _walk(value, (*path, name), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[*path, index] = value.start_mark.line + 1
            doubled += _walk(value, (*path, index), lines)
    return doubled


def _dotted(path: Iterable[Any]) -> str:
    return ".".join(str(part) for part in path)


def _worded(error: Any, model: type[BaseModel]) -> str:
    """Word one pydantic error as: dotted path, value, what is allowed."""
    path = tuple(part for part in error["loc"] if not _is_union_branch(part))
    where, given = _dotted(path), error["input"]
    match error["type"]:
        case "extra_forbidden":
            if path == ("observers", "reduce_lr"):
                return f"{where}: a ReduceLR rule changes training: name it under factors"
            known = _fields_at(model, path[:-1])
            return (
                f"{where}: is not a field{closest(str(path[-1]), known)}; known: {', '.join(known)}"
            )
        case "missing":
            return f"{where}: is missing"
        case "value_error":
            return f"{where}: {_shown(given)} {error['ctx']['error']}"
        case "literal_error":
            return f"{where}: {_shown(given)} is not one of {error['ctx']['expected']}"
        case _:
            return f"{where}: {_shown(given)}: {error['msg'].removeprefix('Input ')}"


def _innermost(errors: Sequence[Any]) -> list[Any]:
    """Leave out what a union's other branches say of a value that one branch looked into."""
    paths = [tuple(part for part in e["loc"] if not _is_union_branch(part)) for e in errors]
    return [
        error
        for index, (error, path) in enumerate(zip(errors, paths, strict=True))
        if path not in paths[:index]
        and not any(len(other) > len(path) and other[: len(path)] == path for other in paths)
    ]


def _is_union_branch(part: Any) -> bool:
    # pydantic names the branch of a union that it tried; the user wrote no such thing.
    return isinstance(part, str) and (
        "[" in part or part in {"int", "Section", "Extractor", "literal"} or part.startswith("dict")
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fields_at(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Return the fields of the section that a path leads to."""
    current: Any = model
    for part in path:
        if isinstance(current, type) and issubclass(current, BaseModel):
            current = current.model_fields[part].annotation
        else:
            current = getattr(current, "__args__", (None, None))[-1]
    if isinstance(current, type) and issubclass(current, BaseModel):
        return list(current.model_fields)
    return []
