"""YAML as a spec uses it: plain values, each field with its line; nothing that builds an object.

Booleans and numbers are YAML 1.2's: a level named ``off`` is a name, 1e-3 is a number. Aliases and
deep nesting are refused, since a few lines of them can stand for more than a memory holds.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

try:  # libyaml reads a spec ten times as fast, and is in every wheel of PyYAML
    from yaml import CSafeLoader as _BaseLoader
except ImportError:
    from yaml import SafeLoader as _BaseLoader  # type: ignore[assignment]

FieldPath = tuple[Any, ...]
_DEEPEST = 20

_FLOAT = re.compile(
    r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII
)
_RESOLVERS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(0|[1-9]\d*)", list("-+0123456789")),
    "float": (_FLOAT.pattern, list("-+0123456789.")),
}
_TAG = "tag:yaml.org,2002:"


class Unreadable(Exception):
    """Text that is not a spec's YAML.

    Args:
        problems: a 1-based line, 0 where it is not known, and what is wrong there.
    """

    def __init__(self, problems: Sequence[tuple[int, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__(str(problems))


class _Loader(_BaseLoader):
    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012  (filled in below)
    yaml_constructors = {  # noqa: RUF012
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.removeprefix(_TAG) in {*_RESOLVERS, "str", "seq", "map"}
    }


for _name, (_pattern, _first) in _RESOLVERS.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z", re.ASCII), _first)


class _Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML would take for something other than text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver(
    _TAG + "float", re.compile(rf"(?:{_FLOAT.pattern})\Z"), list("-+0123456789.")
)


def dump(value: Mapping[str, Any]) -> str:
    """Return YAML in the given order, readable and without aliases."""
    return yaml.dump(dict(value), Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)


def parse(text: str) -> tuple[Any, dict[FieldPath, int]]:
    """Return the value of YAML text and the 1-based line of each of its fields.

    Raises:
        Unreadable: if it is not YAML, names a field twice, or has tags, aliases or deep nesting.
    """
    try:
        _refuse_what_multiplies(text)
        loader = _Loader(text)
        node = loader.get_single_node()
        value = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        # At the end of the text libyaml points one line past the last.
        last = text.count("\n") + (not text.endswith("\n"))
        line = min(error.problem_mark.line + 1, last) if error.problem_mark else 0
        raise Unreadable([(line, f"is not YAML: {error.problem}")]) from None
    except (yaml.YAMLError, ValueError, LookupError) as error:
        reason = " ".join(str(error).split())
        raise Unreadable([(0, f"is not YAML: {reason}")]) from None
    lines: dict[FieldPath, int] = {}
    doubled = _walk(loader, node, (), lines)
    if doubled:
        raise Unreadable([(line, f"{dotted(path)}: stands twice") for path, line in doubled])
    return value, lines


def dotted(path: FieldPath) -> str:
    """Return a field's path as a user writes it, on one line whatever its names hold."""
    names = map(str, path)
    return ".".join(name if name.isprintable() else repr(name) for name in names)


def _refuse_what_multiplies(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            raise Unreadable([(line, f"*{event.anchor} is an alias: write out what it stands for")])
        if depth > _DEEPEST:
            raise Unreadable([(line, f"nested more than {_DEEPEST} deep")])


def _walk(
    loader: Any, node: yaml.Node | None, path: FieldPath, lines: dict[FieldPath, int]
) -> list[tuple[FieldPath, int]]:
    """Note the line of every field; return the fields that stand twice."""
    doubled = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            at = (*path, loader.construct_object(key))
            if at in lines:
                doubled.append((at, key.start_mark.line + 1))
            lines[at] = key.start_mark.line + 1
            doubled += _walk(loader, value, at, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[*path, index] = value.start_mark.line + 1
            doubled += _walk(loader, value, (*path, index), lines)
    return doubled
