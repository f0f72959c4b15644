"""Words for what pydantic finds: a field's path, the value given, and what is allowed."""

from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from harness.spec.vocabulary import closest
from harness.spec.yaml_text import FieldPath

Problem = tuple[FieldPath, str]

_UNIONS = (("train", "batch_size"), ("evaluate", "extractor"), ("model",), ("train", "loss"))
"""Fields that may be written in several ways; pydantic names the one tried as a part of a path."""

_WORDS = {
    "model_type": "is not a mapping of fields",
    "dict_type": "is not a mapping of fields",
    "invalid_key": "is not a name",
    "tuple_type": "is not a list",
    "too_short": "is empty: name at least one",
    "string_type": "is not text",
    "string_unicode": "is not text",
    "float_type": "is not a number",
    "float_parsing": "is not a number",
    "finite_number": "is not a finite number",
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_parsing_size": "is not a whole number",
    "int_from_float": "is not a whole number",
    "bool_type": "is not true or false",
    "bool_parsing": "is not true or false",
    "missing": "is missing",
}


def problems(errors: Sequence[Any], model: type[BaseModel]) -> list[Problem]:
    """Return each of pydantic's errors as a field's path and what is wrong there.

    Args:
        errors: what ``ValidationError.errors()`` returns.
        model: what was validated, for the names that are known.
    """
    found: dict[FieldPath, Any] = {}
    for error in errors:
        path = _field_path(error["loc"])
        if error["type"].startswith("union_tag_"):
            path = (*path, "type")
        # One way of writing a field may look further into it than another.
        if path not in found or found[path]["type"].endswith("_type"):
            found[path] = error
    return [
        (path, _worded(error, path, model))
        for path, error in found.items()
        if not any(len(other) > len(path) and other[: len(path)] == path for other in found)
    ]


def shown(value: Any) -> str:
    """Return a value on one line, in YAML's words and not too long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _field_path(loc: Sequence[Any]) -> FieldPath:
    path: FieldPath = ()
    for index, part in enumerate(loc):
        if tuple(loc[:index]) not in _UNIONS and not (part == "[key]" and index == len(loc) - 1):
            path = (*path, part)
    return path


def _worded(error: Any, path: FieldPath, model: type[BaseModel]) -> str:
    kind, value = error["type"], shown(error["input"])
    if kind == "extra_forbidden":
        if path == ("observers", "reduce_lr"):
            return "a ReduceLR rule changes training: name it under factors"
        known = _fields_at(model, error["loc"][:-1])
        return f"is not a field{closest(str(path[-1]), known)}; known: {', '.join(known)}"
    if kind in {"missing", "union_tag_not_found"}:
        return _WORDS["missing"]
    if kind == "union_tag_invalid":
        return f"{shown(error['ctx']['tag'])} is not one of {error['ctx']['expected_tags']}"
    if kind == "value_error":
        return f"{value} {error['ctx']['error']}"
    if kind == "literal_error":
        return f"{value} is not one of {error['ctx']['expected']}"
    if kind == "too_long":
        return f"{value} has more than {error['ctx']['max_length']} items"
    return f"{value} {_WORDS.get(kind, error['msg'])}"


def _fields_at(model: type[BaseModel], loc: Sequence[Any]) -> list[str]:
    """Return the fields of the section that pydantic's location leads to."""
    current: Any = model
    for index, part in enumerate(loc):
        if tuple(loc[:index]) in _UNIONS:
            current = _section(current, part)
            continue
        section = _section(current)
        current = section.model_fields[part].annotation if section else get_args(current)[-1]
    section = _section(current)
    return list(section.model_fields) if section else []


def _section(annotation: Any, tag: Any = None) -> type[BaseModel] | None:
    """Return the section that an annotation stands for; of several the one of type ``tag``."""
    choices = () if get_origin(annotation) in {dict, tuple} else get_args(annotation)
    sections = [
        one
        for one in (annotation, *choices)
        if isinstance(one, type) and issubclass(one, BaseModel)
    ]
    named = (one for one in sections if "type" in one.model_fields)
    tagged = (one for one in named if tag in get_args(one.model_fields["type"].annotation))
    return next(tagged, next(iter(sections), None))
