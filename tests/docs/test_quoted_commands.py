"""Every command, option, session and file that the pages quote is there."""

import ast
import re
from pathlib import Path

import pytest

from harness.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs" / "pages").rglob("*.md")),
    *sorted((ROOT / "docs" / "examples").rglob("*.y*ml")),
]
BEGIN = r"(?:^[ \t]*|`|&& |run: )"
HARNESS = re.compile(BEGIN + r"harness ([a-z][a-z-]+)([ \t][^\n`#]*)?", re.MULTILINE)
NOX = re.compile(r"\bnox -s ([a-z0-9][\w -]*?)(?: -- ([^\n`#]*))?(?=[`\n#.,;:(&)]|$)", re.MULTILINE)
FILES = re.compile(
    r"(?<![\w/])((?:experiments|docs|tests|results)/[\w./-]+\.(?:yaml|yml|py|md|json))"
)
CODE = re.compile(r"^(?:    |\t)[^\n]*$|^ *```.*?^ *```|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def code_of(path):
    """Return what stands as code: fences, indented blocks and spans; all of a file that is code."""
    text = path.read_text()
    return "\n".join(CODE.findall(text)) if path.suffix == ".md" else text


def commands(capsys):
    return re.findall(r"^    ([a-z][\w-]+)\s", helped(capsys), re.MULTILINE)


def helped(capsys, *command):
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    return capsys.readouterr().out


def sessions():
    """Return the names of nox's sessions; nox itself is not needed."""
    for node in ast.parse((ROOT / "noxfile.py").read_text()).body:
        for made in getattr(node, "decorator_list", []):
            if "nox.session" in ast.unparse(made):
                given = {k.arg: ast.literal_eval(k.value) for k in getattr(made, "keywords", [])}
                yield given.get("name", node.name)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_and_options_are_known(path, capsys):
    known = commands(capsys)
    assert {"run", "verify", "doctor"} <= {*known}
    for name, rest in HARNESS.findall(code_of(path)):
        assert name in known, f"harness {name}"
        options = helped(capsys, name)
        for option in re.findall(r"(?<!\S)--[a-z][\w-]*", rest.split("&&")[0]):
            assert option in options, f"harness {name} {option}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_sessions_are_known(path, capsys):
    for names, rest in NOX.findall(code_of(path)):
        assert {*names.split()} <= {*sessions()}, names
        if names.startswith("reproduce"):
            options = helped(capsys, "run")
            assert all(o in options for o in re.findall(r"--[a-z][\w-]*", rest))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_files_are_there(path):
    theirs = ("tests/ema/",)  # of a project that copies the gate
    named = [name for name in FILES.findall(path.read_text()) if not name.startswith(theirs)]
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_patterns_see_what_they_should():
    assert HARNESS.findall("harness run a.yaml --tier gpu") == [("run", " a.yaml --tier gpu")]
    assert NOX.findall("nox -s a b -- --tier x\n")[0] == ("a b", "--tier x")
    assert {"tests", "reproduce-pggan", "docs"} <= {*sessions()}
